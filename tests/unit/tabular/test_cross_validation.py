"""Laws of cross-validation: each row is judged once, by a model that has not seen it, beside linear models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from smalti.errors import Refused
from smalti.tabular.evaluate.cross_validation import BERT, CrossValidation, cross_validate, fold_splits
from smalti.tabular.predictions import Predictions
from smalti.tabular.split import ID, LABEL, TextSplit, split_rows

ROWS, FOLDS = 60, 4


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    grams = random.normal(100, 20, ROWS).round(1)
    label = np.where(grams > 100, "heavy", "light").astype(object)
    label[7] = None  # a row without a target is in no fold
    return pd.DataFrame({"grams": grams, "colour": random.choice(["red", "blue"], ROWS), "target": label})


@pytest.fixture(scope="module")
def split(table: pd.DataFrame) -> TextSplit:
    return split_rows(table, "target")


def known(split: TextSplit) -> Predictions:
    """What a model predicts that knows the truth."""
    codes = split.target.codes(split.validation[LABEL].tolist())
    return Predictions(split.target, split.id_column, split.validation[ID].tolist(), np.eye(2)[codes], None)


def test_each_row_with_a_target_is_judged_once_and_never_trained_on_there(
    table: pd.DataFrame, split: TextSplit
) -> None:
    splits = list(fold_splits(split, table, FOLDS))
    judged = [row for fold in splits for row in fold.validation[ID]]
    assert sorted(judged) == [row for row in range(ROWS) if row != 7]
    for fold in splits:
        assert not set(fold.train[ID]) & set(fold.validation[ID])
        assert len(fold.train) + len(fold.validation) == ROWS - 1
        assert fold.validation_fraction == pytest.approx(len(fold.validation) / (ROWS - 1))
        assert set(fold.validation[LABEL]) == {"heavy", "light"}


def test_the_folds_follow_the_seed(table: pd.DataFrame, split: TextSplit) -> None:
    first, again, other = (
        [fold.validation[ID].tolist() for fold in fold_splits(split, table, FOLDS, seed)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_the_summary_is_mean_and_spread_of_the_main_metric_of_each_model(table: pd.DataFrame, split: TextSplit) -> None:
    found = cross_validate(fold_splits(split, table, FOLDS), known)
    assert found.summary()[BERT] == {"mean": 1.0, "sd": 0.0}
    assert set(found.summary()) == {BERT, "logistic regression", "most frequent class"}
    constant = found.scores[found.scores["model"] == "most frequent class"]["accuracy"]
    assert found.summary()["most frequent class"] == pytest.approx(
        {"mean": constant.mean(), "sd": np.std(constant.to_numpy())}
    )
    assert found.verdict().startswith(f"accuracy over {FOLDS} folds: 1.0000 ± 0.0000 of BERT, ")
    assert CrossValidation.from_stored(found.to_tree()).summary() == found.summary()


def test_fewer_rows_than_folds_are_refused(table: pd.DataFrame, split: TextSplit) -> None:
    with pytest.raises(Refused, match="cannot be cut in 100 folds"):
        list(fold_splits(split, table, 100))
    with pytest.raises(Refused, match="there is no fold"):
        cross_validate(iter(()), known)
