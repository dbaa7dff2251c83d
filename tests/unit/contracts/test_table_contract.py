"""Table contracts: types, gaps, ranges, categories, rows, and what changed since the last accepted version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from smalti.contracts import TABLE, ColumnSpec, TableContract, Violation
from smalti.contracts.builtin.titanic import TITANIC_TEST, TITANIC_TRAIN
from smalti.contracts.tables.pandera_import import import_pandera
from smalti.errors import Refused
from smalti.formats import TableContent, read_file
from smalti.testing.tables import arrow_arrays, arrow_tables, frames

pandera = import_pandera()


def passengers(**columns: Any) -> pa.Table:
    """Four rows of the train table, with other columns in place of its own, or without those that are None."""
    table = {
        "PassengerId": [1, 2, 3, 4],
        "Survived": [0, 1, 1, 0],
        "Pclass": [3, 1, 3, 2],
        "Name": ["Braund", "Cumings", "Heikkinen", "Futrelle"],
        "Sex": ["male", "female", "female", "female"],
        "Age": [22, 38.5, None, 0.42],
        "SibSp": [1, 1, 0, 1],
        "Parch": [0, 0, 0, 0],
        "Ticket": ["A/5 21171", "PC 17599", "3101282", "113803"],
        "Fare": [7.25, 71.2833, 7.925, None],
        "Cabin": [None, "C85", None, "C123"],
        "Embarked": ["S", "C", "S", None],
    }
    return pa.table({name: column for name, column in {**table, **columns}.items() if column is not None})


SMALL = TITANIC_TRAIN.model_copy(update={"minimum_rows": 1, "maximum_rows": 4})

BREACHES: dict[str, tuple[Any, str, str, tuple[int, ...]]] = {
    "no column": ({"Sex": None}, "column.missing", "Sex: found the columns PassengerId, ", ()),
    "text for numbers": ({"Age": ["22", "38", "x", "1"]}, "column.type", "Age: found values of type string", ()),
    "fractions": ({"SibSp": [1, 0.5, 0, 0]}, "column.type", "SibSp: found values of type double, wanted integer", ()),
    "numbers for text": ({"Name": [0.5, 1, 2, 3]}, "column.type", "Name: found values of type double", ()),
    "a gap": (
        {"Pclass": [1, 2, None, 3]},
        "column.null",
        "found 1 of 4 rows without a value (first at row 2), wanted",
        (2,),
    ),
    "a gap in text": (
        {"Name": ["a", None, None, "d"]},
        "column.null",
        "2 of 4 rows without a value (first at row 1)",
        (1,),
    ),
    "empty text": ({"Name": ["a", "b", "", "d"]}, "column.null", "1 of 4 rows without a value (first at row 2)", (2,)),
    "all gaps": ({"Name": [None] * 4}, "column.null", "4 of 4 rows without a value (first at row 0)", (0,)),
    "twice": (
        {"PassengerId": [1, 2, 1, 2]},
        "column.repeated",
        "2 of 4 rows that repeat another (first at row 2: 1)",
        (2,),
    ),
    "too low": ({"Age": [22, 0, -1.5, 3]}, "column.range", "2 of 4 rows out of range (first at row 1: 0.0)", (1,)),
    "too high": ({"Age": [22, 120, 121, 3]}, "column.range", "values above 0 and of at most 120", (2,)),
    "infinite": (
        {"Fare": [1, float("inf"), 0, 2]},
        "column.not_finite",
        "that are infinite (first at row 1: inf)",
        (1,),
    ),
    "other class": (
        {"Pclass": [1, 2, 4, 3]},
        "column.category",
        "with another value (first at row 2: 4), wanted one of 1, 2, 3",
        (2,),
    ),
    "other spelling": (
        {"Sex": ["male", "Male", "female", "F"]},
        "column.category",
        "2 of 4 rows with another value (first at row 1: 'Male')",
        (1,),
    ),
    "extra column": ({"Deck": [1, 2, 3, 4]}, "column.unknown", "the table: found the columns Deck", ()),
    "numerals": ({"Ticket": [1, 2, 3, 4]}, "column.type", "Ticket: found whole numbers (int64), wanted text", ()),
}


def test_good_rows_keep_the_contract() -> None:
    assert SMALL.check(passengers()) == ()
    assert SMALL.check(passengers().to_pandas()) == ()


@pytest.mark.parametrize(("columns", "code", "says", "index"), BREACHES.values(), ids=BREACHES)
def test_each_breach_alone_is_one_violation(
    columns: dict[str, Any], code: str, says: str, index: tuple[int, ...]
) -> None:
    [violation] = SMALL.check(passengers(**columns))
    assert violation.code == code
    assert says in str(violation)
    assert violation.index == index
    assert violation.severity == ("warning" if code == "column.unknown" or "whole numbers" in says else "error")


def test_every_breach_is_reported_at_once() -> None:
    found = SMALL.check(passengers(Sex=None, Age=["x"] * 4, Pclass=[9, None, 1, 1], Parch=[-1, 0, 0, 0]))
    assert sorted(v.code for v in found) == [
        "column.category",
        "column.missing",
        "column.null",
        "column.range",
        "column.type",
    ]


LEGAL: dict[str, Callable[[], Any]] = {
    "narrow integers": lambda: passengers(Pclass=pa.array([1, 2, 3, 1], pa.int8())),
    "whole floats": lambda: passengers(SibSp=[1.0, 0.0, 2.0, 3.0]),
    "integers for numbers": lambda: passengers(Fare=[1, 2, 3, 4]),
    "categories": lambda: passengers(Sex=pa.array(["male", "female"] * 2).dictionary_encode()),
    "large text": lambda: passengers(Name=pa.array(list("abcd"), pa.large_string())),
    "empty text where values may be missing": lambda: passengers(Embarked=["S", "", "Q", None]),
    "a column without values": lambda: passengers(Cabin=[None] * 4),
    "another order": lambda: passengers().select(passengers().column_names[::-1]),
    "pandas with NaN": lambda: passengers().to_pandas().astype({"Age": "float64"}),
    "chunks": lambda: pa.concat_tables([passengers().slice(0, 1), passengers().slice(1)]),
}


@pytest.mark.parametrize("make", LEGAL.values(), ids=LEGAL)
def test_legal_variants_keep_the_contract(make: Callable[[], Any]) -> None:
    assert SMALL.check(make()) == ()


@pytest.mark.parametrize(("contract", "name", "rows"), [(TITANIC_TRAIN, "train", 891), (TITANIC_TEST, "test", 418)])
def test_the_titanic_tables_keep_their_contracts(
    star_path: Path, contract: TableContract, name: str, rows: int
) -> None:
    path = star_path.with_name(f"titanic_{name}.csv")
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside the measured scan")
    read = read_file(path)
    assert isinstance(read, TableContent)
    assert read.violations == ()
    table = read.table
    assert contract.check(table) == ()
    assert contract.check(pd.read_csv(path)) == ()
    [violation] = contract.check(table.slice(1))
    assert (violation.code, violation.severity) == ("table.rows", "warning")
    assert f"{rows - 1} rows, wanted {rows} rows" in str(violation)


def test_the_other_titanic_table_is_not_taken_for_it() -> None:
    missing = [v for v in TITANIC_TRAIN.check(passengers(Survived=None)) if v.severity == "error"]
    assert [(v.code, v.place) for v in missing] == [("column.missing", "Survived")]


ONE = ColumnSpec(key="a", meaning="", type="integer")


@pytest.mark.parametrize(
    ("rows", "says"), [(0, "found 0 rows, wanted 1 to 2 rows; save the whole table"), (3, "save each row once")]
)
def test_rows_are_counted(rows: int, says: str) -> None:
    contract = TableContract(name="mine", version=1, summary="", columns=(ONE,), maximum_rows=2)
    [violation] = contract.check(pa.table({"a": pa.array(range(rows), pa.int64())}))
    assert violation.code == "table.rows"
    assert says in str(violation)


def test_a_rule_of_a_column_can_be_a_warning() -> None:
    lenient = ONE.model_copy(update={"minimum": 0, "unique": True, "warns": frozenset({"range"})})
    contract = TableContract(name="mine", version=1, summary="", columns=(lenient,))
    found = contract.check(pa.table({"a": [1, 1, -1]}))
    assert {(v.code, v.severity) for v in found} == {("column.range", "warning"), ("column.repeated", "error")}
    assert "Only a warning: range." in contract.describe()


def test_texts_match_a_pattern_from_beginning_to_end() -> None:
    code = ColumnSpec(key="a", meaning="", type="text", pattern="[A-Z]{2}")
    contract = TableContract(name="mine", version=1, summary="", columns=(code,))
    assert contract.check(pa.table({"a": ["AB", "CD"]})) == ()
    [violation] = contract.check(pa.table({"a": ["AB", "CDE"]}))
    assert (violation.code, violation.index) == ("column.pattern", (1,))


def test_a_column_goes_by_other_names_but_by_one_at_a_time() -> None:
    contract = TableContract(
        name="mine", version=1, summary="", columns=(ONE.model_copy(update={"aliases": ("alpha",)}),)
    )
    assert contract.check(pa.table({"alpha": [1]})) == ()
    assert [v.code for v in contract.check(pa.table({"alpha": [1], "a": [1]}))] == ["column.duplicate"]


def test_any_table_needs_rows_and_names() -> None:
    assert TABLE.check(passengers()) == ()
    assert [v.code for v in TABLE.check(passengers().slice(0, 0))] == ["table.rows"]
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["a", "a", ""])
    assert [v.code for v in TABLE.check(twice)] == ["column.nameless", "column.duplicate"]


class Fares(TableContract):
    """First class costs something."""

    def pandera_schema(self) -> pandera.DataFrameSchema:
        paid = pandera.Check(
            lambda frame: (frame["Pclass"] != 1) | (frame["Fare"] > 0), error="first class has a fare above 0"
        )
        return pandera.DataFrameSchema(super().pandera_schema().columns, checks=paid)


def test_a_derived_contract_adds_any_check_of_pandera() -> None:
    mine = Fares.model_validate({**SMALL.model_dump(), "name": "fares"})
    assert mine.check(passengers()) == ()
    [violation] = mine.check(passengers(Fare=[1.0, 0, 1, 1]))
    assert violation.code == "table.rule"
    assert "wanted first class has a fare above 0" in str(violation)
    assert [v.code for v in mine.check(passengers(Fare=None))] == ["column.missing"]


def test_a_table_contract_is_extended_by_columns() -> None:
    fraction = ColumnSpec(key="Age", meaning="Age in parts of a century.", type="number", nullable=True, maximum=1)
    deck = ColumnSpec(key="Deck", meaning="Deck.", type="text", choices=("A", "B"))
    mine = Fares.model_validate(SMALL.model_dump()).extended("mine", 2, "Mine.", columns=(fraction, deck))
    assert (mine.id, type(mine), mine.maximum_rows) == ("mine/2", Fares, 4)
    assert mine.check(passengers(Age=[0.1, None, 0.2, 1], Deck=["A", "B", "A", "B"])) == ()
    assert sorted(v.code for v in mine.check(passengers())) == ["column.missing", "column.range"]


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(Refused, match="a dict is no table"):
        SMALL.check({"a": [1]})
    with pytest.raises(Refused, match="values of one type"):
        SMALL.check(pd.DataFrame({"a": [1, "x", object()]}))


def test_a_contract_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="a is there twice"):
        TableContract(name="mine", version=1, summary="", columns=(ONE, ONE))


@pytest.mark.parametrize(
    ("asks", "says"),
    [
        ({"type": "text", "minimum": 0}, "a range is for numbers, and a is text"),
        ({"type": "integer", "pattern": "x"}, "a pattern is for text, and a is integer"),
        ({"type": "integer", "choices": ("x",)}, "choices are .* of the column's type"),
        ({"type": "text", "choices": (1,)}, "choices are .* of the column's type"),
        ({"type": "flag", "choices": (1,)}, "choices are .* of the column's type"),
    ],
)
def test_a_column_whose_rules_do_not_fit_its_type_is_refused(asks: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ColumnSpec(key="a", meaning="", **asks)


@settings(max_examples=30)
@given(st.lists(st.integers(-5, 5) | st.none(), min_size=1, max_size=12))
def test_counts_and_first_rows_are_right(values: list[int | None]) -> None:
    column = ColumnSpec(key="a", meaning="", type="integer", minimum=0, choices=(0, 1, 2, 3, -1))
    contract = TableContract(name="mine", version=1, summary="", columns=(column,))
    found = {v.code: v for v in contract.check(pa.table({"a": pa.array(values, pa.int64())}))}
    bad = {
        "column.null": [i for i, v in enumerate(values) if v is None],
        "column.range": [i for i, v in enumerate(values) if v is not None and v < 0],
        "column.category": [i for i, v in enumerate(values) if v is not None and v not in (0, 1, 2, 3, -1)],
    }
    if all(v is None for v in values):
        return
    assert {code: (v.index, v.found.split()[0]) for code, v in found.items()} == {
        code: ((rows[0],), str(len(rows))) for code, rows in bad.items() if rows
    }


WIDE = st.integers(2**53 - 2, 2**53 + 2) | st.integers(2**63 - 2, 2**63 + 2) | st.integers(2**64 - 3, 2**64 - 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | WIDE, min_size=1, max_size=8), st.sampled_from([2**53, 2**53 + 2, 2**62, 2**64, 10**30]))
def test_whole_numbers_of_any_width_are_compared_exactly(values: list[int | None], least: int) -> None:
    spec = ColumnSpec(
        key="a", meaning="", type="integer", nullable=True, unique=True, minimum=least, choices=(2**64 - 1,)
    )
    contract = TableContract(name="mine", version=1, summary="", columns=(spec,))
    found = {v.code: v.index[0] for v in contract.check(pa.table({"a": pa.array(values, pa.uint64())}))}
    present = [(row, value) for row, value in enumerate(values) if value is not None]
    first = {
        "column.repeated": next((row for row, value in present if value in values[:row]), None),
        "column.range": next((row for row, value in present if value < least), None),
        "column.category": next((row for row, value in present if value != 2**64 - 1), None),
    }
    assert found == {code: row for code, row in first.items() if row is not None}


@pytest.mark.parametrize("least", [-(2**15), -(2**63)])
def test_the_least_integer_is_a_finite_number(least: int) -> None:
    kind = pa.int16() if least == -(2**15) else pa.int64()
    number = TableContract(
        name="mine", version=1, summary="", columns=(ColumnSpec(key="a", meaning="", type="number"),)
    )
    assert number.check(pa.table({"a": pa.array([least, 0], kind)})) == ()


def test_decimals_are_told_apart_to_the_last_digit() -> None:
    spec = ColumnSpec(key="a", meaning="", type="number", unique=True, minimum=1, choices=(1, 2))
    contract = TableContract(name="mine", version=1, summary="", columns=(spec,))
    ids = pa.array(["1.00000000000000000001", "1.00000000000000000002"]).cast(pa.decimal128(38, 20))
    assert [v.code for v in contract.check(pa.table({"a": ids}))] == ["column.category"]


@pytest.mark.parametrize(("kind", "exact"), [(pa.float64(), 2**53 - 1), (pa.float32(), 2**24 - 1)])
def test_whole_numbers_that_floats_may_have_rounded_are_no_integers(kind: pa.DataType, exact: int) -> None:
    contract = TableContract(name="mine", version=1, summary="", columns=(ONE,))
    assert contract.check(pa.table({"a": pa.array([1, exact], kind)})) == ()
    [violation] = contract.check(pa.table({"a": pa.array([1, exact + 1], kind)}))
    assert violation.code == "column.type"
    assert f"whole numbers so large that {kind} may have rounded them, wanted integer" in str(violation)


BEFORE = pa.schema({"a": pa.int64(), "b": pa.string(), "c": pa.float64()})
DRIFTS: dict[str, tuple[dict[str, pa.DataType], list[tuple[str, str, str]]]] = {
    "nothing": ({"a": pa.int64(), "b": pa.string(), "c": pa.float64()}, []),
    "gone": ({"a": pa.int64(), "c": pa.float64()}, [("drift.gone", "b", "error")]),
    "new": ({"a": pa.int64(), "b": pa.string(), "c": pa.float64(), "d": pa.int8()}, [("drift.new", "d", "warning")]),
    "narrower": ({"a": pa.int32(), "b": pa.string(), "c": pa.float64()}, [("drift.type", "a", "warning")]),
    "text": ({"a": pa.string(), "b": pa.string(), "c": pa.float64()}, [("drift.type", "a", "error")]),
    "no values": ({"a": pa.null(), "b": pa.string(), "c": pa.float64()}, []),
    "order": ({"b": pa.string(), "a": pa.int64(), "c": pa.float64()}, [("drift.order", "the table", "warning")]),
}


@pytest.mark.parametrize(("now", "drifted"), DRIFTS.values(), ids=DRIFTS)
def test_what_changed_since_the_accepted_version_is_named(
    now: dict[str, pa.DataType], drifted: list[tuple[str, str, str]]
) -> None:
    table = pa.schema(now).empty_table()
    contract = TABLE.model_copy(update={"minimum_rows": 0})
    found = contract.check(table, accepted=BEFORE)
    assert [(v.code, v.place, v.severity) for v in found] == drifted
    assert all(isinstance(violation, Violation) for violation in found)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(arrow_arrays(), st.data())
def test_whatever_a_column_holds_it_is_validated_and_never_raises(column: pa.Array, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["integer", "number", "text", "flag", "time"]))
    ranged = {"minimum": 0, "exclusive_maximum": 9} if kind in ("integer", "number") else {}
    choices = (1, 2) if kind == "integer" else ("u", "v") if kind == "text" else ()
    pattern = "[uv]" if kind == "text" else None
    spec = ColumnSpec(
        key="a", meaning="", type=kind, unique=True, nullable=False, choices=choices, pattern=pattern, **ranged
    )
    contract = TableContract(name="mine", version=1, summary="", columns=(spec,), minimum_rows=0)
    found = contract.check(pa.table({"a": column}))
    assert all(isinstance(violation, Violation) and "\n" not in str(violation) for violation in found)
    assert not any("a table that fails" in violation.found for violation in found)
    refused = any(violation.code == "column.type" and violation.severity == "error" for violation in found)
    missing = column.null_count + (sum(cell == "" for cell in column.to_pylist()) if kind == "text" else 0)
    nans = sum(cell != cell for cell in column.to_pylist()) if pa.types.is_floating(column.type) else 0  # noqa: PLR0124
    assert any(violation.code == "column.null" for violation in found) == (missing + nans > 0 and not refused)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(frames() | arrow_tables())
def test_any_table_is_validated(table: Any) -> None:
    try:
        found = TABLE.check(table)
    except Refused:
        return
    assert {v.code for v in found} <= {"table.rows", "column.nameless", "column.duplicate"}
