"""How many rows fail a check of pandera's, and the first of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smalti.contracts.violation import shown

if TYPE_CHECKING:
    import pandera

_NATIVE = {"SERIES_CONTAINS_NULLS": "null", "SERIES_CONTAINS_DUPLICATES": "repeated"}
_HOW = {
    "null": "without a value",
    "repeated": "that repeat another",
    "range": "out of range",
    "category": "with another value",
    "pattern": "that do not match",
    "not_finite": "that are infinite",
}


@dataclass(frozen=True, slots=True)
class Failures:
    """What one failed check says.

    Attributes:
        rule: the name of the check.
        wanted: the sentence it was made with, if any.
        found: how many rows fail it and the first of them, or what happened when it was asked.
        index: of the first row, or empty.
    """

    rule: str
    wanted: str
    found: str
    index: tuple[int, ...]


def failures_in(error: pandera.errors.SchemaError, rows: int) -> Failures:
    """Return what a failed check says of a table of so many rows."""
    import pandas as pd

    rule = _NATIVE.get(reason_of(error)) or str(getattr(error.check, "name", None) or error.check)
    wanted = str(getattr(error.check, "error", None) or f"what the rule {rule} asks for")
    cases, output = error.failure_cases, error.check_output
    if not isinstance(cases, pd.DataFrame) or cases.empty:
        return Failures(rule, shown(wanted), shown(f"a table that fails ({cases})"), ())
    failed = int((~output.astype(bool)).sum()) if isinstance(output, pd.Series) else len(cases)
    row, value = int(cases["index"].iloc[0]), cases["failure_case"].iloc[0]
    first = f"first at row {row}" if pd.isna(value) else f"first at row {row}: {shown(repr(value))}"
    return Failures(rule, shown(wanted), f"{failed} of {rows} rows {_HOW.get(rule, 'that fail')} ({first})", (row,))


def reason_of(error: pandera.errors.SchemaError) -> str:
    """Return pandera's own code for what went wrong."""
    return str(error.reason_code.name) if error.reason_code else ""
