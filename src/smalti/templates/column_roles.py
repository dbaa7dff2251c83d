"""What one column holds, from its values and the whole words of its name: a role, a confidence and the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from smalti.templates.inputs import kind_of
from smalti.templates.labels import words_of

Role = Literal["target", "id", "number", "category", "text", "date", "boolean", "constant", "other"]

FEW_ROWS = 20  # below, nothing is sure
_LEAST_SURE = 0.6
_SAMPLE = 1000
_MOSTLY = 0.95

_ID_WORDS = frozenset({"id", "ids", "uuid", "guid"})
_ID_NAMES = frozenset({("index",), ("row", "number"), ("row", "num"), ("unnamed", "0")})
_CODE_WORDS = frozenset({"code", "zip", "zipcode", "postcode", "phone"})
_TIME_WORDS = frozenset({"year", "month", "day", "hour", "minute", "second", "date", "time", "age"})
_TRUTHS = ({"yes", "no"}, {"true", "false"}, {"y", "n"}, {"t", "f"})

_ISO_DATE = r"^\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?)?\s*$"
_DAY_FIRST_OR_LAST = r"^\s*\d{1,2}[/.]\d{1,2}[/.](\d{2}|\d{4})(\s.*)?$"
_NUMBER = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_ZEROS_IN_FRONT = r"^\s*[+-]?0[0-9]"


class Judgement(NamedTuple):
    """A role, how sure it is, from 0 to 1, and why, in words."""

    role: Role
    confidence: float
    reason: str


@dataclass(frozen=True)
class ColumnFacts:
    """A column and what its values are, each fact counted when it is first asked for."""

    name: str
    position: int
    values: pa.ChunkedArray

    @cached_property
    def kind(self) -> str:
        """What its values are to someone who writes them, as ``kind_of`` says."""
        return kind_of(self.values.type)

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(words_of(self.name))

    @cached_property
    def n_rows(self) -> int:
        return len(self.values)

    @cached_property
    def n_missing(self) -> int:
        if self.kind != "text":
            return int(self.values.null_count)
        return int(self.values.null_count) + int(pc.sum(pc.equal(self.values, "")).as_py() or 0)

    @cached_property
    def present(self) -> pa.ChunkedArray:
        """The values that are not missing; empty text is a missing value."""
        values = self.values.drop_null()
        return values.filter(pc.not_equal(values, "")) if self.kind == "text" else values

    @cached_property
    def distinct(self) -> pa.Array:
        """The different values, of a column that is not ``other``."""
        return self.present.unique()

    @cached_property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers only, however they are held."""
        if self.kind != "number":
            return False
        if pa.types.is_integer(self.values.type):
            return True
        numbers = self.distinct.cast(pa.float64())
        return bool(pc.all(pc.and_(pc.is_finite(numbers), pc.equal(pc.floor(numbers), numbers)), min_count=0).as_py())

    @cached_property
    def span(self) -> float:
        """The largest minus the smallest of its numbers."""
        ends = pc.min_max(self.distinct)
        return float(ends["max"].as_py()) - float(ends["min"].as_py())

    @cached_property
    def is_unique(self) -> bool:
        return not self.n_missing and len(self.distinct) == self.n_rows

    @cached_property
    def sample(self) -> pa.Array:
        """Some of its different texts."""
        return self.distinct.slice(0, _SAMPLE)

    def share(self, pattern: str) -> float:
        """Return the share of its texts that match."""
        return float(pc.mean(pc.match_substring_regex(self.sample, pattern=pattern).cast(pa.int8())).as_py() or 0)


def role_of(facts: ColumnFacts) -> Judgement:
    """Return what the column holds; a table of fewer than 20 rows leaves every answer but the type's own in doubt."""
    judgement = next(_judgements(facts))
    sure = judgement.confidence == 1.0 or facts.n_rows >= FEW_ROWS
    return judgement if sure else judgement._replace(confidence=min(judgement.confidence, _LEAST_SURE))


