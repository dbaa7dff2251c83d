"""The target: which kind of competition it makes, its classes and their order, and the scale of its numbers."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smalti.errors import Refused
from smalti.tabular.target import Target, TargetScale, find_target, labels_of, learn_target_scale
from smalti.templates import describe_columns


def target_of(values: list[object], competition_type: str | None = None) -> Target:
    table = pd.DataFrame({"x": range(len(values)), "y": values})
    return find_target(
        describe_columns(table, target="y"), [v for v in labels_of(values) if v is not None], competition_type
    )


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        ([1, 0] * 20, "binary_classification", (0, 1)),
        ([True, False] * 20, "binary_classification", (False, True)),
        (["yes", "no"] * 20, "binary_classification", ("no", "yes")),
        ([1.0, 0.0, None] * 20, "binary_classification", (0, 1)),
        (["b", "c", "a"] * 20, "multiclass_classification", ("a", "b", "c")),
        ([3, 1, 2] * 20, "multiclass_classification", (1, 2, 3)),
        ([x + 0.5 for x in range(40)], "regression", ()),
    ],
)
def test_the_kind_follows_from_the_values_and_classes_ascend(
    values: list[object], kind: str, classes: tuple[object]
) -> None:
    found = target_of(values)
    assert (found.competition_type, found.classes) == (kind, classes)
    assert [type(label) for label in found.classes] == [type(label) for label in classes]


def test_what_may_be_a_number_or_a_class_is_refused_until_it_is_said() -> None:
    scores = [10, 20, 40, 50] * 20
    with pytest.raises(Refused, match=r"not clear whether y is a number or a class.*competition_type="):
        target_of(scores)
    assert target_of(scores, "regression") == Target("y", "regression", whole=True)
    assert target_of(scores, "multiclass_classification").classes == (10, 20, 40, 50)


@pytest.mark.parametrize(
    ("values", "competition_type", "said"),
    [
        ([1] * 30, None, "y is 1 in every row"),
        ([None] * 30, None, "missing in every row"),
        (["a", "b", "c"] * 10, "binary_classification", "3 classes, and binary are two"),
        (["a", "b", "c"] * 10, "regression", "holds 'a', no number"),
        ([True, False] * 10, "regression", "holds 'False', no number"),
        (["a", "b"] * 10, "ranking", "predicting y is ranking.*regression"),
        ([f"text {i}" for i in range(30)], None, "hardly repeat; say what it is"),
    ],
)
def test_what_cannot_be_learned_is_refused(values: list[object], competition_type: str | None, said: str) -> None:
    with pytest.raises(Refused, match=said):
        target_of(values, competition_type)


def test_labels_that_are_missing_empty_or_not_finite_are_none() -> None:
    assert labels_of([1.5, None, float("nan"), float("inf"), -float("inf")]) == [1.5, None, None, None, None]
    assert labels_of(["a", "", None]) == ["a", None, None]
    assert labels_of([Decimal("1.0"), Decimal(2)]) == [1, 2]
    assert labels_of([1.0, 2.5]) == [1.0, 2.5]


def test_a_label_that_is_no_class_is_refused() -> None:
    with pytest.raises(Refused, match=r"'c' in a row.*a, b"):
        Target("y", "binary_classification", ("a", "b")).codes(["a", "c"])


def test_a_target_survives_json() -> None:
    for target in (Target("y", "regression", whole=True), Target("y", "binary_classification", (False, True))):
        assert Target.from_json(target.to_json()) == target


@given(arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e6, 1e6, allow_subnormal=False)))
def test_standardised_numbers_come_back(numbers: np.ndarray) -> None:
    if np.ptp(numbers) < 1e-3:
        return
    scale = learn_target_scale(numbers)
    np.testing.assert_allclose(scale.numbers(scale.standardised(numbers)), numbers, rtol=1e-6, atol=1e-6)


def test_the_logarithm_is_taken_of_positive_numbers_skewed_to_the_right() -> None:
    skewed = np.exp(np.random.default_rng(0).normal(size=500))
    assert learn_target_scale(skewed).logarithmic
    assert not learn_target_scale(-skewed).logarithmic
    assert not learn_target_scale(skewed - skewed.min()).logarithmic
    assert not learn_target_scale(np.random.default_rng(0).normal(50, 1, 500)).logarithmic


def test_a_prediction_stays_within_a_range_of_the_training_numbers() -> None:
    scale = TargetScale(logarithmic=True, mean=0.0, std=1.0, lowest=1.0, highest=10.0)
    np.testing.assert_allclose(scale.numbers(np.array([-99.0, 0.0, 99.0])), [0.1, 1, 100])


def test_a_constant_number_is_refused() -> None:
    with pytest.raises(Refused, match="7 in every training row"):
        learn_target_scale(np.full(5, 7.0))
