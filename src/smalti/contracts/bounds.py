"""Least and greatest values, each inclusive or exclusive, and what they are in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range.

    Attributes:
        side: ``minimum`` or ``maximum``.
        value: where it is.
        exclusive: whether ``value`` itself is outside.
    """

    side: str
    value: float
    exclusive: bool

    @property
    def wanted(self) -> str:
        """What values are asked for, e.g. ``of at least 0`` or ``below 1``."""
        if self.exclusive:
            return f"{'above' if self.side == 'minimum' else 'below'} {self.value:.15g}"
        return f"of at {'least' if self.side == 'minimum' else 'most'} {self.value:.15g}"

    @property
    def beyond(self) -> str:
        """Where the values lie that break it, e.g. ``below 0`` or ``at or above 1``."""
        return f"{'at or ' if self.exclusive else ''}{'below' if self.side == 'minimum' else 'above'} {self.value:.15g}"

    def broken_by(self, values: Any) -> Any:
        """Return where ``values``, an array, a column or one number, lie outside; NaN lies nowhere."""
        if self.side == "minimum":
            return values <= self.value if self.exclusive else values < self.value
        return values >= self.value if self.exclusive else values > self.value


class Bounded(BaseModel):
    """What has a range; each end is left open, inclusive or exclusive.

    Attributes:
        minimum, maximum: the least and greatest value allowed.
        exclusive_minimum, exclusive_maximum: the values that all must be above, and below.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum: float | None = None
    exclusive_minimum: float | None = None
    maximum: float | None = None
    exclusive_maximum: float | None = None

    def bounds(self) -> Iterator[Bound]:
        """Yield each end that there is."""
        for side in ("minimum", "maximum"):
            for exclusive in (False, True):
                value = getattr(self, f"exclusive_{side}" if exclusive else side)
                if value is not None:
                    yield Bound(side, value, exclusive)

    def range_in_words(self) -> str:
        """Return the range as a sentence, or nothing where there is none.

        >>> Bounded(exclusive_minimum=0, maximum=120).range_in_words()
        'Above 0 and at most 120.'
        """
        ends = " and ".join(bound.wanted.removeprefix("of ") for bound in self.bounds())
        return f"{ends[0].upper()}{ends[1:]}." if ends else ""

    @model_validator(mode="after")
    def _one_bound_a_side(self) -> Self:
        sides = [bound.side for bound in self.bounds()]
        if len(sides) != len(set(sides)):
            raise ValueError("one minimum and one maximum, each either inclusive or exclusive")
        return self
