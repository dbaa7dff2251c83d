"""Which of two values of a metric is better, and which evaluation of a run was the best."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from smalti.errors import Refused

LOWER_IS_BETTER = (
    "error", "loss", "logloss", "mae", "mape", "mse", "nll", "perplexity", "rmse", "rmsle",
)  # fmt: skip
HIGHER_IS_BETTER = (
    "accuracy", "auc", "auroc", "bleu", "f1", "kappa", "mcc", "precision", "psnr", "r2", "recall", "ssim",
)  # fmt: skip


def direction(metric: str, higher_is_better: bool | None = None) -> bool:
    """Return whether more of a metric is better: as it was said, or else as a word of its name says.

    >>> direction("validation_loss"), direction("f1_macro"), direction("reward", higher_is_better=True)
    (False, True, True)

    Raises:
        Refused: nobody said it, and the name says nothing or both.
    """
    if higher_is_better is not None:
        return higher_is_better
    words = set(re.split(r"[^a-z0-9]+", metric.lower()))
    lower, higher = (bool(words.intersection(known)) for known in (LOWER_IS_BETTER, HIGHER_IS_BETTER))
    if lower == higher:
        raise Refused(
            f"the name of the metric {metric!r} does not say whether more is better; give higher_is_better=True or "
            f"False, or a name with one of {', '.join((*LOWER_IS_BETTER, *HIGHER_IS_BETTER))} in it."
        )
    return higher


def best_evaluation(
    history: Sequence[Mapping[str, Any]], metric: str, more_is_better: bool
) -> tuple[Mapping[str, Any] | None, int]:
    """Return the best entry of a history, the first of equals, and how many evaluations came after it; None before any.

    Args:
        history: entries of which those that have the metric are evaluations, oldest first.
    """
    values = [(index, entry[metric]) for index, entry in enumerate(history) if metric in entry]
    if not values:
        return None, 0
    best, _ = (max if more_is_better else min)(values, key=lambda value: value[1])
    return history[best], sum(index > best for index, _ in values)
