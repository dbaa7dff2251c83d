"""What a run is for: experiment, production, evaluation, development or analysis."""

from __future__ import annotations

from enum import StrEnum

from smalti.errors import Refused


class RunType(StrEnum):
    """What a run is for."""

    EXPERIMENT = "experiment"
    PRODUCTION = "production"
    EVALUATION = "evaluation"
    DEVELOPMENT = "development"
    ANALYSIS = "analysis"


def run_type_of(given: RunType | str) -> RunType:
    """Return a run type, given itself or its value.

    Raises:
        Refused: there is no such type.
    """
    try:
        return RunType(given)
    except ValueError:
        raise Refused(f"{given!r} is no run type; there are {', '.join(RunType)}.") from None
