"""A contract on named arrays and their metadata, as data, and a check that reports every breach at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
from pydantic import SerializeAsAny, model_validator

from smalti.contracts import markdown
from smalti.contracts.arrays import Array, ArraySpec
from smalti.contracts.base import AnyContract
from smalti.contracts.fields import FieldSpec
from smalti.contracts.parts import arrays_in, parts_of
from smalti.contracts.rules import Rule
from smalti.contracts.violation import Violation, shown

_NAMES_SHOWN = 12


class Contract(AnyContract):
    """Named arrays, metadata, and the rules between them.

    ``check`` is ``resolve`` (names) followed by ``check_arrays`` (values); a reader converts in between.

    Attributes:
        arrays: what each array must be.
        fields: what each entry of metadata must be.
        rules: what must hold between them, or deserves a severity of its own.
    """

    arrays: tuple[ArraySpec, ...]
    fields: tuple[FieldSpec, ...] = ()
    rules: tuple[SerializeAsAny[Rule], ...] = ()

    def spec(self, key: str) -> ArraySpec:
        """Return what the contract says of the array that goes by ``key``."""
        return next(own for spec in self.arrays for own in spec.of_each((key,)))

    def extended(
        self,
        name: str,
        version: int,
        summary: str,
        *,
        arrays: tuple[ArraySpec, ...] = (),
        fields: tuple[FieldSpec, ...] = (),
        rules: tuple[Rule, ...] = (),
    ) -> Self:
        """Return a contract that asks for this and more; what has a key that is here already replaces it."""
        more = {
            "arrays": tuple({spec.key: spec for spec in (*self.arrays, *arrays)}.values()),
            "fields": tuple({spec.key: spec for spec in (*self.fields, *fields)}.values()),
            "rules": (*self.rules, *rules),
        }
        return type(self)(**{**dict(self), "name": name, "version": version, "summary": summary, **more})

    def check(self, value: Any) -> tuple[Violation, ...]:
        """Return every breach, names first; empty when the contract is kept. Nothing is read or changed.

        Args:
            value: a mapping of names to arrays (and to numbers and text, the metadata), or a value that consists of
                such parts: a scan, a product, a checkpoint, a tree.
        """
        parts = parts_of(value)
        claimed = {name for spec in self.fields for name in (spec.key, *spec.aliases)}
        arrays = {name: array for name, array in arrays_in(parts).items() if name not in claimed}
        resolved, violations = self.resolve(arrays)
        return (*violations, *self.check_arrays(resolved, parts))

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
            present = [name for name in names if name in arrays] or spec.matching(arrays)
            used.update(present)
            if "*" in spec.key and present:
                resolved.update({name: arrays[name] for name in present})
            elif present:
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

    def check_arrays(
        self, arrays: Mapping[str, Array], metadata: Mapping[str, Any] | None = None
    ) -> tuple[Violation, ...]:
        """Return every breach of shape, dtype, range, metadata and rule.

        Args:
            arrays: under the contract's keys, see ``resolve``.
            metadata: numbers and text by name.
        """
        specs = [own for spec in self.arrays for own in spec.of_each(arrays)]
        alone = {spec.key: tuple(spec.breaches(arrays[spec.key])) for spec in specs}
        between = tuple(_dimension_breaches(specs, arrays))
        said = {spec.key: spec.value_in(metadata or {}) for spec in self.fields}
        fields = {spec.key: tuple(spec.breaches(said[spec.key])) for spec in self.fields}
        unsound = {key for key, found in (*alone.items(), *fields.items()) if found}
        unsound |= {violation.place for violation in between}
        values = {**arrays, **{key: value for key, value in said.items() if value is not None}}
        ruled = (
            violation
            for rule in self.rules
            if all(key in values and key not in unsound for key in rule.needs)
            for violation in rule.breaches(values)
        )
        found = (violation for breaches in (*alone.values(), *fields.values()) for violation in breaches)
        return (*found, *between, *ruled)

    def describe(self) -> str:
        """Return the contract as a Markdown page."""
        arrays = [
            (f"`{spec.key}`", spec.wanted_shape(), spec.dtype, spec.unit, _need(spec), _meaning(spec))
            for spec in self.arrays
        ]
        fields = [
            (f"`{spec.key}`", spec.kind, spec.unit, _need(spec), _meaning(spec, _choices(spec))) for spec in self.fields
        ]
        rules = [f"{r.sentence()}{' (Only a warning.)' if r.severity == 'warning' else ''}" for r in self.rules]
        return markdown.page(
            f"Contract {self.id}",
            self.summary,
            markdown.table(("key", "shape", "dtype", "unit", "", "meaning"), arrays),
            markdown.table(("metadata", "kind", "unit", "", "meaning"), fields),
            markdown.bullets(rules),
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        keys = [*(spec.key for spec in self.arrays), *(spec.key for spec in self.fields)]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"each key once, and {', '.join(twice)} is there twice")
        for rule in self.rules:
            if strange := [key for key in rule.needs if key not in keys]:
                raise ValueError(f"rules about keys of the contract, and {type(rule).__name__} needs {strange}")
        return self


def _need(spec: ArraySpec | FieldSpec) -> str:
    if isinstance(spec, FieldSpec) and spec.severity == "warning":
        return "expected" if spec.required else "optional"
    return "required" if spec.required else "optional"


def _choices(spec: FieldSpec) -> str:
    return f"One of {', '.join(spec.choices)}." if spec.choices else ""


def _meaning(spec: ArraySpec | FieldSpec, more: str = "") -> str:
    aliases = f"Also known as {markdown.code(spec.aliases)}." if spec.aliases else ""
    return " ".join(part for part in (spec.meaning, spec.range_in_words(), more, aliases) if part)


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
