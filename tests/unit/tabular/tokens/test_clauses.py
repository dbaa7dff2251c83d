"""Clauses: the number in one is taken out; dates are numbers too, and what is not finite is none."""

from __future__ import annotations

import pytest

from smalti.tabular.tokens.clauses import clauses_of, parse, words_of


@pytest.mark.parametrize(
    ("clause", "pattern", "number"),
    [
        ("age 22 years", "age [NUM] years", 22),
        ("fare 7.25", "fare [NUM]", 7.25),
        ("change -1.5e-9", "change [NUM]", -1.5e-9),
        ("built 2010-01-01", "built [NUM]", 2010),
        ("built 2010-07-02 12:00", "built [NUM]", 2010.5),
        ("built 2010-07-02 12:00:30.5 UTC", "built [NUM]", 2010.5),
        ("level 1e99999", "level 1e99999", None),
        ("level infinity", "level infinity", None),
        ("size 1 by 2", "size 1 by 2", None),
        ("port S", "port S", None),
        ("cabin C85", "cabin C85", None),
        ("built 2010-13-01", "built 2010-13-01", None),
    ],
)
def test_one_number_is_taken_out(clause: str, pattern: str, number: float | None) -> None:
    found = parse(clause)
    assert found.pattern == pattern
    assert found.number == (None if number is None else pytest.approx(number, abs=1e-6))


def test_a_number_too_large_to_be_squared_is_the_largest_there_is() -> None:
    assert parse("x 1e300").number == 1e100
    assert parse("x -1e300").number == -1e100


def test_empty_clauses_are_none() -> None:
    assert clauses_of("") == []
    assert clauses_of("a 1, , b") == ["a 1", "b"]


def test_words_are_small_and_characters_of_unspaced_scripts_apart() -> None:
    assert words_of("Great   isn't it? 東京") == ["great", "isn't", "it", "?", "東", "京"]
