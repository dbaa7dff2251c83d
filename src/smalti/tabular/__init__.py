"""From a table to a submission: split, tokens, training, prediction, evaluation.

    split = split_rows(train, test=test)                           # texts and labels; stored once for many trainings
    run_child("smalti.tabular.stored:train_stored", {"store": ..., "split": ..., "settings": {"epochs": 20}})
    predictions = predict_table(checkpoint, test)                  # of a raw table: the checkpoint alone is enough
    submission_csv(predictions)

``network``, ``task``, ``predict`` and ``stored`` import MLX; nothing that is imported from here does, but
``predict_table``, which is for a child process or a script of its own.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    "BertSettings": "settings",
    "Evaluation": "evaluate.evaluation",
    "Predictions": "predictions",
    "Provenance": "report.card",
    "Target": "target",
    "TextSplit": "split",
    "evaluate_predictions": "evaluate.evaluation",
    "predict_table": "predict",
    "split_rows": "split",
    "submission_csv": "submission",
    "write_outputs": "report.outputs",
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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
