"""The target is found by evidence, never by a part of a name, and where two fit, both are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import NotFound
from smalti.templates import describe_columns

N = 60
RNG = np.random.default_rng(0)
NOISE = {f"f{number}": RNG.normal(size=N) for number in range(3)}


def labels(n_classes: int = 2) -> Any:
    return np.arange(N) % n_classes


def test_pclass_does_not_win_over_survived(titanic_paths: tuple[Path, Path]) -> None:
    train, test = (pd.read_csv(path) for path in titanic_paths)
    alone, beside = describe_columns(train), describe_columns(train, test)
    assert alone.target == beside.target == "Survived"
    assert beside.candidates[0].confidence == 0.98
    assert (
        beside.candidates[0].reason == "Survived is a name that targets have, the only column that the test table lacks"
    )
    assert "Pclass" not in {candidate.name for candidate in alone.candidates}
    assert alone.competition_type == beside.competition_type == "binary_classification"


@given(st.sampled_from(["target", "class", "label", "survived", "price"]), st.text("abcz_", min_size=1, max_size=3))
def test_a_name_that_contains_the_name_of_a_target_is_no_evidence(name: str, more: str) -> None:
    around = {f"{more.strip('_') or 'z'}{name}": labels(), f"{name}{more.strip('_') or 'z'}": labels()}
    described = describe_columns({**around, **NOISE, "SalePrice": NOISE["f0"]})
    assert described.target == "SalePrice"
    assert [candidate.name for candidate in described.candidates] == ["SalePrice"]


@pytest.mark.parametrize(
    "name", ["target", "Label", "y", "Class", "Survived", "SalePrice", "sale_price", "median_house_value"]
)
def test_known_names_are_enough_wherever_the_column_is(name: str) -> None:
    described = describe_columns({name: labels(), **NOISE})
    assert described.target == name
    assert described[name].role == "target"
    assert f"{name} is a name that targets have" in described[name].reason


def test_the_test_table_outweighs_names() -> None:
    train = {"label": labels(), "outcome_x": labels(), **NOISE}
    described = describe_columns(train, test={"label": [0], **{name: [0.5] for name in NOISE}})
    assert described.target == "outcome_x"
    assert [candidate.name for candidate in described.candidates] == ["outcome_x"]


def test_two_columns_that_fit_are_reported_and_neither_is_taken() -> None:
    described = describe_columns({"label": labels(), "target": labels(3), **NOISE})
    assert described.target is None
    assert [(each.name, each.confidence) for each in described.candidates[:2]] == [("label", 0.9), ("target", 0.9)]
    assert described.competition_type == "unknown"
    assert described.competition_reason.startswith("the target is not clear: label (0.9), target (0.9)")
    assert not any(column.role == "target" for column in described.columns)


def test_several_columns_that_the_test_table_lacks_are_reported() -> None:
    described = describe_columns({**NOISE, "casual": labels(7), "registered": labels(9)}, test=NOISE)
    assert described.target is None
    assert [candidate.name for candidate in described.candidates] == ["registered", "casual"]
    assert "one of 2 columns that the test table lacks" in described.candidates[0].reason


def test_a_known_name_decides_among_the_columns_that_the_test_table_lacks() -> None:
    assert describe_columns({**NOISE, "Survived": labels(), "Boat": labels(9)}, test=NOISE).target == "Survived"


def test_to_be_the_last_column_is_not_enough() -> None:
    described = describe_columns({**NOISE, "z": labels()})
    assert described.target is None
    assert [(each.name, each.confidence, each.reason) for each in described.candidates] == [
        ("z", 0.4, "the last column")
    ]


def test_a_known_name_on_an_id_is_not_enough() -> None:
    described = describe_columns({"target": [f"r-{number}" for number in range(N)], **NOISE})
    assert described.target is None
    assert described.candidates[0].reason.endswith("but it looks like an id")


def test_a_target_that_is_given_is_not_doubted() -> None:
    described = describe_columns({"label": labels(), **NOISE}, target="f1")
    assert (described.target, described["f1"].confidence) == ("f1", 1.0)
    assert described.competition_type == "regression"
    with pytest.raises(NotFound, match="no column 'f9' to be the target; there are label, f0"):
        describe_columns({"label": labels(), **NOISE}, target="f9")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1], "binary_classification"),
        ([0.0, 1.0], "binary_classification"),
        (["yes", "no"], "binary_classification"),
        ([True, False], "binary_classification"),
        ([-1, 1, None], "binary_classification"),
        ([0, 1, 2], "multiclass_classification"),
        ([1.0, 2.0, 3.0, None], "multiclass_classification"),
        (["a", "b", "c"], "multiclass_classification"),
        ([10, 20, 30], "multiclass_classification"),
        ([0.5, 1.5, 2.5], "regression"),
        ([3 * number for number in range(30)], "regression"),
        ([1], "unknown"),
        ([None], "unknown"),
        ([f"text number {number}" for number in range(60)], "unknown"),
        ([[1, 2]], "unknown"),
        ([pd.Timestamp(2024, 1, day) for day in range(1, 11)], "unknown"),
    ],
)
def test_the_kind_of_competition_follows_from_the_values_of_the_target(values: list[Any], kind: str) -> None:
    described = describe_columns({"a": [0.5] * N, "b": values * (N // len(values))}, target="b")
    assert described.competition_type == kind, described.competition_reason
    assert (described.competition_confidence == 0) == (kind == "unknown")


def test_few_whole_numbers_in_few_rows_are_not_taken_for_classes_or_quantities() -> None:
    described = describe_columns({"a": [0.5] * 9, "target": [0, 1, 2] * 3})
    assert described.target == "target"
    assert described.competition_type == "unknown"
    assert "3 whole numbers in 9 rows, too few to tell whether they are classes" in described.competition_reason


@pytest.mark.parametrize(
    ("load", "kind", "least"),
    [
        ("load_iris", "multiclass_classification", 0.9),
        ("load_wine", "multiclass_classification", 0.9),
        ("load_breast_cancer", "binary_classification", 0.9),
        ("load_digits", "multiclass_classification", 0.9),
        ("load_diabetes", "regression", 0.9),
    ],
)
def test_tables_of_scikit_learn(load: str, kind: str, least: float) -> None:
    import sklearn.datasets

    table = getattr(sklearn.datasets, load)(as_frame=True).frame
    described = describe_columns(table)
    assert described.target == "target"
    assert described.candidates[0].confidence >= least
    assert (described.competition_type, described.competition_confidence >= least) == (kind, True)
    unnamed = describe_columns(table.rename(columns={"target": "z"}))
    assert unnamed.target is None
    assert [candidate.name for candidate in unnamed.candidates] == ["z"]
