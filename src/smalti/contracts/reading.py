"""Reading a scan from a foreign file: open, read, conform; the only part of this package that touches a disk."""

from __future__ import annotations

from pathlib import Path

from smalti.codecs.scan import Scan
from smalti.contracts.archive import DEFAULT_LIMITS, Limits, read_arrays
from smalti.contracts.card import Card
from smalti.contracts.conversion import Outcome, conform
from smalti.contracts.regular_file import sha256_of
from smalti.contracts.violation import Violation, broken, errors
from smalti.errors import ContractBroken

__all__ = ["conform", "examine", "read_arrays", "read_scan"]


def read_scan(path: Path, card: Card | None = None, limits: Limits = DEFAULT_LIMITS) -> Scan:
    """Return the scan in ``path`` in canonical form.

    Raises:
        NotFound: there is no such file.
        ContractBroken: it breaks the contract; the message has one sentence for each violation.
        Unavailable: the machine cannot read it.
    """
    outcome = examine(path, card, limits)
    if outcome.scan is None:
        raise broken(path.name, errors(outcome.violations))
    return outcome.scan


def examine(path: Path, card: Card | None = None, limits: Limits = DEFAULT_LIMITS) -> Outcome:
    """Read and judge a file; a broken contract is the outcome, not an exception.

    Raises:
        NotFound: there is no such file.
        Unavailable: the machine cannot read it.
    """
    try:
        if card and card.sha256 and (found := sha256_of(path)) != card.sha256:
            return Outcome(None, (_other_file(found, card.sha256),))
        arrays = read_arrays(path, limits)
    except ContractBroken as error:
        return Outcome(None, tuple(v for v in error.violations if isinstance(v, Violation)))
    return conform(arrays, card, file_name=path.name)


def _other_file(found: str, wanted: str) -> Violation:
    remedy = "get that version of the file, or correct sha256 in the card"
    return Violation("card.sha256", "the file", f"SHA-256 {found}", f"{wanted} as its card says", remedy)
