"""What one column of a table must be: its names, type, range, categories; whether it may lack values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from smalti.contracts.bounds import Bounded
from smalti.contracts.tables.failures import Failures
from smalti.contracts.tables.pandera_import import import_pandera
from smalti.contracts.tables.value_rules import among, finite, first_of_its_kind, matching, within
from smalti.contracts.violation import Severity, Violation, shown

if TYPE_CHECKING:  # both take long to import: only those who validate a table pay
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

    def type_breach(self, column: pa.ChunkedArray) -> Violation | None:
        """Return what is wrong with the column's Arrow type; a column without any value is of every type."""
        family, held = family_of(column.type), shown(f"values of type {column.type}")
        if column.null_count == len(column) or family == self.type or (family, self.type) == ("integer", "number"):
            return None
        if (family, self.type) == ("integer", "text"):  # the reader of CSV takes numerals for numbers
            found, remedy = f"whole numbers ({column.type})", "save it as text where zeros in front matter"
            return Violation("column.type", self.key, found, "text", remedy, "warning")
        if (family, self.type) == ("number", "integer") and _is_whole(column):
            if not _may_be_rounded(column):
                return None
            held = f"whole numbers so large that {column.type} may have rounded them"
        return Violation("column.type", self.key, held, self.type, f"save it as {self.type}")

    def as_validated(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return a column of the right type as its rules see it.

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
        return column.cast(kind).cast(pa.float32()) if pa.types.is_float16(kind) else column.cast(kind)

    def for_pandera(self) -> pandera.Column:
        """Return the rules on its values as a pandera column; the name of each check is the rule's."""
        from_pandera = import_pandera()
        rules = [("range", within(bound)) for bound in self.bounds()]
        if self.unique:  # to pandera's own rule, two missing values are one value twice
            rules.append(("repeated", first_of_its_kind()))
        if self.choices:
            rules.append(("category", among(self.choices)))
        if self.pattern is not None:
            rules.append(("pattern", matching(self.pattern)))
        if self.type == "number":
            rules.append(("not_finite", finite()))
        checks = [from_pandera.Check(rule, name=name, n_failure_cases=1) for name, rule in rules]
        column: pandera.Column = from_pandera.Column(checks=checks, nullable=self.nullable, description=self.meaning)
        return column

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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        numbers, choice = self.type in ("integer", "number"), int if self.type in ("integer", "number") else str
        if not numbers and any(self.bounds()):
            raise ValueError(f"a range is for numbers, and {self.key} is {self.type}")
        if self.pattern is not None and self.type != "text":
            raise ValueError(f"a pattern is for text, and {self.key} is {self.type}")
        if self.choices and not (
            self.type in ("integer", "number", "text") and all(type(c) is choice for c in self.choices)
        ):
            raise ValueError(
                f"choices are for text and numbers and of the column's type, and {self.key} is {self.type}"
            )
        return self


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values themselves, where a column lists each of them once."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def family_of(kind: pa.DataType) -> str:
    """Return ``integer``, ``number``, ``text``, ``flag``, ``time``, ``nothing``, or the type's own name."""
    import pyarrow as pa

    families = {
        "integer": (pa.types.is_integer,),
        "number": (pa.types.is_floating, pa.types.is_decimal),
        "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        "flag": (pa.types.is_boolean,),
        "time": (pa.types.is_date, pa.types.is_time, pa.types.is_timestamp),
        "nothing": (pa.types.is_null,),
    }
    plain = plain_type(kind)
    return next((family for family, tests in families.items() if any(test(plain) for test in tests)), str(plain))


def _is_whole(column: pa.ChunkedArray) -> bool:
    import pyarrow.compute as pc

    plain = column.cast(plain_type(column.type))
    return bool(pc.all(pc.equal(pc.floor(plain), plain), min_count=0).as_py())


def _may_be_rounded(column: pa.ChunkedArray) -> bool:
    """Tell whether there are values beyond those up to which the column's floats hold every whole number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = plain_type(column.type)
    if not pa.types.is_floating(kind):
        return False
    exact = 2.0 ** {16: 11, 32: 24, 64: 53}[kind.bit_width]
    return bool(pc.any(pc.greater_equal(pc.abs(column.cast(kind).cast(pa.float64())), exact), min_count=0).as_py())
