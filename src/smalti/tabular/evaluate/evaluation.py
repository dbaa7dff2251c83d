"""How good predictions are: metrics, confusion of classes or residuals, calibration, and the baselines beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused
from smalti.tabular.evaluate.baseline import constant_baseline, linear_baseline
from smalti.tabular.evaluate.metrics import classification_metrics, f1_of, regression_metrics
from smalti.tabular.predictions import Predictions
from smalti.tabular.split import ID, LABEL, TextSplit
from smalti.tabular.target import Target, learn_target_scale

if TYPE_CHECKING:
    import pandas as pd

CALIBRATION_BINS = 10
Metrics = dict[str, float]


@dataclass(frozen=True, eq=False, slots=True)
class Evaluation:
    """Predictions of the validation rows against their labels.

    Attributes:
        target: what is predicted.
        metrics: of the predictions, as ``classification_metrics`` or ``regression_metrics`` names them.
        baselines: the same of ``linear_baseline`` and ``constant_baseline``, by their names.
        confusion: (K, K) int64, rows are true classes and columns predicted ones; None of a regression.
        classes: DataFrame of ``class``, ``rows``, ``precision``, ``recall``, ``f1``; None of a regression.
        calibration: DataFrame of ``probability`` (mean, of the likeliest class), ``accuracy``, ``rows``, in bins of
            equal width that hold rows; None of a regression.
        residuals: DataFrame of ``id``, ``true``, ``predicted`` of a regression, else None.
    """

    target: Target
    metrics: Metrics
    baselines: dict[str, Metrics]
    confusion: NDArray[np.int64] | None = None
    classes: pd.DataFrame | None = None
    calibration: pd.DataFrame | None = None
    residuals: pd.DataFrame | None = None

    @property
    def main_metric(self) -> str:
        """``accuracy``, or of a regression ``rmse_log`` where there is one, else ``rmse``."""
        if not self.target.is_regression:
            return "accuracy"
        return "rmse_log" if "rmse_log" in self.metrics else "rmse"

    def verdict(self) -> str:
        """Return in one sentence whether the BERT is worth it: its main metric beside those of the baselines."""
        name, higher = self.main_metric, not self.target.is_regression
        others = {label: metrics.get(name) for label, metrics in self.baselines.items()}
        own = self.metrics[name]
        known = [value for value in others.values() if value is not None]
        wins = all(own > value if higher else own < value for value in known)
        equals = all(own >= value if higher else own <= value for value in known)
        beside = ", ".join(f"{value:.4g} of the {label}" for label, value in others.items() if value is not None)
        judged = "is better than" if wins else "is as good as" if equals else "is not better than"
        rows = len(self.residuals) if self.residuals is not None else int(np.sum(np.asarray(self.confusion)))
        return f"On {rows} validation rows, {name} {own:.4g} {judged} the baselines: {beside}."

    def to_tree(self) -> dict[str, Any]:
        """Return what the store takes."""
        parts = {name: getattr(self, name) for name in _PARTS}
        return {
            "target": self.target.to_json(),
            "metrics": self.metrics,
            "baselines": self.baselines,
            **{name: part for name, part in parts.items() if part is not None},
        }

    @classmethod
    def from_stored(cls, tree: Mapping[str, Any]) -> Evaluation:
        """Return the evaluation that was stored."""
        return cls(
            Target.from_json(tree["target"]),
            dict(tree["metrics"]),
            {name: dict(metrics) for name, metrics in tree["baselines"].items()},
            **{name: tree.get(name) for name in _PARTS},
        )


_PARTS = ("confusion", "classes", "calibration", "residuals")


def evaluate_predictions(split: TextSplit, predictions: Predictions) -> Evaluation:
    """Return the evaluation of predictions of the validation rows, with baselines trained on the training rows.

    Raises:
        Refused: the predictions are of another target or of other rows.
    """
    if predictions.target != split.target or predictions.ids != split.validation[ID].tolist():
        raise Refused(
            f"the predictions of {predictions.target.column} are not of the {len(split.validation)} validation rows of "
            f"this split of {split.target.column}; predict those."
        )
    truth = split.target.codes(split.validation[LABEL].tolist())
    logarithmic = split.target.is_regression and _is_logarithmic(split)
    models = sorted([linear_baseline(split), constant_baseline(split)], key=lambda model: model[0])
    baselines = {name: _metrics(made, truth, logarithmic) for name, made in models}
    metrics = _metrics(predictions, truth, logarithmic)
    if predictions.probabilities is None:
        return Evaluation(split.target, metrics, baselines, residuals=_residuals(predictions, truth))
    confusion = confusion_matrix(truth, predictions.codes, len(split.target.classes))
    return Evaluation(
        split.target,
        metrics,
        baselines,
        confusion,
        _classes(split.target, truth, predictions.codes),
        calibration(predictions.probabilities, truth),
    )


def confusion_matrix(truth: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Return (K, K) counts: rows are true classes, columns predicted ones."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, predicted), 1)
    return counts


def calibration(probabilities: NDArray[np.float64], truth: NDArray[Any]) -> pd.DataFrame:
    """Return mean probability of the likeliest class, how often it is true, and rows, by bins that hold rows."""
    import pandas as pd

    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bins = np.minimum((sure * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    held = [bins == one for one in np.unique(bins)]
    return pd.DataFrame(
        {
            "probability": [float(sure[rows].mean()) for rows in held],
            "accuracy": [float(right[rows].mean()) for rows in held],
            "rows": [int(rows.sum()) for rows in held],
        }
    )


def _metrics(predictions: Predictions, truth: NDArray[Any], logarithmic: bool) -> Metrics:
    if predictions.probabilities is not None:
        return classification_metrics(predictions.probabilities, truth)
    assert predictions.numbers is not None
    return regression_metrics(predictions.numbers, truth, logarithmic)


def _is_logarithmic(split: TextSplit) -> bool:
    return learn_target_scale(split.target.codes(split.train[LABEL].tolist())).logarithmic


def _residuals(predictions: Predictions, truth: NDArray[Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({ID: predictions.ids, "true": truth, "predicted": predictions.numbers})


def _classes(target: Target, truth: NDArray[Any], predicted: NDArray[Any]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for place, label in enumerate(target.classes):
        is_true, is_predicted = truth == place, predicted == place
        both = int(np.sum(is_true & is_predicted))
        precision, recall = (both / count if count else 0.0 for count in (int(is_predicted.sum()), int(is_true.sum())))
        rows.append((str(label), int(is_true.sum()), precision, recall, f1_of(is_predicted, is_true)))
    return pd.DataFrame(rows, columns=["class", "rows", "precision", "recall", "f1"])
