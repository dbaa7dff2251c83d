"""A contract as data: which arrays there must be, and a check that reports every breach at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, SerializeAsAny

from smalti.contracts.violation import Violation, shown

Array = NDArray[Any]
_FAMILIES = {"f": "floating-point", "c": "complex", "i": "integer", "u": "integer"}
_NAMES_SHOWN = 12


class ArraySpec(BaseModel):
    """What one array must be.

    Attributes:
        key: its name.
        meaning: what it holds, in words.
        shapes: the shapes it may have, as dimension names; a name stands for one length in the whole contract.
        dtype: its canonical dtype; any width of the same family (float, complex, integer) passes.
        unit: of its values.
        aliases: other names it goes by.
        required: whether the contract is broken without it.
        minimum: the least value allowed, if there is one.
        nonzero: whether at least one value must differ from zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    meaning: str
    shapes: tuple[tuple[str, ...], ...]
    dtype: Literal["float32", "float64", "complex64", "int64"]
    unit: str
    aliases: tuple[str, ...] = ()
    required: bool = True
    minimum: float | None = None
    nonzero: bool = False

    @property
    def family(self) -> str:
        """The dtype family: ``floating-point``, ``complex`` or ``integer``."""
        return _FAMILIES[np.dtype(self.dtype).kind]

    def dimensions(self, array: Array) -> dict[str, int] | None:
        """Return the length of each named dimension, or None when no shape has this rank."""
        for names in self.shapes:
            if len(names) == array.ndim:
                return dict(zip(names, array.shape, strict=True))
        return None

    def wanted_shape(self) -> str:
        """Return the shapes in words."""
        return " or ".join(f"({', '.join(names)})" for names in self.shapes)

    def breaches(self, array: Array) -> Iterator[Violation]:
        """Judge one array by itself: dtype, rank, emptiness, values."""
        if _FAMILIES.get(array.dtype.kind) != self.family:
            yield self._breach("array.dtype", f"dtype {array.dtype}", f"{self.family} values", "convert it")
            return
        if self.dimensions(array) is None:
            shape = f"shape {array.shape}"
            yield self._breach("array.rank", shape, f"shape {self.wanted_shape()}", "save it with these axes")
        if array.size == 0:
            yield self._breach("array.empty", f"shape {array.shape}", "at least one value", "save it with its values")
            return
        yield from self._value_breaches(array)

    def _value_breaches(self, array: Array) -> Iterator[Violation]:
        finite = np.isfinite(array)
        if not finite.all():
            found = f"{_count(~finite)} that are NaN or infinite"
            yield self._breach("array.not_finite", found, "finite values only", "mend or leave out those entries")
        elif self.minimum is not None and (low := array < self.minimum).any():
            found = f"{_count(low)} below {self.minimum:g}, the least being {array.min():g}"
            remedy = "subtract the background so that nothing is lost below it, or clip"
            yield self._breach("array.below_minimum", found, f"values of at least {self.minimum:g}", remedy)
        elif self.nonzero and not array.any():
            yield self._breach("array.all_zero", "nothing but zeros", "a signal", "save the measured values")

    def _breach(self, code: str, found: str, wanted: str, remedy: str) -> Violation:
        return Violation(code, self.key, found, wanted, remedy)


def _count(where: Array) -> str:
    first = [int(i) for i in np.argwhere(where)[0]]
    return f"{int(where.sum())} of {where.size} values (first at {first})"


