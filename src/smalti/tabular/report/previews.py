"""Pictures of a training on a table and of its evaluation, as PNG files 900 px wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from smalti.outputs.figure import figure, png
from smalti.tabular.evaluate.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "0.45"  # of Okabe and Ito, distinct with red-green colour blindness
COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINES = ("-", "--", ":", "-.")
MOST_CLASSES_NUMBERED = 12  # more of them leave no room for a count in each cell
MOST_CLASSES_NAMED = 30
LONGEST_NAME = 18


def evaluation_preview(evaluation: Evaluation) -> bytes:
    """Return a PNG of the confusion matrix with the calibration, or of a regression with its residuals."""
    made = figure(height_inch=4.2)
    left, right = made.subplots(1, 2)
    if evaluation.residuals is None:
        _draw_confusion(left, evaluation)
        _draw_calibration(right, evaluation)
    else:
        _draw_predicted(left, evaluation)
        _draw_residuals(right, evaluation)
    return png(made)


def history_preview(history: Sequence[Mapping[str, Any]], metric: str) -> bytes:
    """Return a PNG of training and validation loss, and of a metric, after each epoch.

    Args:
        history: ``epoch``, ``loss`` and, where it was evaluated, ``validation_loss`` and ``metric`` of each epoch.
        metric: to be drawn on the right.
    """
    made = figure(height_inch=3.2)
    losses, beside = made.subplots(1, 2)
    for name, colour in (("loss", BLUE), ("validation_loss", VERMILION)):
        _draw_curve(losses, history, name, colour)
    losses.set_title("loss")
    losses.legend(frameon=False)
    _draw_curve(beside, history, metric, VERMILION)
    beside.set_title(f"{metric} of the validation rows")
    for axes in (losses, beside):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    return png(made)


def metric_shown(metrics: Mapping[str, Any]) -> str:
    """Return the metric to draw of those that were measured: the accuracy of classes, else the error of a number."""
    return next((name for name in ("accuracy", "rmse_log", "rmse") if name in metrics), "validation_loss")


def comparison_preview(histories: Mapping[str, Sequence[Mapping[str, Any]]], metric: str) -> bytes:
    """Return a PNG of a metric of the validation rows after each epoch, one curve for each trial of a sweep.

    Args:
        histories: of each trial by its name, as ``history_preview`` takes one.
        metric: to be drawn.
    """
    made = figure(height_inch=max(3.2, 0.22 * len(histories)))
    axes = made.subplots()
    for number, (name, history) in enumerate(histories.items()):
        points = [(entry["epoch"], entry[metric]) for entry in history if metric in entry]
        colour, style = COLOURS[number % len(COLOURS)], LINES[number // len(COLOURS) % len(LINES)]
        axes.plot(*zip(*points, strict=True) if points else ([], []), color=colour, linestyle=style, label=name)
    axes.set_title(f"{metric} of the validation rows")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    return png(made)


def _draw_curve(axes: Axes, history: Sequence[Mapping[str, Any]], name: str, colour: str) -> None:
    points = [(entry["epoch"], entry[name]) for entry in history if name in entry]
    marker = "o" if len(points) <= 60 else ""
    axes.plot(*zip(*points, strict=True) if points else ([], []), color=colour, marker=marker, markersize=3, label=name)


def _draw_confusion(axes: Axes, evaluation: Evaluation) -> None:
    counts = np.asarray(evaluation.confusion)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if len(counts) <= MOST_CLASSES_NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=9)
    if len(counts) <= MOST_CLASSES_NAMED:
        names = [_short(str(label)) for label in evaluation.target.classes]
        axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 4 else 0, parse_math=False)
        axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(
        f"{_short(evaluation.target.column)}: accuracy {evaluation.metrics['accuracy']:.3f}", parse_math=False
    )


def _draw_calibration(axes: Axes, evaluation: Evaluation) -> None:
    table = evaluation.calibration
    assert table is not None
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    size = 10 + 200 * table["rows"] / table["rows"].sum()
    axes.scatter(table["probability"], table["accuracy"], s=size, color=BLUE)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("probability of the predicted class")
    axes.set_ylabel("how often it is true")
    axes.set_title("calibration; area: rows")


def _draw_predicted(axes: Axes, evaluation: Evaluation) -> None:
    true, predicted = _residuals(evaluation)
    ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
    axes.plot(ends, ends, color=GREY, linewidth=0.8)
    axes.scatter(true, predicted, s=6, color=BLUE, alpha=0.5, linewidths=0)
    if "rmse_log" in evaluation.metrics:
        axes.set_xscale("log")
        axes.set_yscale("log")
    name = evaluation.main_metric
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    axes.set_title(f"{_short(evaluation.target.column)}: {name} {evaluation.metrics[name]:.4g}", parse_math=False)


def _draw_residuals(axes: Axes, evaluation: Evaluation) -> None:
    true, predicted = _residuals(evaluation)
    axes.hist(predicted - true, bins=min(40, max(5, len(true) // 5)), color=BLUE)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel("predicted - true")
    axes.set_ylabel("rows")
    axes.set_title("residuals")


def _residuals(evaluation: Evaluation) -> tuple[Any, Any]:
    assert evaluation.residuals is not None
    return evaluation.residuals["true"].to_numpy(), evaluation.residuals["predicted"].to_numpy()


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"
