"""The texts depend on the data, not on the form it is given in: pandas, pyarrow, lists, or row by row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.errors import Refused
from smalti.templates import Clause, ClauseTemplate, TabularTextConverter, TextTemplateEngine

_MOMENTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "whole": st.integers(-(2**53) + 1, 2**53 - 1),
    "fraction": st.floats(allow_nan=False),
    "word": st.text(),
    "flag": st.booleans(),
    "moment": _MOMENTS,
    "instant": _MOMENTS.map(lambda moment: moment.replace(tzinfo=dt.UTC)),
    "day": st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1)),
    "exact": st.decimals(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000, places=2),
}
_TYPES = {
    "whole": pa.int64(),
    "fraction": pa.float64(),
    "word": pa.string(),
    "flag": pa.bool_(),
    "moment": pa.timestamp("us"),
    "instant": pa.timestamp("us", "UTC"),
    "day": pa.date32(),
    "exact": pa.decimal128(12, 2),
}
ENGINE = TextTemplateEngine([ClauseTemplate("plain_v1", tuple(Clause(name, name) for name in _VALUES))])


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    n_rows = draw(st.integers(1, 6))
    columns = {
        name: pa.array(draw(st.lists(st.none() | values, min_size=n_rows, max_size=n_rows)), _TYPES[name])
        for name, values in _VALUES.items()
    }
    return pa.table(columns)


def _from_every_form(table: pa.Table) -> dict[str, list[str]]:
    frame = table.to_pandas()
    nullable = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get)
    arrow_backed = table.to_pandas(types_mapper=pd.ArrowDtype)
    forms: dict[str, Any] = {
        "arrow": table,
        "arrow, in chunks": pa.concat_tables([table.slice(0, 1), table.slice(1)]),
        "arrow, large text": table.set_column(2, "word", table["word"].cast(pa.large_string())),
        "arrow, text view": table.set_column(2, "word", table["word"].cast(pa.string_view())),
        "arrow, dictionary": table.set_column(2, "word", table["word"].dictionary_encode()),
        "pandas": frame,
        "pandas, objects": frame.astype(object),
        "pandas, categories": frame.assign(word=frame["word"].astype("category")),
        "pandas, nullable": nullable,
        "pandas, arrow": arrow_backed,
        "lists": table.to_pydict(),
    }
    texts = {name: ENGINE.convert_data(form, "plain_v1") for name, form in forms.items()}
    for name in ("pandas", "pandas, objects", "pandas, nullable"):
        rows = [forms[name].iloc[at] for at in range(table.num_rows)]
        texts[f"{name}, row by row"] = [ENGINE.convert_row(row, "plain_v1") for row in rows]
    texts["dicts, row by row"] = [ENGINE.convert_row(row, "plain_v1") for row in table.to_pylist()]
    return texts


@settings(deadline=None, max_examples=60)
@given(tables())
def test_the_same_data_gives_the_same_texts_in_every_form(table: pa.Table) -> None:
    texts = _from_every_form(table)
    first = texts["arrow"]
    assert {name: made for name, made in texts.items() if made != first} == {}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(width=32) | st.none(), min_size=1), st.integers(0, 255))
def test_a_row_of_numbers_that_pandas_made_wider_gives_the_text_of_the_table(
    numbers: list[float | None], small: int
) -> None:
    engine = TextTemplateEngine([ClauseTemplate("n_v1", (Clause("a", "a"), Clause("b", "b"), Clause("c", "c")))])
    singles = np.array([np.nan if number is None else number for number in numbers], np.float32)
    whole = np.full(len(numbers), small, np.uint8)
    frame = pd.DataFrame({"a": singles, "b": whole, "c": whole * 0.5})
    assert [engine.convert_row(frame.iloc[at], "n_v1") for at in range(len(frame))] == engine.convert_data(
        frame, "n_v1"
    )


def test_more_rows_than_are_converted_at_once_come_in_order() -> None:
    n_rows = 150_000
    engine = TextTemplateEngine([ClauseTemplate("n_v1", (Clause("n", "n"),))])
    texts = engine.convert_data({"n": np.arange(n_rows)}, "n_v1")
    assert texts == [f"n {number}" for number in range(n_rows)]


def test_a_table_without_rows_gives_no_texts() -> None:
    assert ENGINE.convert_data(pa.schema(list(_TYPES.items())).empty_table(), "plain_v1") == []
    assert TextTemplateEngine([ClauseTemplate("x_v1", (Clause("x", "x"),))]).convert_data({"x": []}, "x_v1") == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, "a"], "its values are int, str"),
        ([True, 1], "its values are bool, int"),
        ([1j], "complex"),
        ([2**70], "its values are int"),
        (["\ud800"], "its values are str"),
        ([[1], [2]], "list<item: int64>, which have no one text"),
        ([{"a": 1}], "struct<a: int64>"),
        ([b"bytes"], "binary"),
        ([pd.Interval(0, 1)], "Interval"),
        ("text", "is str; give a list"),
        (5, "is int; give a list"),
        ({1, 2}, "is set; give a list"),
        ({"a": 1}, "is dict; give a list"),
        (np.zeros((2, 2)), "1-dimensional"),
    ],
)
def test_what_has_no_text_is_refused_by_the_name_of_its_column(values: Any, words: str) -> None:
    engine = TextTemplateEngine([ClauseTemplate("x_v1", (Clause("x", "x"),))])
    with pytest.raises(Refused, match=f"column 'x'.*{words}"):
        engine.convert_data({"x": values}, "x_v1")


def test_a_column_that_has_no_text_is_no_obstacle_to_a_template_that_does_not_ask_for_it() -> None:
    engine = TextTemplateEngine([ClauseTemplate("x_v1", (Clause("x", "x"),))])
    assert engine.convert_data({"x": [1], "vector": [[1.0, 2.0]]}, "x_v1") == ["x 1"]


@pytest.mark.parametrize("table", [[1, 2], "titanic.csv", None, pd.Series([1]), np.zeros((2, 2))])
def test_what_is_no_table_is_refused(table: Any) -> None:
    with pytest.raises(Refused, match=r"a table was wanted and .* was given; give a pandas DataFrame"):
        ENGINE.convert_data(table, "plain_v1")


@pytest.mark.parametrize("row", [[1, 2], 3, pd.DataFrame({"a": [1]}), pa.table({"a": [1]})])
def test_what_is_no_row_is_refused(row: Any) -> None:
    with pytest.raises(Refused, match=r"a row was wanted and .* was given; give a pandas Series"):
        ENGINE.convert_row(row, "plain_v1")


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pa.table([[1], [2]], names=["a", "a"]),
        {1: [1], "1": [2]},
    ],
)
def test_a_name_that_occurs_twice_is_refused(table: Any) -> None:
    with pytest.raises(Refused, match="several columns named"):
        TabularTextConverter().fit(table)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(Refused, match="not of one length: a 1, b 2"):
        TabularTextConverter().fit({"a": [1], "b": [1, 2]})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.datetime64("2024-01-05"), "x 2024-01-05"),
        (np.float32(0.1), "x 0.1"),
        (np.int8(3), "x 3"),
        (np.bool_(True), "x yes"),
        (np.str_("a"), "x a"),
        (pd.Timestamp("2024-01-05 10:30", tz="Europe/Berlin"), "x 2024-01-05 09:30 UTC"),
        (pd.NaT, "x unknown"),
        (pd.NA, "x unknown"),
        (np.nan, "x unknown"),
        (None, "x unknown"),
        ("", "x unknown"),
        (Decimal("7.50"), "x 7.5"),
    ],
)
def test_a_single_value_is_written_as_in_a_column(value: Any, text: str) -> None:
    make: tuple[Callable[..., Any], ...] = (
        lambda: {"x": value},
        lambda: pd.Series({"x": value, "z": "z"}, dtype=object),
    )
    for row in make:
        assert TabularTextConverter().convert_row(row()).split(", ")[0] == text
