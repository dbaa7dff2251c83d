"""What is predicted: a column, the kind of competition, the classes and their order, and the scale of a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.errors import Refused

if TYPE_CHECKING:
    from smalti.templates.columns import TableDescription

Label = str | int | float | bool

CLASSIFICATIONS = ("binary_classification", "multiclass_classification")
REGRESSION = "regression"
COMPETITION_TYPES = (*CLASSIFICATIONS, REGRESSION)
SURE = 0.6  # confidence above which the kind of competition need not be said
SKEWED = 1.0


@dataclass(frozen=True, slots=True)
class Target:
    """What is predicted.

    Attributes:
        column: its name.
        competition_type: one of ``COMPETITION_TYPES``.
        classes: in ascending order, the second of two being the positive one; none of a regression.
        whole: whether the numbers of a regression are whole numbers in the table.
    """

    column: str
    competition_type: str
    classes: tuple[Label, ...] = ()
    whole: bool = False

    @property
    def is_regression(self) -> bool:
        return self.competition_type == REGRESSION

    def to_json(self) -> dict[str, Json]:
        """Return what ``from_json`` makes the target of."""
        return {
            "column": self.column,
            "competition_type": self.competition_type,
            "classes": list(self.classes),
            "whole": self.whole,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Target:
        """Return the target that ``to_json`` described."""
        return cls(**{**fields, "classes": tuple(fields["classes"])})

    def codes(self, labels: Sequence[Label]) -> NDArray[Any]:
        """Return (N,) int32 places in ``classes``, or of a regression (N,) float64 numbers.

        Raises:
            Refused: a label is no class.
        """
        if self.is_regression:
            return np.asarray(labels, np.float64)
        places = {label: place for place, label in enumerate(self.classes)}
        if unknown := sorted({str(label) for label in labels if label not in places}):
            raise Refused(
                f"{self.column} is {unknown[0]!r} in a row, which is none of the classes "
                f"{', '.join(map(str, self.classes))}; split the table again."
            )
        return np.array([places[label] for label in labels], np.int32)


@dataclass(frozen=True, slots=True)
class TargetScale:
    """How the numbers of a regression are standardised, learned from training rows.

    Attributes:
        logarithmic: whether it is their logarithm that is standardised.
        mean, std: of what is standardised.
        lowest, highest: of the training numbers.
    """

    logarithmic: bool
    mean: float
    std: float
    lowest: float
    highest: float

    def to_json(self) -> dict[str, Json]:
        """Return the fields."""
        return asdict(self)

    def standardised(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N,) float64; those that have no logarithm count as the lowest training number."""
        scaled = np.log(np.where(numbers > 0, numbers, self.lowest)) if self.logarithmic else numbers
        result: NDArray[np.float64] = (scaled - self.mean) / self.std
        return result

    def numbers(self, standardised: NDArray[Any]) -> NDArray[np.float64]:
        """Return the numbers, at most one range of the training numbers outside that range."""
        scaled = standardised.astype(np.float64) * self.std + self.mean
        low, high = np.log([self.lowest, self.highest]) if self.logarithmic else (self.lowest, self.highest)
        kept = np.clip(scaled, low - (high - low), high + (high - low))
        return np.exp(kept) if self.logarithmic else kept


def learn_target_scale(numbers: NDArray[np.float64]) -> TargetScale:
    """Return the scale of the training numbers; the logarithm is taken where all are above 0 and skewed to the right.

    Raises:
        Refused: all are equal.
    """
    lowest, highest = float(numbers.min()), float(numbers.max())
    if lowest == highest:
        raise Refused(f"the target is {lowest:g} in every training row; there is nothing to be learned.")
    standard = (numbers - numbers.mean()) / numbers.std()
    logarithmic = bool(lowest > 0 and np.mean(standard**3) > SKEWED)
    scaled = np.log(numbers) if logarithmic else numbers
    return TargetScale(logarithmic, float(scaled.mean()), float(scaled.std()), lowest, highest)


def find_target(description: TableDescription, labels: Sequence[Any], competition_type: str | None = None) -> Target:
    """Return the target that a table's description names.

    Args:
        labels: its values in the rows that have one, as ``labels_of`` returns them.
        competition_type: where it is known; None, it has to be clear from the values.

    Raises:
        Refused: the kind of competition is unknown, not clear, or not one of ``COMPETITION_TYPES``, or does not go with
            the values; or all of them are equal.
    """
    name = str(description.target)
    kind = competition_type or description.competition_type
    choices = f"competition_type= one of {', '.join(COMPETITION_TYPES)}"
    distinct = set(labels)
    if len(distinct) < 2:
        raise Refused(
            f"the target {name} is {labels[0]!r} in every row, there is nothing to be learned; choose another target."
            if distinct
            else f"the target {name} is missing in every row; give a table in which it is known."
        )
    if kind not in COMPETITION_TYPES:
        raise Refused(f"predicting {name} is {kind}: {description.competition_reason}; say what it is, with {choices}.")
    if competition_type is None and len(distinct) > 2 and description.competition_confidence <= SURE:
        raise Refused(
            f"it is not clear whether {name} is a number or a class: {description.competition_reason}, which looks "
            f"like {kind}; say what it is, with {choices}."
        )
    if kind == REGRESSION:
        if not all(isinstance(label, int | float) and not isinstance(label, bool) for label in distinct):
            raise Refused(f"the target {name} holds {sorted(map(str, distinct))[0]!r}, no number; {choices}.")
        return Target(name, kind, whole=all(isinstance(label, int) for label in distinct))
    if kind == "binary_classification" and len(distinct) != 2:
        raise Refused(f"the target {name} has {len(distinct)} classes, and binary are two; {choices}.")
    return Target(name, kind, tuple(sorted(distinct)))


def labels_of(values: Sequence[Any]) -> list[Label | None]:
    """Return Python values as labels: None where one is missing, empty or not finite, and whole floats as integers.

    Floats are integers only where all are whole, as a column of whole numbers with gaps is read from a file.
    """
    values = [float(value) if isinstance(value, Decimal) else value for value in values]
    missing = [
        value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)) for value in values
    ]
    present = [value for value, absent in zip(values, missing, strict=True) if not absent]
    whole = bool(present) and all(isinstance(v, int | float) and float(v).is_integer() for v in present)
    floats = any(isinstance(value, float) for value in present)

    def label(value: Any) -> Label:
        return int(value) if whole and floats else value if isinstance(value, str | int | float) else str(value)

    return [None if absent else label(value) for value, absent in zip(values, missing, strict=True)]
