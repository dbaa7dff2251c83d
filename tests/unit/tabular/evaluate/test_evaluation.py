"""An evaluation: figures per class that add up, calibration, residuals, and baselines that a person can trust."""

from __future__ import annotations

import numpy as np
import pytest

from smalti import open_store
from smalti.errors import Refused
from smalti.tabular.evaluate.baseline import constant_baseline, linear_baseline
from smalti.tabular.evaluate.evaluation import Evaluation, calibration, confusion_matrix, evaluate_predictions
from smalti.tabular.predictions import Predictions
from smalti.tabular.split import TextSplit, split_rows
from tests.unit.tabular.tables import flowers, perfect


def test_right_predictions_of_classes_beat_the_baselines(flower_split: TextSplit) -> None:
    found = evaluate_predictions(flower_split, perfect(flower_split))
    assert found.metrics["accuracy"] == 1
    np.testing.assert_array_equal(found.confusion, np.diag(found.classes["rows"]))
    assert found.classes["class"].tolist() == ["aster", "iris", "tulip"]
    assert (found.classes[["precision", "recall", "f1"]] == 1).all().all()
    assert list(found.baselines) == ["logistic regression", "most frequent class"]
    assert found.baselines["logistic regression"]["accuracy"] > 0.7
    assert found.verdict().startswith("On 24 validation rows, accuracy 1 is ")


def test_right_predictions_of_numbers_have_no_residuals(house_split: TextSplit) -> None:
    found = evaluate_predictions(house_split, perfect(house_split))
    assert found.main_metric == "rmse_log"
    assert found.metrics["rmse_log"] == 0
    assert (found.residuals["true"] == found.residuals["predicted"]).all()
    assert found.baselines["ridge regression"]["rmse_log"] < 0.2 < found.baselines["mean"]["rmse_log"]
    assert found.verdict().startswith("On 24 validation rows, rmse_log 0 is better than the baselines: ")


def test_wrong_predictions_are_said_to_be_no_better(flower_split: TextSplit) -> None:
    right = perfect(flower_split)
    wrong = Predictions(right.target, right.id_column, right.ids, np.roll(right.probabilities, 1, axis=1), None)
    found = evaluate_predictions(flower_split, wrong)
    assert found.metrics["accuracy"] == 0
    assert "is not better than the baselines" in found.verdict()


def test_predictions_of_other_rows_are_refused(flower_split: TextSplit, house_split: TextSplit) -> None:
    with pytest.raises(Refused, match="predictions of price are not of the 24 validation rows"):
        evaluate_predictions(flower_split, perfect(house_split))


def test_an_evaluation_comes_back_from_a_store(flower_split: TextSplit, house_split: TextSplit) -> None:
    store = open_store("memory:")
    for split in (flower_split, house_split):
        made = evaluate_predictions(split, perfect(split))
        found = Evaluation.from_stored(store.get(store.put(made.to_tree())))
        assert (found.metrics, found.baselines, found.target) == (made.metrics, made.baselines, made.target)
        assert found.verdict() == made.verdict()


def test_the_linear_baseline_is_deterministic_and_reads_training_rows_only(house_split: TextSplit) -> None:
    _, first = linear_baseline(house_split)
    _, second = linear_baseline(house_split)
    np.testing.assert_array_equal(first.numbers, second.numbers)
    assert first.ids == house_split.validation["id"].tolist()


def test_the_constant_baseline_is_the_frequency_of_classes() -> None:
    split = split_rows(flowers().assign(kind=["a"] * 90 + ["b"] * 30), "kind", validation_fraction=0.2)
    name, found = constant_baseline(split)
    assert name == "most frequent class"
    np.testing.assert_allclose(found.probabilities, np.tile([0.75, 0.25], (24, 1)))


def test_the_confusion_matrix_has_true_classes_in_rows() -> None:
    np.testing.assert_array_equal(
        confusion_matrix(np.array([0, 0, 1]), np.array([1, 0, 1]), 3), [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    )


def test_calibration_says_how_often_the_likeliest_class_is_true() -> None:
    table = calibration(np.array([[0.95, 0.05], [0.05, 0.95], [0.55, 0.45]]), np.array([0, 0, 1]))
    assert table["rows"].tolist() == [1, 2]
    assert table["accuracy"].tolist() == [0, 0.5]
    np.testing.assert_allclose(table["probability"], [0.55, 0.95])
