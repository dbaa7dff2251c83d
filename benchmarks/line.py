"""One line of the benchmark's table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """What was measured; ``reached`` is None where there is nothing to be reached, or nothing was measured."""

    measure: str
    to_reach: str
    measured: str
    reached: bool | None = None
