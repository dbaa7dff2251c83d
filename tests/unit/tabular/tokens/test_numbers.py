"""The scale of numbers: a token for every number, and values that stay in bounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smalti.tabular.tokens.numbers import FARTHEST, NumberScale, learn_scale

numbers = st.lists(st.floats(-1e100, 1e100) | st.integers(0, 5).map(float), min_size=1, max_size=50)


@given(numbers, st.integers(0, 8), st.integers(1, 8), st.floats(-1e100, 1e100))
def test_every_number_has_a_token_of_a_training_number_and_a_bounded_value(
    training: list[float], max_distinct: int, bins: int, number: float
) -> None:
    scale = learn_scale(np.array(training), max_distinct, bins)
    assert scale.piece("x [NUM]", number) in {scale.piece("x [NUM]", one) for one in training}
    assert not scale.edges or len(scale.bins("x [NUM]")) == len(set(scale.bins("x [NUM]"))) <= bins
    assert abs(scale.standardised(number)) <= FARTHEST
    assert NumberScale.from_json(scale.to_json()) == scale


def test_few_distinct_numbers_have_a_token_each() -> None:
    scale = learn_scale(np.array([1.0, 2, 3, 3, 3]), 3)
    tokens = ["class 1", "class 1", "class 2", "class 3", "class 3"]
    assert [scale.piece("class [NUM]", x) for x in (-9, 1, 2.4, 2.6, 99)] == tokens
    assert scale.standardised(1) < scale.standardised(2) < 0 < scale.standardised(3)


def test_many_distinct_numbers_share_a_token() -> None:
    scale = learn_scale(np.array([1.0, 2, 3]), 2)
    assert {scale.piece("age [NUM] years", x) for x in (1, 2.4, 99)} == {"age [NUM] years"}


def test_bins_hold_equally_many() -> None:
    scale = learn_scale(np.arange(100.0), 8, bins=4)
    assert scale.bins("age [NUM] years") == ["age ..25 years", "age 25..50 years", "age 50..75 years", "age 75.. years"]
    assert [scale.piece("age [NUM] years", x) for x in (-9, 24.9, 25, 1e9)] == [
        "age ..25 years", "age ..25 years", "age 25..50 years", "age 75.. years",
    ]  # fmt: skip


def test_a_constant_number_is_worth_nothing() -> None:
    scale = learn_scale(np.full(9, 5.0), 8)
    assert scale.standardised(5) == 0


def test_skewed_numbers_are_taken_as_logarithms() -> None:
    assert learn_scale(np.array([0.0, 1, 1, 2, 2, 500]), 2).logarithmic
    assert not learn_scale(np.array([-1.0, 1, 1, 2, 2, 500]), 2).logarithmic
    assert not learn_scale(np.array([0.0, 1, 1, 2, 2, 500]), 8).logarithmic
