"""One thing wrong with a product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a product.

    Attributes:
        severity: ``error`` when a reader fails or puts things in the wrong place, ``warning`` when it loses or
            lacks something.
        code: the check's name, stable.
        place: the dataset or attribute, e.g. ``object.center_x_m``.
        found: what is there.
        wanted: what should be there.
    """

    severity: Literal["error", "warning"]
    code: str
    place: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.place} {self.found}; wanted: {self.wanted} [{self.code}]"


def error(code: str, place: str, found: str, wanted: str) -> Finding:
    """Return a finding that makes a reader fail or put things in the wrong place."""
    return Finding("error", code, place, found, wanted)


def warning(code: str, place: str, found: str, wanted: str) -> Finding:
    """Return a finding that makes a reader lose or lack something."""
    return Finding("warning", code, place, found, wanted)
