"""What came of validating a file or a value: the value in canonical form, every violation, every conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smalti.contracts.violation import Violation


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What came of validating one file.

    Attributes:
        value: a scan, a product, arrays by name or a table, as the contract has it; None where an error rejects it.
        violations: errors and warnings.
        conversions: what was done to the arrays, in order, in words.
        skipped: what is in the file, was not asked for and not read, each with the reason, in words.
        contract: name and version of the contract, e.g. ``scan/1``; empty where the file was refused before one was
            chosen.
        kind: what the file is, e.g. ``scan``; empty where that was not found out.
        refusal: why the file was refused before it was read, in sentences; empty otherwise.
    """

    value: Any
    violations: tuple[Violation, ...]
    conversions: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    contract: str = ""
    kind: str = ""
    refusal: str = ""

    @property
    def accepted(self) -> bool:
        """Whether no error rejects the file."""
        return self.value is not None
