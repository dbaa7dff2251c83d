"""Cross-validation of a table: every row is predicted by a model that was not trained on it, and judged once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smalti.errors import Refused
from smalti.tabular.evaluate.evaluation import Evaluation, evaluate_predictions
from smalti.tabular.predictions import Predictions
from smalti.tabular.split import TextSplit, as_frame, fold_of_rows, split_rows
from smalti.tabular.target import labels_of

if TYPE_CHECKING:
    import pandas as pd

BERT = "BERT"


@dataclass(frozen=True, eq=False, slots=True)
class CrossValidation:
    """The metrics of every fold.

    Attributes:
        scores: DataFrame of ``fold`` from 1, ``model`` (BERT or a baseline), and a column for each metric.
        main_metric: the metric to compare by; see ``Evaluation.main_metric``.
        higher_is_better: of the main metric.
    """

    scores: pd.DataFrame
    main_metric: str
    higher_is_better: bool

    def summary(self) -> dict[str, dict[str, float]]:
        """Return ``mean`` and ``sd`` (standard deviation over the folds) of the main metric, by model."""
        grouped = self.scores.groupby("model", sort=True)[self.main_metric]
        return {str(name): {"mean": float(of.mean()), "sd": float(of.std(ddof=0))} for name, of in grouped}

    def verdict(self) -> str:
        """Return in one sentence what BERT reaches, beside the baselines on the same folds."""
        folds, of = self.scores["fold"].max(), self.summary()
        told = {name: f"{scores['mean']:.4f} ± {scores['sd']:.4f}" for name, scores in of.items()}
        beside = ", ".join(f"{told[name]} of the {name}" for name in told if name != BERT)
        return f"{self.main_metric} over {folds} folds: {told[BERT]} of BERT, {beside}."

    def to_tree(self) -> dict[str, Any]:
        """Return what the store takes."""
        return {name: getattr(self, name) for name in ("scores", "main_metric", "higher_is_better")}

    @classmethod
    def from_stored(cls, tree: Mapping[str, Any]) -> CrossValidation:
        """Return the cross-validation that was stored."""
        return cls(tree["scores"], tree["main_metric"], tree["higher_is_better"])


def fold_splits(split: TextSplit, table: Any, folds: int, seed: int = 0) -> Iterator[TextSplit]:
    """Yield for each fold the split whose validation rows are those of the fold; classes in equal proportion.

    Args:
        split: of the same table; target, kind of competition and id are as in it.
        table: a DataFrame or pyarrow Table.

    Raises:
        Refused: there are fewer rows with a target than folds, or fewer than two folds.
    """
    frame, target = as_frame(table, "the table"), split.target
    labels = labels_of(frame[target.column].tolist())
    kept = np.array([label is not None for label in labels])
    codes = target.codes([label for label in labels if label is not None])
    fold = np.full(len(labels), -1)
    fold[kept] = fold_of_rows(codes, folds, seed, stratified=not target.is_regression)
    id_column = split.id_column if split.id_column in frame else None
    for number in range(folds):
        yield split_rows(
            frame,
            target.column,
            competition_type=target.competition_type,
            id_column=id_column,
            validates=fold == number,
        )


def cross_validate(splits: Iterator[TextSplit], predict: Callable[[TextSplit], Predictions]) -> CrossValidation:
    """Return the metrics of each fold.

    Args:
        splits: one for each fold.
        predict: what a model trained on the training rows of a split predicts of its validation rows, at which it must
            not have looked.
    """
    import pandas as pd

    found: list[Evaluation] = []
    rows = []
    for number, split in enumerate(splits, start=1):
        found.append(evaluate_predictions(split, predict(split)))
        models = {BERT: found[-1].metrics, **found[-1].baselines}
        rows += [{"fold": number, "model": model, **metrics} for model, metrics in models.items()]
    if not found:
        raise Refused("there is no fold to validate; give at least two.")
    return CrossValidation(pd.DataFrame(rows), found[0].main_metric, not found[0].target.is_regression)
