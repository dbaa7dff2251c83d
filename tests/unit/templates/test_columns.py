"""What a column holds follows from its values and the whole words of its name, with a confidence and a reason."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.errors import NotFound, Refused
from smalti.templates import describe_columns

N = 60
WORDS = ["red", "green", "blue"]


@pytest.mark.parametrize(
    ("name", "values", "role"),
    [
        ("PassengerId", range(1, N + 1), "id"),
        ("Id", [7 * number for number in range(N)], "id"),
        ("customer id", [f"c{number}" for number in range(N)], "id"),
        ("x", range(1000, 1000 + N), "id"),
        ("x", [f"A-{number:05}" for number in range(N)], "id"),
        ("paid", [1.5, 2.5, 3.5] * 20, "number"),
        ("width", [3 * number % 50 for number in range(N)], "number"),
        ("year", range(1960, 1960 + N), "number"),
        ("age", [22.0, None, 38.0, 0.75] * 15, "number"),
        ("took", [dt.timedelta(number) for number in range(N)], "number"),
        ("x", [f"{number}.5" for number in range(N)], "number"),
        ("zip", [f"0{number:04}" for number in range(N)], "category"),
        ("zip_code", [1000 + 3 * number for number in range(N)], "category"),
        ("deck", [1, 2, 3] * 20, "category"),
        ("colour", WORDS * 20, "category"),
        ("colour", ["red", None] * 30, "category"),
        ("comment", [f"seen on day {number} by the guard" for number in range(N)], "text"),
        ("when", [dt.date(2024, 1, 1 + number % 28) for number in range(N)], "date"),
        ("when", [f"2024-01-{1 + number % 28:02}" for number in range(N)], "date"),
        ("when", [f"2024-01-{1 + number % 28:02}T10:30:00Z" for number in range(N)], "date"),
        ("when", [f"{1 + number % 28}/1/2024" for number in range(N)], "date"),
        ("flag", [True, False] * 30, "boolean"),
        ("flag", [0, 1, 1] * 20, "boolean"),
        ("flag", ["Yes", "no"] * 30, "boolean"),
        ("planet", ["earth"] * N, "constant"),
        ("planet", [None] * N, "constant"),
        ("planet", [""] * N, "constant"),
        ("vector", [[1.0, 2.0]] * N, "other"),
        ("raw", [b"ab"] * N, "other"),
    ],
)
def test_the_role_of_a_column(name: str, values: Any, role: str) -> None:
    column = describe_columns({name: list(values), "last": [0.5, 1.5] * (N // 2)})[name]
    assert column.role == role, column.reason
    assert 0.5 <= column.confidence <= 1
    assert column.reason


@pytest.mark.parametrize(
    ("name", "unit"), [("age_years", "years"), ("temp_degC", "degrees Celsius"), ("length (cm)", "cm"), ("comm", "")]
)
def test_the_unit_of_numbers_is_in_the_name(name: str, unit: str) -> None:
    assert describe_columns({name: [1.5, 2.5] * 30})[name].unit == unit


def test_a_date_whose_day_and_month_cannot_be_told_apart_is_less_sure_and_says_so() -> None:
    column = describe_columns({"when": ["1/2/2024", "3/4/2024"] * 30})["when"]
    assert column.confidence < 0.8
    assert "whether the day or the month comes first is not known" in column.reason


def test_missing_values_are_counted_and_empty_text_is_one() -> None:
    described = describe_columns({"a": [None, 1.5, float("nan")], "b": ["", None, "x"]})
    assert described["a"].n_missing == described["b"].n_missing == 2


def test_few_rows_leave_what_is_inferred_in_doubt() -> None:
    few, many = (describe_columns({"Id": list(range(n)), "flag": [True] * n}) for n in (5, 50))
    assert (few["Id"].confidence, many["Id"].confidence) == (0.6, 0.99)


def test_the_titanic_table(titanic_paths: tuple[Path, Path]) -> None:
    roles = {column.name: column.role for column in describe_columns(pd.read_csv(titanic_paths[0])).columns}
    assert roles == {
        "PassengerId": "id",
        "Survived": "target",
        "Pclass": "category",
        "Name": "text",
        "Sex": "category",
        "Age": "number",
        "SibSp": "number",
        "Parch": "number",
        "Ticket": "text",
        "Fare": "number",
        "Cabin": "category",
        "Embarked": "category",
    }


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from([*WORDS, None, ""]), st.none() | st.integers(0, 9), st.booleans(), st.floats(0, 1)),
        min_size=1,
        max_size=50,
    )
)
def test_the_description_does_not_depend_on_the_form_of_the_table(rows: list[tuple[Any, ...]]) -> None:
    types = (pa.string(), pa.int64(), pa.bool_(), pa.float64())
    names = ("word", "count_id", "flag", "y")
    columns = {name: pa.array([row[at] for row in rows], types[at]) for at, name in enumerate(names)}
    table = pa.table(columns)
    described = describe_columns(table)
    frame = table.to_pandas()
    forms = {
        "pandas": frame,
        "objects": frame.astype({"word": object}),
        "categories": frame.astype({"word": "category"}),
        "nullable": table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get),
        "dictionary": table.set_column(0, "word", table["word"].dictionary_encode()),
        "large": table.set_column(0, "word", table["word"].cast(pa.large_string())),
    }
    for name, form in forms.items():
        same = describe_columns(form)
        assert [column.role for column in same.columns] == [column.role for column in described.columns], name
        assert (same.target, same.candidates, same.competition_type) == (
            described.target,
            described.candidates,
            described.competition_type,
        )


def test_a_column_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="no column 'b'; there are a"):
        _ = describe_columns({"a": [1]})["b"]


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(Refused, match="a table was wanted and str was given"):
        describe_columns("titanic.csv")  # type: ignore[arg-type]


def test_an_empty_table_has_no_target() -> None:
    described = describe_columns({"a": [], "target": []})
    assert described.target is None
    assert described.competition_type == "unknown"
