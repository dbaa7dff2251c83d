"""How the numbers of one pattern are standardised, and which of them have a token of their own, from training rows.

A number is a token with a value beside it, so that a network can be linear in it. Numbers of few distinct values, as
classes and counts are, have a token each, with the value beside it too; others may have one for each bin, so that a
network can be linear within each by itself: Y. Gorishniy, I. Rubachev, A. Babenko, arXiv 2203.05556.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
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
        distinct: ascending, the numbers that have a token each, if they are few; else none.
        edges: ascending, where the bins of the others begin, each bin a token; none, one token stands for all.
    """

    mean: float
    std: float
    logarithmic: bool
    distinct: tuple[float, ...]
    edges: tuple[float, ...]

    def standardised(self, number: float) -> float:
        """Return the number in standard deviations from the mean, from -4 to 4."""
        scaled = np.log1p(max(number, 0.0)) if self.logarithmic else number
        return float(np.clip((scaled - self.mean) / self.std, -FARTHEST, FARTHEST))

    def piece(self, pattern: str, number: float) -> str:
        """Return the token: the pattern with the nearest number in it, ``class 3``, or with the bin, ``age 20..28``."""
        if self.distinct:
            nearest = int(np.argmin(np.abs(np.subtract(self.distinct, number))))
            return pattern.replace(NUMBER, _written(self.distinct[nearest]))
        if not self.edges:
            return pattern
        return self.bins(pattern)[int(np.searchsorted(self.edges, number, side="right"))]

    def bins(self, pattern: str) -> list[str]:
        """Return the token of each bin, ascending; none where numbers have no bins."""
        ends = ["", *map(_written, self.edges), ""]
        return [pattern.replace(NUMBER, f"{low}..{high}") for low, high in pairwise(ends)] if self.edges else []

    def to_json(self) -> dict[str, Json]:
        """Return what ``from_json`` makes the scale of."""
        return {**asdict(self), "distinct": list(self.distinct), "edges": list(self.edges)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> NumberScale:
        """Return the scale that ``to_json`` described."""
        return cls(**{**fields, "distinct": tuple(fields["distinct"]), "edges": tuple(fields["edges"])})


def learn_scale(numbers: NDArray[np.float64], max_distinct: int, bins: int = 1) -> NumberScale:
    """Return the scale of these training numbers, (N,) and finite, N of 1 or more.

    Args:
        max_distinct: numbers of more distinct values than this share one token; only of those, if they are skewed and
            never negative, the logarithm is taken: counts are better as they are.
        bins: of those, cut at quantiles.
    """
    distinct = np.unique(numbers)
    few = len(distinct) <= max_distinct
    logarithmic = bool(not few and distinct[0] >= 0 and _skewness(numbers) > SKEWED)
    scaled = np.log1p(numbers) if logarithmic else numbers
    own = distinct.tolist() if few else []
    cuts = np.quantile(numbers, np.arange(1, bins) / bins, method="higher")
    edges = [] if few else np.unique(cuts[cuts > distinct[0]]).tolist()
    return NumberScale(float(scaled.mean()), float(scaled.std()) or 1.0, logarithmic, tuple(own), tuple(edges))


def _skewness(numbers: NDArray[np.float64]) -> float:
    deviation = numbers - numbers.mean()
    std = deviation.std()
    return float(np.mean((deviation / std) ** 3)) if std > 0 else 0.0


def _written(number: float) -> str:
    return repr(float(number)).removesuffix(".0")
