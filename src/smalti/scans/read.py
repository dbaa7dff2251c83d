"""A scan out of a foreign file: its card, the arrays a reader finds, and the canonical form they become."""

from __future__ import annotations

from pathlib import Path

from smalti.codecs.scan import Scan
from smalti.contracts.builtin.scan import SCAN, ScanContract
from smalti.contracts.result import ValidationResult
from smalti.contracts.violation import Violation, broken, errors
from smalti.errors import ContractBroken
from smalti.formats import DEFAULT_LIMITS, Content, Limits, read_file
from smalti.formats.regular_file import sha256_of
from smalti.scans.card import Card
from smalti.scans.conversion import conform
from smalti.scans.masks import MASK_NAMES
from smalti.scans.physics import FIELDS
from smalti.scans.shipped import card_for

_MAY_HELP = frozenset(MASK_NAMES) | frozenset(FIELDS)


def read_scan(path: Path, card: Card | None = None, limits: Limits = DEFAULT_LIMITS) -> Scan:
    """Return the scan in ``path`` in canonical form.

    Args:
        card: what people say about the file; by default the card beside it, or the shipped one for its bytes.

    Raises:
        NotFound: there is no such file.
        ContractBroken: it breaks the contract; the message has one sentence for each violation.
        Unavailable: the machine cannot read it.
    """
    result = validate_scan(path, card, limits)
    if not isinstance(result.value, Scan):
        found = errors(result.violations)
        raise ContractBroken(result.refusal, found) if result.refusal else broken(path.name, found)
    return result.value


def validate_scan(
    path: Path, card: Card | None = None, limits: Limits = DEFAULT_LIMITS, contract: ScanContract = SCAN
) -> ValidationResult:
    """Read a file of arrays and validate the scan in it; a broken contract is the result, not an exception.

    Raises:
        NotFound: there is no such file.
        Unavailable: the machine cannot read it.
    """
    try:
        card = card or card_for(path)
        require_described(path, card)
        content = read_file(path, limits, names_for(contract, card))
    except ContractBroken as error:
        violations = tuple(v for v in error.violations if isinstance(v, Violation))
        return ValidationResult(None, violations, refusal=str(error))
    if not isinstance(content, Content):
        found = f"a table of {content.table.num_rows} rows and {content.table.num_columns} columns"
        remedy = "give a file of arrays; `smalti validate --contract table` validates a table"
        violation = Violation("file.form", "the file", found, f"named arrays, as {contract.id} asks for", remedy)
        return ValidationResult(None, (violation,))
    return conform(content, card, contract, file_name=path.name)


def names_for(contract: ScanContract, card: Card | None) -> frozenset[str]:
    """Return the names of the arrays that may be asked for: by the contract, the card, or as a mask or physics."""
    known = {name for spec in contract.arrays for name in (spec.key, *spec.aliases)}
    named = {name for key, name in card.reading.names().items() if key in known} if card else set()
    return frozenset(known | named | _MAY_HELP)


def require_described(path: Path, card: Card | None) -> None:
    """Raise ContractBroken where the card is about another file."""
    if card and card.sha256 and (found := sha256_of(path)) != card.sha256:
        remedy = "get that version of the file, or correct sha256 in the card"
        wanted = f"{card.sha256} as its card says"
        raise broken(path.name, [Violation("card.sha256", "the file", f"SHA-256 {found}", wanted, remedy)])
