"""What a competition asks for: its type, how answers are scored, and the files it gives out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from smalti.contracts.violation import shown
from smalti.errors import Refused


class CompetitionType(Enum):
    """What is to be predicted."""

    BINARY_CLASSIFICATION = "binary_classification"
    MULTICLASS_CLASSIFICATION = "multiclass_classification"
    MULTILABEL_CLASSIFICATION = "multilabel_classification"
    REGRESSION = "regression"
    ORDINAL_REGRESSION = "ordinal_regression"
    TIME_SERIES = "time_series"
    RANKING = "ranking"
    STRUCTURED_PREDICTION = "structured_prediction"
    GENERATIVE = "generative"
    UNKNOWN = "unknown"


def competition_type_of(value: Any) -> CompetitionType:
    """Return a type that is given as itself or as its text.

    >>> competition_type_of("regression")
    <CompetitionType.REGRESSION: 'regression'>

    Raises:
        Refused: it is none of the ten; the message lists them.
    """
    try:
        return CompetitionType(value)
    except ValueError as error:
        known = ", ".join(kind.value for kind in CompetitionType)
        raise Refused(f"{shown(str(value))} is no type of competition; the types are {known}.") from error


@dataclass(frozen=True, slots=True)
class CompetitionMetadata:
    """What is known of a competition before its data is read.

    Attributes:
        competition_name: e.g. ``house-prices``.
        competition_type: what is to be predicted; its text will do.
        description: one line for people.
        evaluation_metric: how answers are scored, e.g. ``rmse``.
        train_file, test_file: names of the files with and without the target.

    Raises:
        Refused: the type is none of the ten.
    """

    competition_name: str
    competition_type: CompetitionType
    description: str = ""
    evaluation_metric: str = ""
    train_file: str = "train.csv"
    test_file: str = "test.csv"

    def __post_init__(self) -> None:
        object.__setattr__(self, "competition_type", competition_type_of(self.competition_type))
