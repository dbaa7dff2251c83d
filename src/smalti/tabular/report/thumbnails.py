"""Small pictures of evaluations without any text, and small curves of trainings and sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from smalti.outputs.curve import Curve
from smalti.tabular.evaluate.evaluation import Evaluation

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH_PX, HEIGHT_PX = 480, 240
_BLUE, _GREY = (0, 114, 178), (150, 150, 150)
_MARGIN_PX, _FINER = 16, 2
_MOST_POINTS = 2000


def evaluation_thumbnail(evaluation: Evaluation) -> Image:
    """Return the confusion matrix, rows true and columns predicted, or of a regression predicted over true numbers."""
    return _confusion(evaluation) if evaluation.residuals is None else _predicted(evaluation)


def history_curves(history: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Return the loss, and the loss of the validation rows where it was measured, after each epoch."""
    names = {"loss": "loss", "validation_loss": "validation"}
    curves = [_curve(label, history, name) for name, label in names.items()]
    return [curve for curve in curves if len(curve.x)] or curves[:1]


def best_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], metric: str) -> list[Curve]:
    """Return a metric after each epoch of the trial of a sweep that ended best, and of the one that ended worst.

    A metric is better when it is larger where it is an accuracy, else when it is smaller.
    """
    curves = [curve for history in histories.values() if len((curve := _curve(metric, history, metric)).x)]
    ordered = sorted(curves, key=lambda curve: curve.y[-1], reverse=metric == "accuracy")
    if len(ordered) < 2:
        return ordered or [Curve(metric, [], [])]
    best, worst = ordered[0], ordered[-1]
    return [Curve("best trial", best.x, best.y), Curve("worst trial", worst.x, worst.y)]


def _curve(label: str, history: Sequence[Mapping[str, Any]], name: str) -> Curve:
    points = [(float(entry["epoch"]), float(entry[name])) for entry in history if name in entry]
    return Curve(label, [x for x, _ in points], [y for _, y in points])


def _confusion(evaluation: Evaluation) -> Image:
    from PIL import Image

    counts = np.asarray(evaluation.confusion)
    share = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))[..., None]
    rgb = (255 * (1 - share) + np.array(_BLUE) * share).round().astype(np.uint8)
    return Image.fromarray(rgb).resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.NEAREST)


def _predicted(evaluation: Evaluation) -> Image:
    from PIL import Image, ImageDraw

    assert evaluation.residuals is not None
    table = evaluation.residuals.head(_MOST_POINTS)
    true, predicted = (table[name].to_numpy(float) for name in ("true", "predicted"))
    if "rmse_log" in evaluation.metrics:
        true, predicted = (np.log(np.maximum(values, np.finfo(float).tiny)) for values in (true, predicted))
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    width, height, margin = WIDTH_PX * _FINER, HEIGHT_PX * _FINER, _MARGIN_PX * _FINER
    span = (high - low) or 1.0
    across = margin + (true - low) / span * (width - 2 * margin)
    up = height - margin - (predicted - low) / span * (height - 2 * margin)
    made = Image.new("RGB", (width, height), (255, 255, 255))
    pen = ImageDraw.Draw(made)
    pen.line((margin, height - margin, width - margin, margin), fill=_GREY, width=2 * _FINER)
    radius = 3 * _FINER
    for x, y in zip(across.tolist(), up.tolist(), strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_BLUE)
    return made.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BOX)
