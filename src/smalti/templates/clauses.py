"""The clauses a text is made of: a label, the value of a column or a fact derived from several, and a unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from smalti.errors import Refused
from smalti.templates.written import TEXT, for_each_distinct, written

SEPARATOR = ", "


@dataclass(frozen=True, slots=True)
class Clause:
    """What a text says of one column: ``label value unit``.

    Attributes:
        label: the words before the value, the same in each row.
        column: the column that is written.
        unit: the words after the value; none, nothing follows it.
        missing: what stands for a missing value, as in ``age unknown``; None, the clause is left out of that row.
        words: words for some of the values, as codes; keys are values as ``written`` writes them.
    """

    label: str
    column: str
    unit: str = ""
    missing: str | None = "unknown"
    words: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_plain(self.label, self.unit, self.missing, *self.words.values())

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is written from."""
        return (self.column,)

    def texts(self, columns: Mapping[str, pa.Array]) -> pa.Array:
        """Return the clause in each row, as large_string; null where it is left out."""
        return for_each_distinct(self._texts, columns[self.column])

    def _texts(self, values: pa.Array) -> pa.Array:
        return _labelled(self.label, _spelt(written(values), self.words), self.unit, self.missing)


@dataclass(frozen=True, slots=True)
class DerivedClause:
    """A fact that follows from several columns, or from a part of one: ``label value unit``.

    Attributes:
        label, unit, missing: as of a Clause.
        columns: the columns it is derived from.
        derive: what gives the values, in the order of ``columns`` arrays of N values each -> one array of N values, of
            any type that has a text. Each result depends on its own row only.
    """

    label: str
    columns: tuple[str, ...]
    derive: Callable[..., pa.Array]
    unit: str = ""
    missing: str | None = "unknown"

    def __post_init__(self) -> None:
        _require_plain(self.label, self.unit, self.missing)

    def texts(self, columns: Mapping[str, pa.Array]) -> pa.Array:
        """Return the clause in each row, as large_string; null where it is left out."""
        values = self.derive(*(columns[name] for name in self.columns))
        return for_each_distinct(self._texts, values)

    def _texts(self, values: pa.Array) -> pa.Array:
        return _labelled(self.label, written(values), self.unit, self.missing)


def joined(clauses: list[pa.Array]) -> pa.Array:
    """Return the clauses of each row, joined by ``, ``; those that are null are left out. There is at least one."""
    empty = clauses[0].is_null()
    for clause in clauses[1:]:
        empty = pc.and_(empty, clause.is_null())
    first = pc.if_else(empty, pa.scalar("", TEXT), clauses[0])  # Arrow drops rows of which every clause is null
    return pc.binary_join_element_wise(first, *clauses[1:], pa.scalar(SEPARATOR, TEXT), null_handling="skip")


def _labelled(label: str, values: pa.Array, unit: str, missing: str | None) -> pa.Array:
    words = [pa.scalar(label, TEXT), values, *([pa.scalar(unit, TEXT)] if unit else [])]
    texts = pc.binary_join_element_wise(*words, pa.scalar(" ", TEXT))
    return texts if missing is None else pc.fill_null(texts, f"{label} {missing}")


def _spelt(values: pa.Array, words: Mapping[str, str]) -> pa.Array:
    if not words:
        return values
    found = pc.index_in(values, value_set=pa.array(list(words), TEXT))
    return pc.coalesce(pa.array(list(words.values()), TEXT).take(found), values)


def _require_plain(label: str, *words: str | None) -> None:
    if not label.strip():
        raise Refused("a clause has no label; give it the words that stand before the value")
    for text in (label, *filter(None, words)):
        if SEPARATOR in text or not all(letter.isprintable() for letter in text):
            raise Refused(f"{text!r} cannot be in a clause; write it on one line, without a comma before a space")
