"""Checkpoints as folders: saved whole or not at all, loaded, listed by a metric without reading weights."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.canonical import Json
from smalti.codecs.checkpoint import Checkpoint
from smalti.codecs.checkpoint_folder import MODEL, STATE, Pieces, files_of, read_checkpoint_folder, read_document
from smalti.errors import Damaged, NotFound, Refused
from smalti.store.commit import alone, machine_errors, make_folder, sync, write_file
from smalti.training.metrics import direction

if TYPE_CHECKING:
    from mlx import nn
    from mlx.optimizers import Optimizer

EXPERIMENTS = Path("experiments")
_BEFORE = ".before"  # ends the name of a checkpoint that is being replaced
_OWN = {"metrics", "metadata", "saved_at"}


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """A checkpoint in a folder, as its ``state.json`` tells.

    Attributes:
        path: its folder.
        metrics: by name, as they were given.
        metadata: as it was given.
        saved_at: when, in UTC, ISO 8601.
        epoch: epochs done, where it says so.
    """

    path: Path
    metrics: Mapping[str, float]
    metadata: Mapping[str, Json] = field(default_factory=dict)
    saved_at: str = ""
    epoch: int | None = None


def save_checkpoint(
    model: nn.Module | Checkpoint | Mapping[str, Any],
    metrics: Mapping[str, float],
    path: str | Path,
    metadata: Mapping[str, Json] | None = None,
    *,
    optimizer: Optimizer | None = None,
    config: Mapping[str, Json] | None = None,
    position: Mapping[str, int] | None = None,
    tokenizer: str = "",
) -> Path:
    """Save a checkpoint as a folder and return its path.

    ``path`` becomes a folder whatever its suffix, with ``model.safetensors``, ``config.json``, ``state.json`` and,
    where they were given, ``optimizer.safetensors`` and ``tokenizer.json``. An older checkpoint there is replaced when
    the new one is complete and on the disk; killed at any moment, one of the two is found by ``load_checkpoint``.

    Args:
        model: an MLX module, its weights by name, or a whole ``Checkpoint``, which brings its own optimizer state,
            configuration, position and tokenizer.
        metrics: finite numbers by name, by which ``list_checkpoints`` sorts.
        metadata: anything that JSON can hold.
        optimizer: whose state goes into the checkpoint.
        config: what the model is; ``{"model_type": <name of its class>}`` by default for a module.
        position: ``seed``, ``epoch`` and ``step``, by which every random number of the next step is known.
        tokenizer: the JSON text of the ``tokenizers`` Tokenizer.

    Raises:
        Refused: something else is at ``path``; a metric is no finite number; a part cannot be stored exactly; or parts
            were given beside a whole checkpoint.
        Unavailable: the machine did not let it be written.
    """
    if not isinstance(metrics, Mapping):
        raise Refused(f"the metrics are a {type(metrics).__name__}; give numbers by name.")
    checkpoint = _checkpoint(model, optimizer, config, position, tokenizer)
    state: dict[str, Any] = {
        **{name: value for name, value in checkpoint.state.items() if name not in _OWN},
        "metrics": {name: _number(name, value) for name, value in metrics.items()},
        "metadata": dict(metadata or {}),
        "saved_at": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    target = Path(path)
    files = files_of(replace(checkpoint, state=state))
    with machine_errors(f"saving the checkpoint {target}"):
        _check_replaceable(target)
        make_folder(target.parent)
        with alone(target.parent / ".lock"):
            _put_in_place(files, target)
    return target


def load_checkpoint(path: str | Path, model: nn.Module | None = None, optimizer: Optimizer | None = None) -> Checkpoint:
    """Return the checkpoint in a folder; its metrics are in ``state["metrics"]``.

    Args:
        model: gets its weights.
        optimizer: gets its optimizer state.

    Raises:
        NotFound: nothing is there.
        Refused: it is a file and no folder, its weights do not fit the model, or there is no optimizer state.
        Damaged: a file is missing, cut, or not what its name says.
    """
    place = _found(Path(path))
    checkpoint = read_checkpoint_folder(place)
    if optimizer is not None and not checkpoint.optimizer:
        raise Refused(f"{place} holds no optimizer state; save it with optimizer=, or load without one.")
    if model is not None or optimizer is not None:
        from smalti.training.tensors import load_weights, to_tree

        if model is not None:
            load_weights(model, checkpoint.model)
        if optimizer is not None:
            optimizer.state = to_tree(checkpoint.optimizer)
    return checkpoint


def list_checkpoints(
    experiment: str | Path,
    metric: str | None = None,
    n_best: int | None = None,
    higher_is_better: bool | None = None,
) -> list[SavedCheckpoint]:
    """Return the checkpoints of an experiment, best first by a metric, or newest first; no weights are read.

    One that lacks the metric comes after those that have it, and is not among the ``n_best``. One whose ``state.json``
    cannot be read is left out with a warning that says why.

    Args:
        experiment: its name, for ``experiments/<name>/checkpoints`` under the current folder, or a folder: a ``Path``,
            or a text with a ``/`` in it.
        metric: name of a metric.
        n_best: how many are wanted at most.
        higher_is_better: whether more of the metric is better; by default its name says so.

    Raises:
        NotFound: there is no such folder, or no checkpoint in it has the metric.
        Refused: ``n_best`` is below 1 or asked for without a metric, or nothing says which direction of the metric is
            better.
    """
    if n_best is not None and metric is None:
        raise Refused("n_best was given without a metric to be best by; name one.")
    if n_best is not None and n_best < 1:
        raise Refused(f"n_best is {n_best}; give 1 or more.")
    saved = _saved_in(_folder_of(experiment))
    if metric is None:
        return saved
    more_is_better = direction(metric, higher_is_better)
    ranked = ranked_by(saved, metric, more_is_better)
    if saved and not ranked:
        known = sorted({name for one in saved for name in one.metrics})
        raise NotFound(
            f"no checkpoint of {experiment} has the metric {metric!r}; there are {', '.join(known) or 'none'}."
        )
    if n_best is not None:
        return ranked[:n_best]
    return [*ranked, *(one for one in saved if metric not in one.metrics)]


def prune_checkpoints(
    experiment: str | Path,
    keep_last: int,
    metric: str | None = None,
    keep_best: int = 1,
    higher_is_better: bool | None = None,
) -> list[Path]:
    """Remove all checkpoints of an experiment but the newest and, by a metric, the best; return what was removed.

    Raises:
        NotFound: there is no such folder.
        Refused: a number is below 0, or nothing says which direction of the metric is better.
        Unavailable: one could not be removed.
    """
    if keep_last < 0 or keep_best < 0:
        raise Refused(f"keep_last is {keep_last} and keep_best {keep_best}; give 0 or more.")
    saved = _saved_in(_folder_of(experiment))
    more_is_better = direction(metric, higher_is_better) if metric is not None else False
    paths = [one.path for one in surplus(saved, keep_last, metric, keep_best, more_is_better)]
    for path in paths:
        with machine_errors(f"removing the checkpoint {path}"):
            shutil.rmtree(path)
    return paths


def ranked_by(saved: Sequence[SavedCheckpoint], metric: str, more_is_better: bool) -> list[SavedCheckpoint]:
    """Return those that have the metric, best first; equals stay in order."""
    measured = [one for one in saved if metric in one.metrics]
    return sorted(measured, key=lambda one: one.metrics[metric], reverse=more_is_better)


def surplus(
    saved: Sequence[SavedCheckpoint], keep_last: int, metric: str | None, keep_best: int, more_is_better: bool
) -> list[SavedCheckpoint]:
    """Return those that are neither among the newest nor, by the metric, among the best; ``saved`` is newest first."""
    best = ranked_by(saved, metric, more_is_better)[:keep_best] if metric is not None else []
    kept = {one.path for one in (*saved[:keep_last], *best)}
    return [one for one in saved if one.path not in kept]


def _checkpoint(
    model: Any,
    optimizer: Optimizer | None,
    config: Mapping[str, Json] | None,
    position: Mapping[str, int] | None,
    tokenizer: str,
) -> Checkpoint:
    if isinstance(model, Checkpoint):
        if optimizer is not None or config is not None or position is not None or tokenizer:
            raise Refused("a whole checkpoint brings its own optimizer, config, position and tokenizer; give it alone.")
        return model
    if not isinstance(model, Mapping):
        raise Refused(f"a {type(model).__name__} has no weights; give an MLX module, weights by name, or a Checkpoint.")
    if not hasattr(model, "parameters"):  # a module is a mapping, too
        weights, default_config = model, {}
    else:
        from smalti.training.tensors import to_numpy

        weights, default_config = to_numpy(model.parameters()), {"model_type": type(model).__name__}
    state: dict[str, Any] = {}
    if optimizer is not None:
        from smalti.training.tensors import to_numpy

        state = to_numpy(optimizer.state)
    return Checkpoint(
        weights, state, default_config if config is None else config, dict(position or {}), tokenizer=tokenizer
    )


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise Refused(f"the metric {name!r} is a {type(value).__name__}; give one number.") from error


def _saved_in(folder: Path) -> list[SavedCheckpoint]:
    """Return the checkpoints in a folder, newest first."""
    saved = []
    names = {
        found.name.removeprefix(".").removesuffix(_BEFORE) if _is_before(found) else found.name
        for found in folder.iterdir()
    }
    for path in sorted(folder / name for name in names if not name.startswith(".")):
        place = path if path.exists() else _before(path)
        if not (place / STATE).is_file():
            continue
        try:
            state = read_document(place / STATE)
            metrics = {name: float(value) for name, value in state.get("metrics", {}).items()}
            saved_at, metadata = str(state.get("saved_at", "")), dict(state.get("metadata", {}))
        except (AttributeError, TypeError, ValueError, Damaged) as error:
            warnings.warn(f"{path} is left out of the list: {error}", stacklevel=3)
        else:
            saved.append(SavedCheckpoint(path, metrics, metadata, saved_at, state.get("epoch")))
    return sorted(saved, key=lambda one: (one.saved_at, one.path), reverse=True)


def _folder_of(experiment: str | Path) -> Path:
    named = isinstance(experiment, str) and "/" not in experiment
    folder = EXPERIMENTS / experiment / "checkpoints" if named else Path(experiment)
    if not folder.is_dir():
        raise NotFound(
            f"there is no folder {folder}; name an experiment that has one, or give the folder of checkpoints."
        )
    return folder


def _found(path: Path) -> Path:
    """Return the folder of a checkpoint: the one before, if a writer was killed while it put a new one in its place."""
    for place in (path, _before(path)):
        if place.is_dir():
            return place
    if path.exists():
        raise Refused(
            f"{path} is a file, but a checkpoint is a folder; PyTorch's and other pickles are not read, so save its "
            "weights as safetensors and load those."
        )
    raise NotFound(f"there is no checkpoint at {path}; list_checkpoints({str(path.parent)!r}) says which there are.")


def _check_replaceable(target: Path) -> None:
    if target.is_dir() and ((target / MODEL).is_file() or not any(target.iterdir())):
        return
    if target.exists() or target.is_symlink():
        raise Refused(f"{target} exists and is no checkpoint, so it is not replaced; name another place.")


def _put_in_place(files: Mapping[str, Pieces], target: Path) -> None:
    """Write a folder beside the target, and let it take the target's place when it is complete and on the disk."""
    made, before = target.with_name(f".{target.name}.part"), _before(target)
    shutil.rmtree(made, ignore_errors=True)  # left by a killed writer
    try:
        made.mkdir()
        for name, pieces in files.items():
            write_file(made / name, pieces)
        sync(made)
        if target.exists():
            shutil.rmtree(before, ignore_errors=True)
            target.rename(before)
        made.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    shutil.rmtree(before, ignore_errors=True)


def _before(target: Path) -> Path:
    return target.with_name(f".{target.name}{_BEFORE}")


def _is_before(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(_BEFORE)
