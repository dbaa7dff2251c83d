"""What a dataset is called: one spelling for each name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.datasets.names import name_of_class, normal_name, unknown
from smalti.errors import Refused

WORDS = st.lists(st.from_regex(r"[A-Za-z0-9]{1,8}", fullmatch=True), min_size=1, max_size=6)


@given(WORDS, st.sampled_from([" ", "_", "-", "  ", " - "]))
def test_case_and_what_joins_the_words_do_not_matter(words: list[str], joint: str) -> None:
    name = normal_name(joint.join(words).upper())
    assert name == "-".join(words).lower()
    assert normal_name(name) == name


@pytest.mark.parametrize("name", ["", " ", "../passwd", "a/b", "préz", "-", "a" * 129, "a\nb/"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="cannot be the name of a dataset: use letters"):
        normal_name(name)


@pytest.mark.parametrize("name", [None, 5, b"iris"])
def test_what_is_no_text_is_no_name(name: Any) -> None:
    with pytest.raises(Refused, match="the name of a dataset is text, and"):
        normal_name(name)


@pytest.mark.parametrize(
    ("class_name", "name"),
    [("TitanicDataset", "titanic"), ("HousePricesDataset", "house-prices"), ("NLPTweets2Dataset", "nlp-tweets2")],
)
def test_a_class_is_for_the_dataset_of_its_words(class_name: str, name: str) -> None:
    assert name_of_class(class_name) == name


def test_an_unknown_name_is_answered_with_those_like_it_and_all() -> None:
    message = str(unknown("Titanik", ["wine", "titanic"]))
    assert message == "Titanik is no dataset that is known here; did you mean titanic? The datasets are titanic, wine."
    assert str(unknown("x", [])) == "x is no dataset that is known here. The datasets are none."
