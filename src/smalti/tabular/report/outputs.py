"""The outputs of a dataset for people, in parts: of the table, its checkpoint, its submission, its cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from smalti.codecs.checkpoint import Checkpoint
from smalti.outputs.curve import curve_svg
from smalti.outputs.folder import REMEMBERED, write_parts
from smalti.outputs.parts import OLDER, PARAMETERS, Card, Part, Rows, content_digest, csv_bytes, rows_of
from smalti.outputs.thumbnail import gallery_picture
from smalti.tabular.evaluate.cross_validation import BERT, CrossValidation
from smalti.tabular.evaluate.evaluation import Evaluation
from smalti.tabular.predictions import Predictions
from smalti.tabular.report.card import Provenance, model_card
from smalti.tabular.report.previews import evaluation_preview, history_preview, metric_shown
from smalti.tabular.report.thumbnails import evaluation_thumbnail, history_curves
from smalti.tabular.split import TextSplit
from smalti.tabular.submission import submission_csv

TABLE, CHECKPOINT, SUBMISSION, CROSS_VALIDATION = "table", "bert_checkpoint", "submission", "cross_validation"
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
        "cross_validation.csv",
        PARAMETERS,
        "logs",
        "thumbnails",
        OLDER,
        REMEMBERED,
    }
)  # what may be at the top of the folder of a dataset
_PICTURE_RANKS = {CHECKPOINT: 1, SUBMISSION: 2}


def write_outputs(
    folder: Path,
    split: TextSplit,
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    provenance: Provenance,
    predictions: Predictions | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """Write what there is to see of a trained table to a folder of its own in ``folder``; return its path.

    Args:
        split: what was trained on.
        checkpoint: that predicts.
        evaluation: of its predictions of the validation rows.
        provenance: of the table; its digests ``checkpoint`` and ``submission`` are those of the parts.
        predictions: of the test table, for ``submission.csv``.
        history: of the whole run, which may be longer than that of the checkpoint; None, that of the checkpoint.

    Raises:
        Refused: the place is taken by the outputs of another dataset, or by something else.
        Unavailable: the disk is full, or may not be written.
    """
    trained = checkpoint_part(checkpoint, provenance.digests.get("checkpoint", ""), history=history)
    digest = provenance.digests.get(SUBMISSION, "")
    submitted = submission_part(split, checkpoint, evaluation, provenance, predictions, digest)
    parts = [trained, replace(submitted, versions={CHECKPOINT: trained.version})]
    return write_dataset_parts(folder, provenance.dataset, parts)


def write_dataset_parts(folder: Path, name: str, parts: Sequence[Part]) -> Path:
    """Write parts of the outputs of a dataset, see :func:`smalti.outputs.folder.write_parts`."""
    return write_parts(folder, "dataset", name, parts, before_parts=FILES)


def table_part(rows: int, columns: int, digest: str) -> Part:
    """Return what there is to see of a table: its size, for the gallery."""
    card = Card((("rows", f"{rows:,}"), ("columns", f"{columns:,}")))
    return Part(TABLE, digest, card=card)


def checkpoint_part(
    checkpoint: Checkpoint,
    digest: str = "",
    made_from: Mapping[str, str] | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
) -> Part:
    """Return what there is to see of a training: settings, and loss and metric after each epoch.

    Args:
        digest: of the stored checkpoint.
        made_from: digests of table and split, by name.
        history: of the whole run; None, that of the checkpoint.
    """
    recorded: Any = checkpoint.state["history"] if history is None else history
    metric = metric_shown(recorded[-1] if recorded else {})
    files = {
        "history.csv": history_csv(recorded),
        "training.png": history_preview(recorded, metric),
        f"thumbnails/{CHECKPOINT}.svg": curve_svg(history_curves(recorded), "epoch").encode(),
    }
    card = Card((), f"thumbnails/{CHECKPOINT}.svg", "loss by epoch", _PICTURE_RANKS[CHECKPOINT])
    parameters = {"config": dict(checkpoint.config), "epoch": checkpoint.state["epoch"]}
    return _part(CHECKPOINT, digest, made_from or {}, files, parameters=parameters, card=card)


def submission_part(
    split: TextSplit,
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    provenance: Provenance,
    predictions: Predictions | None = None,
    digest: str = "",
    made_from: Mapping[str, str] | None = None,
) -> Part:
    """Return what there is to see of predictions: the submission, how good it is, and the model card.

    Args:
        split, checkpoint, evaluation, provenance, predictions: as :func:`write_outputs`.
        digest: of the stored submission, else of the evaluation.
        made_from: digest of the checkpoint, under the name of its part, and of others.
    """
    files = {
        "evaluation.png": evaluation_preview(evaluation),
        "model_card.md": model_card(split, checkpoint, evaluation, provenance).encode(),
        f"thumbnails/{SUBMISSION}.webp": gallery_picture(evaluation_thumbnail(evaluation)),
    }
    if evaluation.classes is not None:
        files["classes.csv"] = evaluation.classes.to_csv(index=False, lineterminator="\n").encode()
    if evaluation.residuals is not None:
        files["residuals.csv"] = evaluation.residuals.to_csv(index=False, lineterminator="\n").encode()
    if predictions is not None:
        files["submission.csv"] = submission_csv(predictions)
    name = evaluation.main_metric
    shows = "predicted against true numbers" if evaluation.target.is_regression else "confusion matrix"
    card = Card(
        ((name.replace("_", " "), f"{evaluation.metrics[name]:.3g}"),),
        f"thumbnails/{SUBMISSION}.webp",
        f"{shows} of the validation rows",
        _PICTURE_RANKS[SUBMISSION],
    )
    return _part(
        SUBMISSION,
        digest,
        {**provenance.digests, **(made_from or {})},
        files,
        tables={"metrics.csv": _metrics(evaluation)},
        card=card,
    )


def cross_validation_part(found: CrossValidation, digest: str = "", made_from: Mapping[str, str] | None = None) -> Part:
    """Return what there is to see of a cross-validation: the scores of every fold and model.

    Args:
        digest: of the stored cross-validation.
        made_from: digests of table, split and checkpoint, by the names of their assets.
    """
    of_bert = found.summary()[BERT]
    text = f"{of_bert['mean']:.3g} ± {of_bert['sd']:.2g}"
    card = Card(((f"{found.main_metric.replace('_', ' ')}, cross-validated", text),))
    files = {"cross_validation.csv": found.scores.to_csv(index=False, lineterminator="\n").encode()}
    return _part(CROSS_VALIDATION, digest, made_from or {}, files, card=card)


def _part(asset: str, digest: str, made_from: Mapping[str, str], files: Mapping[str, bytes], **more: Any) -> Part:
    return Part(asset, digest, dict(made_from), digest or content_digest(files), files=files, **more)


def _metrics(evaluation: Evaluation) -> Rows:
    """Return model, metric and value: of the BERT and of the baselines."""
    models = {"BERT": evaluation.metrics, **evaluation.baselines}
    rows = ((model, name, value) for model, metrics in models.items() for name, value in metrics.items())
    return rows_of(("model", "metric", "value"), rows)


def history_csv(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a CSV file with a line for each epoch; empty where a metric was not measured."""
    names = list(dict.fromkeys(name for entry in history for name in entry)) or ["epoch", "loss"]
    return csv_bytes(tuple(names), (tuple(entry.get(name, "") for name in names) for entry in history))
