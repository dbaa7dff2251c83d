"""Metrics of predictions: of probabilities against classes, and of numbers against numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_PROBABILITY = 1e-15  # what a log loss counts smaller ones as


def classification_metrics(probabilities: NDArray[np.float64], codes: NDArray[np.int32]) -> dict[str, float]:
    """Return accuracy, f1, log_loss and, of two classes, auc where both occur.

    f1 is that of the second of two classes, and of more the mean over the classes that occur or are predicted.

    Args:
        probabilities: (N, K).
        codes: (N,) true class, from 0.
    """
    predicted = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    f1 = [f1_of(predicted == one, codes == one) for one in range(classes) if one in codes or one in predicted]
    found = {
        "accuracy": float(np.mean(predicted == codes)),
        "f1": f1_of(predicted == 1, codes == 1) if classes == 2 else float(np.mean(f1)),
        "log_loss": float(-np.mean(np.log(np.maximum(probabilities[np.arange(len(codes)), codes], LEAST_PROBABILITY)))),
    }
    if classes == 2 and 0 < codes.sum() < len(codes):
        found["auc"] = area_under_roc(probabilities[:, 1], codes == 1)
    return found


def regression_metrics(
    predicted: NDArray[np.float64], numbers: NDArray[np.float64], logarithmic: bool
) -> dict[str, float]:
    """Return rmse, mae and r2 and, if ``logarithmic`` and all numbers are above 0, rmse_log, that of the logarithms.

    r2 is 0 where all numbers are equal.
    """
    error = predicted - numbers
    spread = float(np.sum((numbers - numbers.mean()) ** 2))
    found = {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "r2": 1 - float(np.sum(error**2)) / spread if spread else 0.0,
    }
    if logarithmic and (numbers > 0).all() and (predicted > 0).all():
        found["rmse_log"] = float(np.sqrt(np.mean((np.log(predicted) - np.log(numbers)) ** 2)))
    return found


def f1_of(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Return the F1 score of one class, 0 where it neither occurs nor is predicted."""
    both = int(np.sum(predicted & true))
    total = int(predicted.sum()) + int(true.sum())
    return 2 * both / total if total else 0.0


def area_under_roc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return how often a positive row has the higher score of a pair; equal scores count half."""
    from scipy.stats import rankdata

    count = int(positive.sum())
    ranks = rankdata(scores)[positive].sum() - count * (count + 1) / 2
    return float(ranks / (count * (len(positive) - count)))
