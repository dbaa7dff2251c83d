"""A split: every labelled row once, classes in proportion, texts written as the training rows alone tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti import open_store
from smalti.errors import NotFound, Refused
from smalti.tabular.split import TextSplit, fold_of_rows, hold_out, split_rows
from tests.unit.tabular.tables import flowers, houses


def test_every_row_is_in_one_part_and_every_class_in_both(flower_split: TextSplit) -> None:
    ids = [*flower_split.train["id"], *flower_split.validation["id"]]
    assert sorted(ids) == list(range(1000, 1120))
    assert set(flower_split.validation["label"]) == {"aster", "iris", "tulip"}
    assert len(flower_split.validation) == 24
    assert list(flower_split.test.columns) == ["id", "text"]
    assert list(flower_split.test["id"]) == list(range(1000, 1030))
    assert flower_split.train["text"].iloc[0].count(", ") == 2


def test_equal_rows_give_an_equal_split_in_whatever_form_they_come() -> None:
    store = open_store("memory:")
    forms = [flowers(), pa.Table.from_pandas(flowers()), flowers().set_index(np.arange(500, 620))]
    digests = {store.put(split_rows(form, "kind").to_tree()).digest for form in forms}
    assert len(digests) == 1
    assert store.put(split_rows(flowers(), "kind", seed=1).to_tree()).digest not in digests


def test_a_split_comes_back_from_a_store(house_split: TextSplit) -> None:
    store = open_store("memory:")
    found = TextSplit.from_stored(store.get(store.put(house_split.to_tree())))
    pd.testing.assert_frame_equal(found.train, house_split.train)
    pd.testing.assert_frame_equal(found.test, house_split.test)
    assert (found.target, found.template, found.notes) == (house_split.target, house_split.template, house_split.notes)


def test_something_else_from_a_store_is_refused() -> None:
    with pytest.raises(Refused, match="no split of a table"):
        TextSplit.from_stored({"train": 1})


def test_validation_rows_tell_nothing_to_the_training_texts() -> None:
    table = flowers()
    split = split_rows(table, "kind")
    changed = table.copy()
    held_out = changed["flower_id"].isin(split.validation["id"])
    changed.loc[held_out, "colour"] = "green"
    changed.loc[held_out, "size_cm"] = 99.0
    again = split_rows(changed, "kind")
    pd.testing.assert_frame_equal(again.train, split.train)
    assert again.template == split.template
    assert "green" in again.validation["text"].iloc[0]


def test_the_target_and_ids_are_in_no_text(house_split: TextSplit) -> None:
    text = house_split.train["text"].iloc[0]
    assert "price" not in text
    assert "id" not in text.split()
    assert house_split.id_column == "Id"


def test_rows_without_a_target_are_left_out_and_said() -> None:
    table = houses().astype({"price": "float"})
    table.loc[:4, "price"] = [np.nan, np.inf, -np.inf, np.nan, np.nan]
    split = split_rows(table, "price")
    assert len(split.train) + len(split.validation) == 115
    assert split.notes[0] == "5 rows without a price left out."
    assert split.target.whole


def test_a_class_of_one_row_is_trained_on_and_said() -> None:
    table = flowers()
    table.loc[7, "kind"] = "rose"
    split = split_rows(table, "kind")
    assert "rose" in set(split.train["label"])
    assert "kind rose occurs in one row only, which is trained on." in split.notes


def test_without_an_id_rows_are_numbered() -> None:
    split = split_rows(flowers().drop(columns="flower_id"), "kind")
    assert split.id_column == "row"
    assert sorted([*split.train["id"], *split.validation["id"]]) == list(range(120))


def test_ids_that_repeat_are_refused_if_asked_for_and_else_not_used() -> None:
    table = flowers()
    table.loc[1, "flower_id"] = table.loc[0, "flower_id"]
    with pytest.raises(Refused, match="flower_id of the table is 1000 in several rows"):
        split_rows(table, "kind", id_column="flower_id")
    assert split_rows(table, "kind").id_column == "row"
    table["flower_id"] = [None, *range(119)]
    with pytest.raises(Refused, match="flower_id of the table is missing in 1 rows"):
        split_rows(table, "kind", id_column="flower_id")


def test_what_cannot_be_split_is_refused_in_a_sentence() -> None:
    table = flowers()
    with pytest.raises(Refused, match="the test table has no rows"):
        split_rows(table, "kind", table[:0])
    with pytest.raises(Refused, match="lacks 'colour'"):
        split_rows(table, "kind", table.drop(columns=["kind", "colour"]))
    with pytest.raises(Refused, match="no column is left to predict kind from"):
        split_rows(table[["flower_id", "kind"]], "kind")
    with pytest.raises(Refused, match="validation_fraction is 1"):
        split_rows(table, "kind", validation_fraction=1)
    with pytest.raises(Refused, match="the table is list; give a pandas DataFrame or a pyarrow Table"):
        split_rows([1, 2], "kind")
    with pytest.raises(Refused, match="say which column is to be predicted: with target="):
        split_rows(table.drop(columns="kind"))
    with pytest.raises(NotFound, match="there is no column 'sort'"):
        split_rows(table, "sort")
    with pytest.raises(Refused, match="leave none to validate with"):
        split_rows(
            table.iloc[[0, 1, 3]].assign(kind=["a", "b", "c"]), "kind", competition_type="multiclass_classification"
        )


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 3), st.booleans())
def test_some_rows_are_held_out_and_some_of_each_class_are_not(
    rows: int, fraction: float, seed: int, by_class: bool
) -> None:
    codes = np.random.default_rng(seed).integers(0, 1 + rows // 4, rows)
    held = hold_out(codes, fraction, seed, by_class)
    assert 0 < held.sum() < rows
    if by_class:
        assert set(codes[~held]) == set(codes)
        for code in set(codes):
            assert abs(held[codes == code].sum() - fraction * (codes == code).sum()) <= 1 + 1e-9


@given(st.integers(2, 60), st.integers(2, 10), st.integers(0, 3), st.booleans())
def test_each_fold_has_its_share_of_every_class(rows: int, folds: int, seed: int, by_class: bool) -> None:
    codes = np.random.default_rng(seed).integers(0, 3, rows)
    if folds > rows:
        with pytest.raises(Refused, match=f"{rows} rows cannot be cut in {folds} folds"):
            fold_of_rows(codes, folds, seed, by_class)
        return
    fold = fold_of_rows(codes, folds, seed, by_class)
    for of in [codes == code for code in set(codes)] if by_class else [np.full(rows, True)]:
        sizes = np.bincount(fold[of], minlength=folds)
        assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize(
    ("labels", "classes"), [((True, False), (False, True)), (("ja", "nein"), ("ja", "nein")), ((2, 1), (1, 2))]
)
def test_labels_keep_their_type_through_a_store(labels: tuple[object, object], classes: tuple[object, object]) -> None:
    store = open_store("memory:")
    split = split_rows(flowers().assign(kind=list(labels) * 60), "kind")
    found = TextSplit.from_stored(store.get(store.put(split.to_tree())))
    assert [(type(label), label) for label in found.target.classes] == [(type(label), label) for label in classes]
    assert set(found.validation["label"]) == set(classes)


def test_a_file_that_another_tool_wrote_is_split_whatever_its_cells_hold(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    rows = [f'{i},"{"word, " * 2000}Größe\u2028 {i}",{"inf" if i % 7 == 0 else i / 3},{"ab"[i % 2]}' for i in range(40)]
    path.write_text("id,note,level,kind\n" + "\n".join(rows), encoding="utf-8")
    split = split_rows(pd.read_csv(path), "kind")
    assert split.target.classes == ("a", "b")
    assert all("\n" not in text and "Größe" in text for text in split.train["text"])


def test_the_titanic_needs_no_word_of_ours(titanic_paths: tuple[Path, Path]) -> None:
    train, test = map(pd.read_csv, titanic_paths)
    split = split_rows(train, test=test)
    assert (split.target.column, split.target.competition_type) == ("Survived", "binary_classification")
    assert (split.id_column, split.template["template"]) == ("PassengerId", "titanic_v1")
    assert split.test["id"].tolist() == test["PassengerId"].tolist()
    assert len(split.train) + len(split.validation) == 891
    assert split.notes == ()
