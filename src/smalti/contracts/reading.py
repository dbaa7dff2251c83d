"""Judging a foreign file by a contract: open, read, convert, check; the only part of this package that uses a disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalti.codecs.scan import Scan
from smalti.contracts.any_contract import AnyContract
from smalti.contracts.archive import DEFAULT_LIMITS, Limits, read_arrays
from smalti.contracts.card import Card
from smalti.contracts.conversion import Outcome, conform
from smalti.contracts.readers import read_file
from smalti.contracts.regular_file import sha256_of
from smalti.contracts.scan import SCAN, ScanContract
from smalti.contracts.table import TableContract
from smalti.contracts.violation import Violation, broken, errors
from smalti.errors import ContractBroken

__all__ = ["conform", "examine", "judged", "read_arrays", "read_scan"]


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


def examine(
    path: Path, card: Card | None = None, limits: Limits = DEFAULT_LIMITS, contract: AnyContract = SCAN
) -> Outcome:
    """Read and judge a file; a broken contract is the outcome, not an exception.

    Raises:
        NotFound: there is no such file.
        Unavailable: the machine cannot read it.
    """
    try:
        if card and card.sha256 and (found := sha256_of(path)) != card.sha256:
            return Outcome(None, (_other_file(found, card.sha256),))
        content = read_file(path, limits)
    except ContractBroken as error:
        return Outcome(None, tuple(v for v in error.violations if isinstance(v, Violation)))
    return judged(content, contract, card, file_name=path.name)


def judged(content: Any, contract: AnyContract, card: Card | None = None, *, file_name: str = "scan.npz") -> Outcome:
    """Judge what a reader found in a file; pure.

    Args:
        content: arrays by name, or a pyarrow Table.
        contract: by which; files of a scan are converted first.
        card: what people say about the file, if anything.
        file_name: for messages.
    """
    if isinstance(content, Mapping) == isinstance(contract, TableContract):
        return Outcome(None, (_other_kind(content, contract),))
    if isinstance(contract, ScanContract):
        return conform(content, card, contract, file_name=file_name)
    violations = contract.check(content)
    return Outcome(None if errors(violations) else content, violations)


def _other_kind(content: Any, contract: AnyContract) -> Violation:
    if isinstance(content, Mapping):
        found, wanted = f"{len(content)} named arrays", "a table"
        remedy = "give a table (CSV, Parquet, Arrow), or name a contract of arrays"
    else:
        found, wanted = f"a table of {content.num_rows} rows and {content.num_columns} columns", "named arrays"
        remedy = "give a file of arrays, or name the contract of the table"
    return Violation("file.form", "the file", found, f"{wanted}, as {contract.id} asks for", remedy)


def _other_file(found: str, wanted: str) -> Violation:
    remedy = "get that version of the file, or correct sha256 in the card"
    return Violation("card.sha256", "the file", f"SHA-256 {found}", f"{wanted} as its card says", remedy)
