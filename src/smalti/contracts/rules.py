"""Rules that no array can keep alone, or that have a severity of their own; users derive theirs from ``Rule``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, computed_field

from smalti.contracts.bounds import Bounded
from smalti.contracts.violation import Severity, Violation


class Rule(BaseModel):
    """A rule about values under the contract's keys; asked only when all it needs is there and sound by itself.

    Attributes:
        needs: keys of the arrays and metadata it looks at.
        severity: whether what breaks it is rejected, or only gets a warning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    needs: tuple[str, ...]
    severity: Severity = "error"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def rule(self) -> str:
        """The name of its class, so that what is printed says which rule it is."""
        return type(self).__name__

    def sentence(self) -> str:
        """Return the rule in words."""
        raise NotImplementedError

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        """Yield what breaks the rule; ``values`` holds arrays, and numbers and text where those are needed."""
        raise NotImplementedError

    def breach(
        self, code: str, place: str, found: str, wanted: str, remedy: str, index: tuple[int, ...] = ()
    ) -> Violation:
        """Return a violation of this rule's severity."""
        return Violation(code, place, found, wanted, remedy, self.severity, index)


class Square(Rule):
    """The last two axes of an array are equally long."""

    def sentence(self) -> str:
        return f"The planes of {self.needs[0]} are square."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        key = self.needs[0]
        *_, height, width = values[key].shape
        if height != width:
            found, remedy = f"planes of {height} x {width}", "crop or pad them to a square"
            yield self.breach(f"{key}.not_square", key, found, "square planes", remedy)


class Unique(Rule):
    """No value occurs twice."""

    remedy: str = "give each its own value"

    def sentence(self) -> str:
        return f"No value of {self.needs[0]} occurs twice."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        key = self.needs[0]
        flat = values[key].ravel()
        _, first = np.unique(flat, return_index=True)
        if repeated := flat.size - first.size:
            again = np.ones(flat.size, bool)
            again[first] = False
            found = f"{repeated} of {flat.size} values that repeat another"
            index = (int(again.argmax()),)
            yield self.breach(f"{key}.repeated", key, found, "each value once", self.remedy, index)


class Monotonic(Rule):
    """Values along the first axis go one way."""

    order: Literal["increasing", "non-decreasing", "decreasing", "non-increasing"] = "increasing"
    remedy: str = "sort the entries, those of the other arrays with them"

    def sentence(self) -> str:
        return f"The values of {self.needs[0]} are {self.order}."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        key, array = self.needs[0], values[self.needs[0]]
        before, after = array[:-1], array[1:]
        keeps = {
            "increasing": np.less,
            "non-decreasing": np.less_equal,
            "decreasing": np.greater,
            "non-increasing": np.greater_equal,
        }[self.order]
        broken = ~keeps(before, after)
        if broken.any():
            at = int(np.argwhere(broken)[0][0]) + 1
            found = f"{int(broken.sum())} of {broken.size} steps that are not (first from {at - 1} to {at})"
            yield self.breach(f"{key}.not_monotonic", key, found, f"{self.order} values", self.remedy, (at,))


class Within(Rule, Bounded):
    """Every value lies in a range; for one that deserves a warning only, or one beside that of the array itself."""

    remedy: str = "check those values"

    def sentence(self) -> str:
        ends = " and ".join(bound.wanted for bound in self.bounds())
        return f"The values of {self.needs[0]} are {ends.replace('of at', 'at')}."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        key, array = self.needs[0], np.asarray(values[self.needs[0]])
        for bound in self.bounds():
            where = bound.broken_by(array)
            if where.any():
                index = tuple(int(i) for i in np.argwhere(where)[0])
                found = f"{int(where.sum())} of {where.size} values {bound.beyond} (first at {list(index)})"
                yield self.breach(f"{key}.out_of_range", key, found, f"values {bound.wanted}", self.remedy, index)
