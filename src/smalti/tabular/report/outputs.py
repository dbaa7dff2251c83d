"""The output folder of a dataset: submission, metrics, history, pictures and the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smalti.codecs.checkpoint import Checkpoint
from smalti.outputs.folder import PARAMETERS, csv_bytes, json_bytes, replace_folder
from smalti.tabular.evaluate.evaluation import Evaluation
from smalti.tabular.predictions import Predictions
from smalti.tabular.report.card import Provenance, model_card
from smalti.tabular.report.previews import evaluation_preview, history_preview
from smalti.tabular.split import TextSplit
from smalti.tabular.submission import submission_csv

FILES = frozenset(
    {
        "submission.csv",
        "metrics.csv",
        "history.csv",
        "evaluation.png",
        "training.png",
        "classes.csv",
        "residuals.csv",
        "model_card.md",
        PARAMETERS,
    }
)


def write_outputs(
    folder: Path,
    split: TextSplit,
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    provenance: Provenance,
    predictions: Predictions | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """Write the outputs of a dataset to a folder of its own in ``folder``, replacing older ones; return its path.

    See :func:`output_files` for the arguments and :func:`smalti.outputs.folder.replace_folder` for the folder.

    Raises:
        Refused: the place is taken by the outputs of another dataset, or by something else.
        Unavailable: the disk is full, or may not be written.
    """
    files = output_files(split, checkpoint, evaluation, provenance, predictions, history)
    return replace_folder(folder, "dataset", provenance.dataset, files, FILES)


def output_files(
    split: TextSplit,
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    provenance: Provenance,
    predictions: Predictions | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, bytes]:
    """Return the content of each output file by its path; equal arguments give equal bytes.

    Args:
        split: what was trained on.
        checkpoint: that predicts.
        evaluation: of its predictions of the validation rows.
        provenance: of the table.
        predictions: of the test table, for ``submission.csv``.
        history: of the whole run, which may be longer than that of the checkpoint; None, that of the checkpoint.
    """
    recorded: Any = checkpoint.state["history"] if history is None else history
    parameters = {
        "dataset": provenance.dataset,
        "digests": dict(provenance.digests),
        "config": dict(checkpoint.config),
        "epoch": checkpoint.state["epoch"],
    }
    files = {
        "metrics.csv": metrics_csv(evaluation),
        "history.csv": history_csv(recorded),
        "evaluation.png": evaluation_preview(evaluation),
        "training.png": history_preview(recorded, evaluation.main_metric),
        "model_card.md": model_card(split, checkpoint, evaluation, provenance).encode(),
        PARAMETERS: json_bytes(parameters),
    }
    if evaluation.classes is not None:
        files["classes.csv"] = evaluation.classes.to_csv(index=False, lineterminator="\n").encode()
    if evaluation.residuals is not None:
        files["residuals.csv"] = evaluation.residuals.to_csv(index=False, lineterminator="\n").encode()
    if predictions is not None:
        files["submission.csv"] = submission_csv(predictions)
    return files


def metrics_csv(evaluation: Evaluation) -> bytes:
    """Return a CSV file of model, metric and value: of the BERT and of the baselines."""
    models = {"BERT": evaluation.metrics, **evaluation.baselines}
    rows = ((model, name, value) for model, metrics in models.items() for name, value in metrics.items())
    return csv_bytes(("model", "metric", "value"), rows)


def history_csv(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a CSV file with a line for each epoch; empty where a metric was not measured."""
    names = list(dict.fromkeys(name for entry in history for name in entry)) or ["epoch", "loss"]
    return csv_bytes(tuple(names), (tuple(entry.get(name, "") for name in names) for entry in history))
