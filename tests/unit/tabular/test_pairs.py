"""Which test table belongs to a training table, by name alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.tabular import pairs


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("titanic_train", "titanic_test"),
        ("train", "test"),
        ("TRAIN.csv", "TEST.csv"),
        ("house-train.2024", "house-test.2024"),
        ("training", None),
        ("constrain", None),
        ("train_of_train", None),
    ],
)
def test_a_name_says_train_as_a_word_of_its_own_and_once(train: str, test: str | None) -> None:
    assert pairs.matching_test(train) == test
    if test:
        assert pairs.matching_train(test) == train


@given(st.text(st.characters(codec="ascii", exclude_characters="/"), max_size=12), st.text("abc_-. ", max_size=8))
def test_the_way_back_leads_to_where_one_came_from(before: str, after: str) -> None:
    train = f"{before}_train_{after}"
    if (test := pairs.matching_test(train)) and "test" not in train.lower():
        assert pairs.matching_train(test) == train


def test_a_test_table_without_its_training_table_starts_nothing() -> None:
    assert pairs.to_train("a_test", (), {"a_test"}) is None
    assert pairs.to_train("a_test", (), {"a_test", "a_train"}) == "a_train"


def test_a_table_that_nothing_is_said_of_starts_nothing() -> None:
    assert pairs.to_train("measurements", (), {"measurements"}) is None
    assert pairs.to_train("measurements", {"measurements"}, {"measurements"}) == "measurements"


def test_the_test_file_lies_beside_the_training_file_in_whatever_case(tmp_path: Path) -> None:
    for name in ("Titanic_Train.csv", "titanic_test.csv"):
        (tmp_path / name).touch()
    assert pairs.matching_test_file(tmp_path / "Titanic_Train.csv") == tmp_path / "titanic_test.csv"
    assert pairs.matching_test_file(tmp_path / "titanic_test.csv") is None
