"""From a table to a submission: split, tokens, training, prediction, evaluation.

    split = split_rows(train, test=test)                           # texts and labels; stored once for many trainings
    run_child("smalti.tabular.stored:train_stored", {"store": ..., "split": ..., "settings": {"epochs": 20}})
    predictions = predict_table(checkpoint, test)                  # of a raw table: the checkpoint alone is enough
    submission_csv(predictions)

``network``, ``task``, ``predict`` and ``stored`` import MLX; nothing that is imported from here does, but
``predict_table``, which is for a child process or a script of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.tabular.evaluate.evaluation import Evaluation, evaluate_predictions
    from smalti.tabular.predict import predict_table
    from smalti.tabular.predictions import Predictions
    from smalti.tabular.report.card import Provenance
    from smalti.tabular.report.outputs import write_outputs
    from smalti.tabular.settings import BertSettings
    from smalti.tabular.split import TextSplit, split_rows
    from smalti.tabular.submission import submission_csv
    from smalti.tabular.target import Target

# Where each name lives; imported when first used, because some need MLX, pandas or matplotlib.
_HOME = {
    "BertSettings": "smalti.tabular.settings",
    "Evaluation": "smalti.tabular.evaluate.evaluation",
    "Predictions": "smalti.tabular.predictions",
    "Provenance": "smalti.tabular.report.card",
    "Target": "smalti.tabular.target",
    "TextSplit": "smalti.tabular.split",
    "evaluate_predictions": "smalti.tabular.evaluate.evaluation",
    "predict_table": "smalti.tabular.predict",
    "split_rows": "smalti.tabular.split",
    "submission_csv": "smalti.tabular.submission",
    "write_outputs": "smalti.tabular.report.outputs",
}

__all__ = [
    "BertSettings",
    "Evaluation",
    "Predictions",
    "Provenance",
    "Target",
    "TextSplit",
    "evaluate_predictions",
    "predict_table",
    "split_rows",
    "submission_csv",
    "write_outputs",
]

__getattr__ = lazy_names(__name__, _HOME)
