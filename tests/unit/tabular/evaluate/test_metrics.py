"""Metrics equal those of scikit-learn, and are defined where a class is absent or all numbers are equal."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from smalti.tabular.evaluate.metrics import classification_metrics, regression_metrics


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_metrics_of_classes_are_those_of_scikit_learn(classes: int) -> None:
    rng = np.random.default_rng(classes)
    probabilities, codes = rng.dirichlet(np.ones(classes), 50), rng.integers(0, classes, 50).astype(np.int32)
    found = classification_metrics(probabilities, codes)
    predicted = probabilities.argmax(axis=1)
    average = "binary" if classes == 2 else "macro"
    assert found["accuracy"] == sklearn_metrics.accuracy_score(codes, predicted)
    assert found["f1"] == pytest.approx(sklearn_metrics.f1_score(codes, predicted, average=average))
    assert found["log_loss"] == pytest.approx(sklearn_metrics.log_loss(codes, probabilities))
    if classes == 2:
        assert found["auc"] == pytest.approx(sklearn_metrics.roc_auc_score(codes, probabilities[:, 1]))


def test_equal_scores_count_half_in_the_area() -> None:
    probabilities = np.full((4, 2), 0.5)
    assert classification_metrics(probabilities, np.array([0, 1, 0, 1], np.int32))["auc"] == 0.5


def test_where_one_class_occurs_there_is_no_area_and_a_certain_error_is_finite() -> None:
    found = classification_metrics(np.array([[1.0, 0.0]]), np.array([1], np.int32))
    assert "auc" not in found
    assert found["log_loss"] == pytest.approx(34.54, abs=0.01)
    assert found["f1"] == 0


def test_metrics_of_numbers_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 10, 40)
    predicted = truth + rng.normal(size=40) * 0.3
    found = regression_metrics(predicted, truth, logarithmic=True)
    assert found["rmse"] == pytest.approx(sklearn_metrics.root_mean_squared_error(truth, predicted))
    assert found["mae"] == pytest.approx(sklearn_metrics.mean_absolute_error(truth, predicted))
    assert found["r2"] == pytest.approx(sklearn_metrics.r2_score(truth, predicted))
    assert found["rmse_log"] == pytest.approx(sklearn_metrics.root_mean_squared_error(np.log(truth), np.log(predicted)))


def test_equal_numbers_have_no_r2() -> None:
    assert regression_metrics(np.array([1.0, 3.0]), np.array([2.0, 2.0]), logarithmic=False) == {
        "rmse": 1.0, "mae": 1.0, "r2": 0.0,
    }  # fmt: skip
