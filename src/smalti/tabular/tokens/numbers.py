"""How the numbers of one pattern are standardised, and which of them have a token of their own, from training rows.

A number is a token with a value beside it, so that a network can be linear in it. Numbers of few distinct values, as
classes and counts are, have a token each, with the value beside it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.tabular.tokens.clauses import NUMBER

FARTHEST = 4.0  # standard deviations: a number beyond counts as this far, so that no outlier rules a prediction
SKEWED = 1.0  # skewness from which numbers that are never negative are taken as logarithms


@dataclass(frozen=True, slots=True)
class NumberScale:
    """The scale of the numbers of one pattern.

    Attributes:
        mean, std: of the training numbers or, if ``logarithmic``, of log(1 + number); std is 1 if all are equal.
        logarithmic: whether the logarithm is standardised.
        distinct: ascending, the numbers that have a token each; none, one token stands for all.
    """

    mean: float
    std: float
    logarithmic: bool
    distinct: tuple[float, ...]

    def standardised(self, number: float) -> float:
        """Return the number in standard deviations from the mean, from -4 to 4."""
        scaled = np.log1p(max(number, 0.0)) if self.logarithmic else number
        return float(np.clip((scaled - self.mean) / self.std, -FARTHEST, FARTHEST))

    def piece(self, pattern: str, number: float) -> str:
        """Return the token: the pattern, ``fare [NUM] pounds``, or with the nearest number in it, ``class 3``."""
        if not self.distinct:
            return pattern
        nearest = int(np.argmin(np.abs(np.subtract(self.distinct, number))))
        return pattern.replace(NUMBER, repr(self.distinct[nearest]).removesuffix(".0"))

    def to_json(self) -> dict[str, Json]:
        """Return what ``from_json`` makes the scale of."""
        return {**asdict(self), "distinct": list(self.distinct)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> NumberScale:
        """Return the scale that ``to_json`` described."""
        return cls(**{**fields, "distinct": tuple(fields["distinct"])})


def learn_scale(numbers: NDArray[np.float64], max_distinct: int) -> NumberScale:
    """Return the scale of these training numbers, (N,) and finite, N of 1 or more.

    Args:
        max_distinct: numbers of more distinct values than this share one token; only of those, if they are skewed and
            never negative, the logarithm is taken: counts are better as they are.
    """
    distinct = np.unique(numbers)
    few = len(distinct) <= max_distinct
    logarithmic = bool(not few and distinct[0] >= 0 and _skewness(numbers) > SKEWED)
    scaled = np.log1p(numbers) if logarithmic else numbers
    own = distinct.tolist() if few else []
    return NumberScale(float(scaled.mean()), float(scaled.std()) or 1.0, logarithmic, tuple(own))


def _skewness(numbers: NDArray[np.float64]) -> float:
    deviation = numbers - numbers.mean()
    std = deviation.std()
    return float(np.mean((deviation / std) ** 3)) if std > 0 else 0.0