def _judgements(facts: ColumnFacts) -> Iterator[Judgement]:
    if facts.kind == "other":
        yield Judgement("other", 1.0, f"values of type {facts.values.type}, which have no one text")
    if not len(facts.present):
        yield Judgement("constant", 0.99, "no values")
    if len(facts.distinct) == 1 and not facts.n_missing:
        yield Judgement("constant", 0.99, "the same value in each row")
    if facts.kind == "boolean":
        yield Judgement("boolean", 1.0, "truth values")
    if facts.kind == "date":
        yield Judgement("date", 1.0, f"values of type {facts.values.type}")
    if facts.kind == "duration":
        yield Judgement("number", 1.0, "durations")
    if facts.kind == "text":
        yield from _texts_that_read_as_other_than_text(facts)
    yield from _ids(facts)
    yield from _numbers(facts) if facts.kind == "number" else _texts(facts)


def _ids(facts: ColumnFacts) -> Iterator[Judgement]:
    if facts.kind == "number" and not facts.is_whole:
        return
    if _is_named_as_id(facts):
        if facts.is_unique:
            yield Judgement("id", 0.99, "named as an id, and all values differ")
        yield Judgement("id", 0.75, "named as an id, though values repeat or are missing")
    if not facts.is_unique or _TIME_WORDS & set(facts.words):
        return
    if facts.is_whole and facts.span == facts.n_rows - 1 and facts.n_rows >= FEW_ROWS:
        yield Judgement("id", 0.9, "whole numbers that count the rows")
    if facts.kind == "text" and not facts.share(r"\s") and facts.share(r"\d") > _MOSTLY:
        yield Judgement("id", 0.7, "all values differ, have digits and no spaces")


def _is_named_as_id(facts: ColumnFacts) -> bool:
    return bool(_ID_WORDS & set(facts.words[-1:])) or facts.words in _ID_NAMES


def _numbers(facts: ColumnFacts) -> Iterator[Judgement]:
    if not facts.is_whole:
        yield Judgement("number", 0.99, "numbers with fractions")
    n_distinct = len(facts.distinct)
    if n_distinct == 2 and facts.span == 1 and float(pc.min(facts.distinct).as_py()) == 0:
        yield Judgement("boolean", 0.8, "only 0 and 1")
    if facts.words and facts.words[-1] in _CODE_WORDS:
        yield Judgement("category", 0.7, "named as a code")
    if n_distinct <= 5 and facts.n_rows >= 20 * n_distinct:
        yield Judgement("category", 0.6, f"only {n_distinct} different whole numbers: codes, or counts")
    yield Judgement("number", 0.95, "whole numbers")


def _texts_that_read_as_other_than_text(facts: ColumnFacts) -> Iterator[Judgement]:
    if len(facts.distinct) == 2 and {text.strip().lower() for text in facts.distinct.to_pylist()} in _TRUTHS:
        yield Judgement("boolean", 0.9, f"only {' and '.join(sorted(facts.distinct.to_pylist()))}")
    if facts.share(_ISO_DATE) >= _MOSTLY:
        yield Judgement("date", 0.95, "text that reads as dates in ISO 8601")
    if facts.share(_DAY_FIRST_OR_LAST) >= _MOSTLY:
        yield Judgement("date", 0.7, "text that reads as dates; whether the day or the month comes first is not known")
    if facts.share(_NUMBER) >= _MOSTLY and not _is_named_as_id(facts):
        if facts.share(_ZEROS_IN_FRONT):
            yield Judgement("category", 0.7, "numerals with zeros in front, as codes have")
        yield Judgement("number", 0.7, "text that reads as numbers")


def _texts(facts: ColumnFacts) -> Iterator[Judgement]:
    n_distinct = len(facts.distinct)
    if n_distinct <= max(20, facts.n_rows // 20) and facts.n_rows >= 2 * n_distinct:
        yield Judgement("category", 0.9, f"{n_distinct} different texts that repeat")
    single_words = 1 - facts.share(r"\S\s+\S")
    if n_distinct <= facts.n_rows // 2 and single_words > _MOSTLY / 2:
        yield Judgement("category", 0.6, f"{n_distinct} different texts, most of one word")
    if single_words < 1 / 2:
        yield Judgement("text", 0.9, "texts of several words that hardly repeat")
    yield Judgement("text", 0.6, "texts that hardly repeat")