class Rule(BaseModel):
    """A rule across arrays; it is asked only when every array in ``needs`` is there and sound by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    needs: tuple[str, ...]

    def sentence(self) -> str:
        """Return the rule in words."""
        raise NotImplementedError

    def breaches(self, arrays: Mapping[str, Array]) -> Iterator[Violation]:
        """Yield what breaks the rule."""
        raise NotImplementedError


class Contract(BaseModel):
    """Named arrays and the rules between them.

    ``check`` is ``resolve`` (names) followed by ``judge`` (values); a reader converts in between.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    summary: str
    arrays: tuple[ArraySpec, ...]
    rules: tuple[SerializeAsAny[Rule], ...] = ()

    @property
    def id(self) -> str:
        """Name and version, e.g. ``scan/1``."""
        return f"{self.name}/{self.version}"

    def spec(self, key: str) -> ArraySpec:
        """Return what the contract says of one of its keys."""
        return next(spec for spec in self.arrays if spec.key == key)

    def check(self, arrays: Mapping[str, Array]) -> tuple[Violation, ...]:
        """Return every breach, names first; empty when the contract is kept. Nothing is read or changed."""
        resolved, violations = self.resolve(arrays)
        return (*violations, *self.judge(resolved))

    def resolve(
        self, arrays: Mapping[str, Array], named: Mapping[str, str] | None = None
    ) -> tuple[dict[str, Array], tuple[Violation, ...]]:
        """Return the arrays under the contract's own keys, and what is wrong with the names.

        Args:
            arrays: what there is.
            named: contract key -> name in ``arrays``, where somebody said so; else keys and aliases decide.
        """
        named = named or {}
        resolved: dict[str, Array] = {}
        violations: list[Violation] = []
        used: set[str] = set()
        for spec in self.arrays:
            names = (named[spec.key],) if spec.key in named else (spec.key, *spec.aliases)
            present = [name for name in names if name in arrays]
            used.update(present)
            if present:
                resolved[spec.key] = arrays[present[0]]
                violations.extend(_disagreements(spec.key, present, arrays))
            elif spec.required or spec.key in named:
                violations.append(_missing(spec.key, names, arrays))
        unknown = [name for name in arrays if name not in used]
        if unknown:
            wanted = f"only {', '.join(spec.key for spec in self.arrays)}"
            violations.append(
                Violation("key.unknown", "the file", _listed(unknown), wanted, "nothing reads the others", "warning")
            )
        return resolved, tuple(violations)

    def judge(self, arrays: Mapping[str, Array]) -> tuple[Violation, ...]:
        """Return every breach of shape, dtype, range and rule among arrays that bear the contract's keys."""
        specs = [spec for spec in self.arrays if spec.key in arrays]
        alone = {spec.key: tuple(spec.breaches(arrays[spec.key])) for spec in specs}
        between = tuple(_dimension_breaches(specs, arrays))
        unsound = {key for key, found in alone.items() if found} | {violation.place for violation in between}
        ruled = (
            violation
            for rule in self.rules
            if all(key in arrays and key not in unsound for key in rule.needs)
            for violation in rule.breaches(arrays)
        )
        return (*(violation for found in alone.values() for violation in found), *between, *ruled)

    def as_markdown(self) -> str:
        """Return the contract as a Markdown page."""
        rows = [
            f"| `{spec.key}` | {spec.wanted_shape()} | {spec.dtype} | {spec.unit} | "
            f"{'required' if spec.required else 'optional'} | {_meaning(spec)} |"
            for spec in self.arrays
        ]
        head = ["| key | shape | dtype | unit | | meaning |", "|---|---|---|---|---|---|"]
        rules = [f"- {rule.sentence()}" for rule in self.rules]
        return "\n".join([f"# Contract {self.id}", "", self.summary, "", *head, *rows, "", *rules, ""])


def _meaning(spec: ArraySpec) -> str:
    aliases = f" Also known as {', '.join(f'`{alias}`' for alias in spec.aliases)}." if spec.aliases else ""
    least = f" At least {spec.minimum:g}." if spec.minimum is not None else ""
    return f"{spec.meaning}{least}{aliases}"


def _missing(key: str, names: tuple[str, ...], arrays: Mapping[str, Array]) -> Violation:
    wanted = " or ".join(shown(name) for name in names)
    remedy = "save the array under that name, or name it in the card"
    return Violation("key.missing", key, _listed(list(arrays)), wanted, remedy)


def _disagreements(key: str, present: list[str], arrays: Mapping[str, Array]) -> Iterator[Violation]:
    first, *others = present
    for other in others:
        if not np.array_equal(arrays[first], arrays[other]):
            found = f"both {first} and {other}, with different values"
            yield Violation("key.duplicate", key, found, "one of them", "remove the one that is wrong")


def _dimension_breaches(specs: list[ArraySpec], arrays: Mapping[str, Array]) -> Iterator[Violation]:
    lengths: dict[str, tuple[int, str]] = {}  # dimension -> its length, and the array that set it
    for spec in specs:
        dimensions = spec.dimensions(arrays[spec.key]) or {}
        wrong = {d: n for d, n in dimensions.items() if lengths.setdefault(d, (n, spec.key))[0] != n}
        if wrong:
            found = ", ".join(f"{dimension} = {length}" for dimension, length in wrong.items())
            wanted = ", ".join(f"{d} = {lengths[d][0]} as in {lengths[d][1]}" for d in wrong)
            remedy = "save arrays that belong together"
            yield Violation("dimension.mismatch", spec.key, found, wanted, remedy)


def _listed(names: list[str]) -> str:
    if not names:
        return "no array"
    rest = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"the arrays {', '.join(shown(name) for name in names[:_NAMES_SHOWN])}{rest}"
