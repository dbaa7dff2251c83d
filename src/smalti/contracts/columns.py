"""What one column of a table must be: its names, type, range, categories; whether it may lack values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from smalti.contracts.arrow_types import family_of, plain_type
from smalti.contracts.bounds import Bounded
from smalti.contracts.failures import Failures
from smalti.contracts.violation import Severity, Violation

if TYPE_CHECKING:  # both take long to import: only those who judge a table pay
    import pandera.pandas as pandera
    import pyarrow as pa

ColumnRule = Literal["null", "repeated", "range", "category", "pattern"]


class ColumnSpec(Bounded):
    """What one column must be.

    Attributes:
        key: its name.
        meaning: what it holds, in words.
        type: the family of its Arrow type; whole numbers pass as ``integer`` however they are held, and as ``number``.
        unit: of its values.
        aliases: other names it goes by.
        required: whether the table must have it.
        nullable: whether values may be missing; empty text is no value.
        unique: whether no value may occur twice.
        choices: the values there may be; none given, any.
        pattern: a regular expression that each text must match from beginning to end.
        warns: those of its rules whose breach is only a warning.
    """

    key: str
    meaning: str
    type: Literal["integer", "number", "text", "flag", "time"]
    unit: str = "1"
    aliases: tuple[str, ...] = ()
    required: bool = True
    nullable: bool = False
    unique: bool = False
    choices: tuple[int | str, ...] = ()
    pattern: str | None = None
    warns: frozenset[ColumnRule] = frozenset()

    def severity(self, rule: str) -> Severity:
        """Return how a breach of one of its rules is taken."""
        return "warning" if rule in self.warns else "error"

    def accepts(self, column: pa.ChunkedArray) -> bool:
        """Tell whether the column's Arrow type is of the family; a column without any value is of every family."""
        import pyarrow.compute as pc

        family = family_of(column.type)
        if column.null_count == len(column):
            return True
        if self.type == "integer" and family == "number":
            return bool(pc.all(pc.equal(pc.floor(column), column), min_count=0).as_py())
        widenings = {("integer", "number"), ("integer", "text")}  # a reader of CSV takes numerals for numbers
        return family == self.type or (family, self.type) in widenings

    def as_judged(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return a column that was accepted as its rules see it, in a type that Arrow can compare.

        Empty text is no value: a CSV file cannot tell one from the other, so neither do the rules.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        usual = {
            "integer": pa.int64(),
            "number": pa.float64(),
            "text": pa.large_string(),
            "flag": pa.bool_(),
            "time": pa.timestamp("us"),
        }[self.type]
        if column.null_count == len(column):
            return pa.chunked_array([pa.nulls(len(column), usual)])
        kind = plain_type(column.type)
        if self.type == "text":
            text = column.cast(kind).cast(usual)
            return pc.if_else(pc.equal(text, pa.scalar("", usual)), pa.scalar(None, usual), text)
        awkward = pa.types.is_decimal(kind) or pa.types.is_float16(kind)
        return column.cast(kind).cast(pa.float64()) if awkward else column.cast(kind)

    def for_pandera(self) -> pandera.Column:
        """Return the rules on its values as a pandera column; the name of each check is the rule's."""
        import pandera.pandas as pandera

        checks = [pandera.Check(_keeps(bound), name="range", n_failure_cases=1) for bound in self.bounds()]
        if self.unique:  # to pandera's own rule, two missing values are one value twice
            checks.append(pandera.Check(_is_first, name="repeated", n_failure_cases=1))
        if self.choices:
            checks.append(pandera.Check.isin(self.choices, name="category", n_failure_cases=1))
        if self.pattern is not None:
            checks.append(pandera.Check(_matches(self.pattern), name="pattern", n_failure_cases=1))
        if self.type == "number":
            checks.append(pandera.Check(_is_finite, name="not_finite", n_failure_cases=1))
        return pandera.Column(
            checks=checks,
            nullable=self.nullable,
            description=self.meaning,
        )

    def breach(self, failures: Failures) -> Violation:
        """Return the violation of one of the rules on its values."""
        rule = failures.rule
        wanted, remedy = {
            "null": ("a value in every row", "fill in the missing values, or drop those rows"),
            "repeated": ("each value once", "remove the rows that are there twice"),
            "range": (f"values {' and '.join(bound.wanted for bound in self.bounds())}", "correct those values"),
            "category": (f"one of {', '.join(map(str, self.choices))}", "write one of these, as it is spelt here"),
            "pattern": (f"text that matches {self.pattern}", "correct those values"),
            "not_finite": ("finite numbers", "leave the value out where it is not known"),
        }.get(rule, (failures.wanted, "correct those values"))
        return Violation(
            f"column.{rule}", self.key, failures.found, wanted, remedy, self.severity(rule), failures.index
        )

    def asks(self) -> str:
        """Return its rules in words."""
        parts = [
            self.range_in_words(),
            f"One of {', '.join(map(str, self.choices))}." if self.choices else "",
            f"Matches `{self.pattern}`." if self.pattern is not None else "",
            "Each value once." if self.unique else "",
            "May be missing." if self.nullable else "",
            f"Only a warning: {', '.join(sorted(self.warns))}." if self.warns else "",
        ]
        return " ".join(part for part in parts if part)


def _keeps(bound: Any) -> Any:
    return lambda values: ~bound.broken_by(values)


def _matches(pattern: str) -> Any:
    return lambda values: values.str.fullmatch(pattern)


def _is_first(values: Any) -> Any:
    return ~values.duplicated()


def _is_finite(values: Any) -> Any:
    return values.abs() != float("inf")
