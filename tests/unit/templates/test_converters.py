"""A converter writes test rows as it learned to from training rows, and says what it did not know."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import open_store
from smalti.errors import NotFound, Refused
from smalti.templates import TabularTextConverter

TRAIN = pd.DataFrame(
    {
        "id": range(100, 140),
        "width_mm": [1.5, None] * 20,
        "colour": ["red", "green"] * 20,
        "planet": ["earth"] * 40,
        "note": [None, None, None, "dented; see photo"] * 10,
        "Survived": [0, 1] * 20,
    }
)


@pytest.fixture
def converter() -> TabularTextConverter:
    return TabularTextConverter().fit(TRAIN, target="Survived")


def test_nothing_is_learned_from_no_rows() -> None:
    """From no rows everything looks worth writing, ids as well."""
    with pytest.raises(Refused, match="no rows to learn from"):
        TabularTextConverter().fit(TRAIN[:0], target="Survived")


def test_training_rows_are_written_without_target_ids_and_constants(converter: TabularTextConverter) -> None:
    texts = converter.transform(TRAIN)
    assert texts[:4] == [
        "width 1.5 mm, colour red",
        "width unknown, colour green",
        "width 1.5 mm, colour red",
        "width unknown, colour green, note dented; see photo",
    ]
    assert TabularTextConverter().fit_transform(TRAIN, target="Survived") == texts


def test_the_config_says_why_a_column_is_not_written(converter: TabularTextConverter) -> None:
    assert converter.to_config()["left_out"] == {
        "id": "id: named as an id, and all values differ",
        "planet": "constant: the same value in each row",
    }


def test_a_converter_from_its_config_in_json_writes_the_same(converter: TabularTextConverter) -> None:
    config = json.loads(json.dumps(converter.to_config()))
    again = TabularTextConverter.from_config(config)
    assert again.transform(TRAIN) == converter.transform(TRAIN)
    assert again.to_config() == config


def test_another_process_writes_the_same_from_the_config(converter: TabularTextConverter) -> None:
    program = (
        "import json, sys; from smalti.templates import TabularTextConverter; given = json.load(sys.stdin); "
        "print(json.dumps(TabularTextConverter.from_config(given['config']).transform(given['rows'])))"
    )
    rows = json.loads(TRAIN.to_json(orient="columns", double_precision=15))
    given = json.dumps({"config": converter.to_config(), "rows": {k: list(v.values()) for k, v in rows.items()}})
    done = subprocess.run([sys.executable, "-c", program], input=given, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == converter.transform(TRAIN)


def test_a_table_that_the_store_kept_is_written_alike(converter: TabularTextConverter) -> None:
    store = open_store("memory:")
    store.put(TRAIN, name="rows")
    assert converter.transform(store.get("rows")) == converter.transform(TRAIN)


def test_test_rows_are_written_as_training_rows_whatever_their_order_and_type(converter: TabularTextConverter) -> None:
    test = pa.table({"colour": ["red"], "width_mm": [2], "note": pa.nulls(1), "planet": ["mars"], "id": [1]})
    assert converter.transform(test) == ["width 2 mm, colour red"]
    assert converter.convert_row(TRAIN.iloc[0]) == "width 1.5 mm, colour red"
    assert (
        converter.convert_row({"colour": "red", "width_mm": None, "note": "x"}) == "width unknown, colour red, note x"
    )


def test_a_column_that_is_not_there_is_refused_by_name(converter: TabularTextConverter) -> None:
    with pytest.raises(Refused, match="lacks 'colour', 'note' of the columns that the converter was fitted on"):
        converter.transform(TRAIN.drop(columns=["colour", "note"]))
    with pytest.raises(Refused, match="lacks 'width_mm'"):
        converter.convert_row({"colour": "red", "note": None})


def test_a_new_column_is_left_out_and_said(converter: TabularTextConverter) -> None:
    with pytest.warns(UserWarning, match="not there when the converter was fitted are left out: 'mood'") as said:
        assert converter.transform(TRAIN.assign(mood="good")) == converter.transform(TRAIN)
    assert said[0].filename == __file__
    with pytest.warns(UserWarning, match="'mood'"):
        assert (
            converter.convert_row({"mood": 1, "colour": "red", "width_mm": 1, "note": None}) == "width 1 mm, colour red"
        )


def test_a_new_category_is_written_and_said(converter: TabularTextConverter) -> None:
    test = TRAIN.assign(colour="blue")
    with pytest.warns(UserWarning, match="categories not seen .* are written as they are: colour 'blue'"):
        assert converter.transform(test)[0] == "width 1.5 mm, colour blue"


def test_what_was_known_is_written_without_a_word(converter: TabularTextConverter) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        converter.transform(TRAIN)
        converter.transform(TRAIN.drop(columns=["Survived", "id", "planet"]))
        converter.convert_row(TRAIN.iloc[3])


def test_a_column_that_became_another_kind_is_refused(converter: TabularTextConverter) -> None:
    with pytest.raises(Refused, match=r"'width_mm' held values of the kind number .* and now text"):
        converter.transform(TRAIN.assign(width_mm="wide"))
    with pytest.raises(Refused, match=r"'colour' held values of the kind text .* and now number"):
        converter.transform(TRAIN.assign(colour=1))


def test_a_target_that_is_not_named_is_said() -> None:
    with pytest.warns(
        UserWarning, match=r"'Survived' has the name of a target .* call fit\(data, target=\.\.\.\)"
    ) as said:
        TabularTextConverter().fit(TRAIN)
    assert said[0].filename == __file__
    with pytest.warns(UserWarning, match="'Survived' has the name of a target") as said:
        TabularTextConverter().convert_row(TRAIN.iloc[0])
    assert said[0].filename == __file__


def test_a_target_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="no column 'survived' to be the target; there are id, width_mm"):
        TabularTextConverter().fit(TRAIN, target="survived")


def test_rows_of_which_nothing_is_worth_writing_are_refused() -> None:
    with pytest.raises(
        Refused, match=r"nothing .* worth writing \(id, id: named as an id.*; planet, constant: the same"
    ):
        TabularTextConverter().fit(TRAIN[["id", "planet", "Survived"]], target="Survived")


def test_few_rows_are_no_reason_to_leave_a_column_out() -> None:
    assert TabularTextConverter().fit_transform({"planet": ["earth"], "size": [1]}) == ["planet earth, size 1"]


def test_a_row_is_written_without_any_fitting() -> None:
    row = pd.Series({"LotArea": 8450, "Street": "Pave", "Alley": None, "age_years": 3.0})
    assert TabularTextConverter().convert_row(row) == "lot area 8450, street Pave, alley unknown, age 3 years"


def test_what_needs_fitting_says_so() -> None:
    with pytest.raises(Refused, match=r"learned nothing yet; call fit\(data\) before transform"):
        TabularTextConverter().transform(TRAIN)
    with pytest.raises(Refused, match=r"call fit\(data\) before to_config"):
        TabularTextConverter().to_config()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format"),
        ({"columns": None}, "columns"),
        ({"surprise": 1}, "surprise"),
        ({"columns": [{"column": "a", "kind": "list"}]}, r"columns\.0\.kind"),
        ({"columns": [{"column": "a", "kind": "text", "label": "a, b"}]}, "'a, b' cannot be in a clause"),
        ({"columns": [{"column": "a", "kind": "text"}]}, "a clause has no label"),
        ({"columns": [{"column": c, "kind": "text", "label": "x"} for c in "ab"]}, "several clauses labelled 'x'"),
    ],
)
def test_a_config_from_elsewhere_is_refused(
    converter: TabularTextConverter, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        TabularTextConverter.from_config({**converter.to_config(), **change})


@pytest.mark.parametrize("config", [None, [], "text", {}])
def test_what_is_no_config_is_refused(config: Any) -> None:
    with pytest.raises(Refused, match="this is no config of a converter"):
        TabularTextConverter.from_config(config)


def test_a_template_that_is_not_built_in_is_not_found() -> None:
    with pytest.raises(NotFound, match="no built-in template 'titanic'; there are titanic_v1, house_prices_v1"):
        TabularTextConverter(template="titanic")
    with pytest.raises(NotFound, match="no built-in template 'x_v9'"):
        TabularTextConverter.from_config({"template": "x_v9", "columns": []})


def test_a_built_in_template_is_fitted_kept_and_restored_by_name(titanic_paths: tuple[Path, Path]) -> None:
    train, test = (pd.read_csv(path) for path in titanic_paths)
    converter = TabularTextConverter(template="titanic_v1").fit(train, target="Survived")
    again = TabularTextConverter.from_config(json.loads(json.dumps(converter.to_config())))
    assert again.transform(test) == converter.transform(test)
    assert again.convert_row(test.iloc[0]) == converter.transform(test)[0]
    with pytest.raises(Refused, match="lacks 'Fare'"):
        again.transform(test.drop(columns="Fare"))
    with pytest.raises(Refused, match="writes the column 'Fare', which is the target"):
        TabularTextConverter(template="titanic_v1").fit(train, target="Fare")


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_fitted_converter_writes_a_table_as_its_rows(data: st.DataObject) -> None:
    n_rows = data.draw(st.integers(1, 30))
    values = (st.integers(-99, 99), st.floats(-1e6, 1e6), st.text(max_size=3), st.booleans(), st.dates())
    table = {
        f"{'abcde'[at]}_{data.draw(st.sampled_from(['cm', 'id', 'x', 'y']))}": data.draw(
            st.lists(kind | st.none(), min_size=n_rows, max_size=n_rows)
        )
        for at, kind in enumerate(values)
    }
    table["size"] = [number / 2 for number in range(n_rows)]  # something to write, should all the others be constant
    converter = TabularTextConverter().fit(table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        texts = converter.transform(table)
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    assert [converter.convert_row(row) for row in rows] == texts
    assert TabularTextConverter.from_config(converter.to_config()).transform(table) == texts
