"""Entry points for child processes: train a BERT on a stored split, predict, evaluate, and cross-validate.

Each is called by :func:`smalti.compute.run_child` with a JSON request and stores its result. A training that was killed
is resumed from its last stored state and ends in the same bits as without that.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from smalti import Store, open_store
from smalti.codecs.checkpoint import Checkpoint
from smalti.errors import Refused
from smalti.tabular.evaluate.cross_validation import cross_validate, fold_splits
from smalti.tabular.evaluate.evaluation import evaluate_predictions
from smalti.tabular.predict import predict_table, predict_texts
from smalti.tabular.predictions import Predictions
from smalti.tabular.settings import BertSettings
from smalti.tabular.split import ID, TEXT, TextSplit
from smalti.tabular.task import TableTask
from smalti.training import Saving
from smalti.training.resumable import train_in_store

Report = Callable[[dict[str, Any]], None]

SAVING = Saving(every_s=20.0, at_evaluations=False)  # an epoch takes less than a second, and a state as much space


def train_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Train on a stored split, and store the checkpoint of the last epoch and that of the best.

    Args:
        request: ``store`` (path), ``split`` (digest of ``TextSplit.to_tree()``), ``settings`` (fields of BertSettings)
            and, optionally, ``saving`` (fields of Saving).
        report: is called as :func:`smalti.training.loop.train` and ``train_in_store`` call it, and first with
            ``{"note": sentence}`` for what a person should know, e.g. how many texts are cut.

    Returns:
        ``{"digest": digest of the checkpoint to predict with, as ``settings`` say, "last": digest, "best": digest,
        "new_bytes": bytes that both added}``.

    Raises:
        NotFound: nothing in the store answers to the digest.
        Refused: an unknown setting, or a split that cannot be learned from.
    """
    store = open_store(request["store"])
    settings = BertSettings.from_request(request.get("settings", {}))
    split = TextSplit.from_stored(store.get(request["split"]))
    task = TableTask(split, settings)
    for note in (*split.notes, *task.notes):
        report({"note": note})
    saving = Saving(**request["saving"]) if "saving" in request else SAVING
    stored = train_in_store(store, task, settings.training(), {"split": request["split"]}, report, saving)
    chosen = stored.best if settings.predict_with == "best" else stored.last
    added = stored.last.new_bytes + (stored.best.new_bytes if stored.best != stored.last else 0)
    return {"digest": chosen.digest, "last": stored.last.digest, "best": stored.best.digest, "new_bytes": added}


def predict_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Predict the test rows of a stored split, or the rows of a stored table, and store the predictions.

    Args:
        request: ``store`` (path), ``checkpoint`` (digest), and either ``split`` (digest), whose ``test`` is predicted,
            or ``table`` (digest of a DataFrame or pyarrow Table with the columns of the training table).
        report: gets ``{"note": sentence}`` for what a person should know.

    Returns:
        ``{"digest": digest, "new_bytes": bytes added, "rows": rows}``; what is stored is read by
        :meth:`Predictions.from_stored`.

    Raises:
        NotFound: nothing in the store answers to a digest.
        Refused: the split has no test rows, or what ``predict_table`` refuses.
    """
    store = open_store(request["store"])
    checkpoint = _checkpoint(store, request["checkpoint"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if "table" in request:
            predictions = predict_table(checkpoint, store.get(request["table"]))
        else:
            predictions = _of_split(checkpoint, TextSplit.from_stored(store.get(request["split"])), "test")
    for warning in caught:
        report({"note": str(warning.message)})
    ref = store.put(predictions.to_tree())
    return {"digest": ref.digest, "new_bytes": ref.new_bytes, "rows": len(predictions)}


def evaluate_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Predict the validation rows of a stored split, and store the evaluation, with baselines trained on the same rows.

    Args:
        request: ``store`` (path), ``checkpoint`` (digest) and ``split`` (digest).
        report: gets ``{"verdict": sentence}``.

    Returns:
        ``{"digest": digest, "new_bytes": bytes added, "metrics": metrics, "baselines": metrics by name, "verdict":
        sentence}``; what is stored is read by :meth:`Evaluation.from_stored`.

    Raises:
        NotFound: nothing in the store answers to a digest.
        Refused: the checkpoint is of another network or target.
    """
    store = open_store(request["store"])
    checkpoint = _checkpoint(store, request["checkpoint"])
    split = TextSplit.from_stored(store.get(request["split"]))
    found = evaluate_predictions(split, _of_split(checkpoint, split, "validation"))
    report({"verdict": found.verdict()})
    ref = store.put(found.to_tree())
    return {
        "digest": ref.digest,
        "new_bytes": ref.new_bytes,
        "metrics": found.metrics,
        "baselines": found.baselines,
        "verdict": found.verdict(),
    }


def cross_validate_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Train anew for each fold of a stored table, judge what it predicts of the fold, and store the metrics.

    A fold that was trained before is read; one that was killed is resumed.

    Args:
        request: ``store`` (path), ``table`` (digest of a DataFrame or pyarrow Table), ``split`` (digest of its split),
            ``folds`` and, optionally, ``settings`` (fields of BertSettings) and ``seed`` of the folds.
        report: is called as ``train_in_store`` calls it, with ``fold`` (from 1) and ``folds`` added; at last
            gets ``{"verdict": sentence}``.

    Returns:
        ``{"digest": digest, "new_bytes": bytes added, "summary": see CrossValidation, "verdict": sentence}``; what is
        stored is read by :meth:`CrossValidation.from_stored`.

    Raises:
        NotFound: nothing in the store answers to a digest.
        Refused: weights are to be chosen by the rows that judge them, or what ``fold_splits`` and ``train`` refuse.
    """
    store, folds = open_store(request["store"]), int(request["folds"])
    settings = BertSettings.from_request(request.get("settings", {}))
    if settings.predict_with != "last" or settings.patience:
        raise Refused("the rows of a fold judge and so may not choose the weights; take predict_with last, patience 0.")
    number = 0

    def predict(split: TextSplit) -> Predictions:
        nonlocal number
        number += 1

        def told(progress: dict[str, Any]) -> None:
            report({"fold": number, "folds": folds, **progress})

        identity = {"split": store.put(split.to_tree()).digest}
        stored = train_in_store(store, TableTask(split, settings), settings.training(), identity, told, SAVING)
        return _of_split(store.get(stored.last), split, "validation")

    split = TextSplit.from_stored(store.get(request["split"]))
    splits = fold_splits(split, store.get(request["table"]), folds, int(request.get("seed", 0)))
    found = cross_validate(splits, predict)
    ref = store.put(found.to_tree())
    report({"verdict": found.verdict()})
    return {
        "digest": ref.digest,
        "new_bytes": ref.new_bytes,
        "summary": found.summary(),
        "verdict": found.verdict(),
    }


def _checkpoint(store: Store, digest: str) -> Checkpoint:
    checkpoint = store.get(digest)
    if not isinstance(checkpoint, Checkpoint):
        raise Refused(f"{digest} is a {type(checkpoint).__name__} and no checkpoint; give the digest of one.")
    return checkpoint


def _of_split(checkpoint: Checkpoint, split: TextSplit, part: str) -> Predictions:
    rows = split.test if part == "test" else split.validation
    if rows is None:
        raise Refused("this split has no test rows; split with a test table, or predict a table.")
    return predict_texts(checkpoint, rows[TEXT].tolist(), rows[ID].tolist())
