"""What one array must be: its names, axes, kind of number, unit, range; and what breaks that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.bounds import Bound, Bounded
from smalti.contracts.violation import Violation

Array = NDArray[Any]
_FAMILIES = {
    "f": "floating-point",
    "c": "complex",
    "i": "integer",
    "u": "integer",
    "b": "true or false",
    "U": "text",
    "S": "text",
}
_NUMBER = "fciub"


class ArraySpec(Bounded):
    """What one array must be.

    Attributes:
        key: its name; with ``*`` in it, a pattern that any number of arrays go by.
        meaning: what it holds, in words.
        shapes: the shapes it may have, as dimension names; a name stands for one length in the whole contract. None:
            any shape.
        dtype: its canonical dtype; any width of the same family (float, complex, integer) passes. ``number`` is any.
        unit: of its values.
        aliases: other names it goes by.
        required: whether the contract is broken without it.
        nonzero: whether at least one value must differ from zero.
        empty: whether it may have no values.
        remedy: what a person does about values out of range.
    """

    key: str
    meaning: str
    shapes: tuple[tuple[str, ...], ...]
    dtype: Literal["float32", "float64", "complex64", "complex128", "int64", "bool", "str", "number"]
    unit: str
    aliases: tuple[str, ...] = ()
    required: bool = True
    nonzero: bool = False
    empty: bool = False
    remedy: str = "correct those values"

    @property
    def family(self) -> str:
        """The dtype family, e.g. ``floating-point``."""
        return "number" if self.dtype == "number" else _FAMILIES[np.dtype(self.dtype).kind]

    def matching(self, names: Iterable[str]) -> list[str]:
        """Return those of ``names`` that fit, where the key is a pattern."""
        return sorted(name for name in names if fnmatchcase(name, self.key)) if "*" in self.key else []

    def of_each(self, names: Collection[str]) -> list[ArraySpec]:
        """Return what is asked of each of ``names`` that this speaks of, under that name."""
        if "*" in self.key:
            return [self.model_copy(update={"key": name}) for name in self.matching(names)]
        return [self] if self.key in names else []

    def dimensions(self, array: Array) -> dict[str, int] | None:
        """Return the length of each named dimension, or None when no shape has this rank."""
        for names in self.shapes:
            if len(names) == array.ndim:
                return dict(zip(names, array.shape, strict=True))
        return None if self.shapes else {}

    def wanted_shape(self) -> str:
        """Return the shapes in words."""
        return " or ".join(f"({', '.join(names)})" for names in self.shapes) or "any"

    def breaches(self, array: Array) -> Iterator[Violation]:
        """Yield what is wrong with one array by itself: dtype, rank, emptiness, values."""
        family = _FAMILIES.get(array.dtype.kind)
        if family != self.family and not (self.dtype == "number" and array.dtype.kind in _NUMBER):
            yield self._breach("array.dtype", f"dtype {array.dtype}", f"{self.family} values", "convert it")
            return
        if self.dimensions(array) is None:
            shape = f"shape {array.shape}"
            yield self._breach("array.rank", shape, f"shape {self.wanted_shape()}", "save it with these axes")
        if array.size:
            yield from self._value_breaches(array)
        elif not self.empty:
            yield self._breach("array.empty", f"shape {array.shape}", "at least one value", "save it with its values")

    def _value_breaches(self, array: Array) -> Iterator[Violation]:
        if array.dtype.kind in "fc" and not (finite := np.isfinite(array)).all():
            found = f"{_count(~finite)} that are NaN or infinite"
            remedy = "mend or leave out those entries"
            yield self._breach("array.not_finite", found, "finite values only", remedy, _first(~finite))
            return
        outside = [bound for bound in self.bounds() if bound.broken_by(array).any()]
        for bound in outside:
            yield self._out_of_range(array, bound)
        if self.nonzero and not outside and not array.any():
            yield self._breach("array.all_zero", "nothing but zeros", "a signal", "save the measured values")

    def _out_of_range(self, array: Array, bound: Bound) -> Violation:
        where = bound.broken_by(array)
        low = bound.side == "minimum"
        extreme = f"the {'least' if low else 'greatest'} being {array.min() if low else array.max():g}"
        code = "array.below_minimum" if low else "array.above_maximum"
        found, wanted = f"{_count(where)} {bound.beyond}, {extreme}", f"values {bound.wanted}"
        return self._breach(code, found, wanted, self.remedy, _first(where))

    def _breach(self, code: str, found: str, wanted: str, remedy: str, index: tuple[int, ...] = ()) -> Violation:
        return Violation(code, self.key, found, wanted, remedy, index=index)


def _first(where: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(where.argmax()), where.shape))


def _count(where: Array) -> str:
    return f"{int(where.sum())} of {where.size} values (first at {list(_first(where))})"
