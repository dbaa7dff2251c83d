"""What one entry of metadata must be: a number with its unit and range, or text, maybe one of a few."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from smalti.contracts.bounds import Bounded
from smalti.contracts.violation import Severity, Violation, shown

_KINDS: dict[str, tuple[type, ...]] = {"number": (int, float), "integer": (int,), "text": (str,), "flag": (bool,)}
_WORDS = {"number": "a number", "integer": "a whole number", "text": "text", "flag": "true or false"}


class FieldSpec(Bounded):
    """What one entry of metadata must be.

    Attributes:
        key: its name; a part of a document within is named with dots, e.g. ``state.epoch``.
        meaning: what it says, in words.
        kind: ``number``, ``integer``, ``text`` or ``flag``; text is never empty.
        unit: of a number.
        aliases: other names it goes by.
        choices: the texts it may be; none given, any.
        required: whether its absence is a breach.
        severity: of every breach.
    """

    key: str
    meaning: str
    kind: Literal["number", "integer", "text", "flag"] = "number"
    unit: str = "1"
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    required: bool = True
    severity: Severity = "error"

    def value_in(self, parts: Mapping[str, Any]) -> Any:
        """Return what ``parts`` say, as a plain Python value, or None where they say nothing."""
        said = next((parts[name] for name in (self.key, *self.aliases) if parts.get(name) is not None), None)
        if isinstance(said, np.ndarray | np.generic) and said.size == 1:
            said = said.item()
        return said.decode(errors="replace") if isinstance(said, bytes) else said

    def breaches(self, value: Any) -> Iterator[Violation]:
        """Yield what is wrong with the value that ``value_in`` returned."""
        if value is None:
            if self.required:
                remedy = f"state it{f' in {self.unit}' if self.unit != '1' else ''}, in the file or its card"
                yield self._breach("field.missing", "nothing", f"{_WORDS[self.kind]}: {self.meaning}", remedy)
        elif not isinstance(value, _KINDS[self.kind]) or (isinstance(value, bool) and self.kind != "flag"):
            yield self._breach("field.type", shown(repr(value)), _WORDS[self.kind], f"write {_WORDS[self.kind]}")
        elif isinstance(value, str):
            yield from self._text_breaches(value)
        elif isinstance(value, int | float):
            yield from self._number_breaches(value)

    def _text_breaches(self, text: str) -> Iterator[Violation]:
        if not text.strip():
            yield self._breach("field.missing", "empty text", self.meaning, f"state {self.key}")
        elif self.choices and text not in self.choices:
            wanted = f"one of {', '.join(self.choices)}"
            yield self._breach("field.category", shown(repr(text)), wanted, "write one of these")

    def _number_breaches(self, number: float) -> Iterator[Violation]:
        if not math.isfinite(number):
            yield self._breach("field.not_finite", str(number), "a finite number", "state it, or leave it out")
        for bound in self.bounds():
            if bound.broken_by(number):
                wanted = f"a value {bound.wanted}{f' {self.unit}' if self.unit != '1' else ''}"
                yield self._breach("field.out_of_range", f"{number:g}", wanted, "correct it, and its unit")

    def _breach(self, code: str, found: str, wanted: str, remedy: str) -> Violation:
        return Violation(code, self.key, found, wanted, remedy, self.severity)
