"""A run as MLflow keeps it, however it was read, and what it becomes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from smalti.canonical import Json
from smalti.migration.layouts.description import utc_of_ms, without_empty
from smalti.migration.naming import run_names
from smalti.migration.plan import Facts, FailedRun, FolderPart, MadePart, Part, PlannedRun

KIND = "mlflow"
PARENT = "mlflow.parentRunId"
_STATUS = {1: "running", 2: "running", 3: "finished", 4: "failed", 5: "stopped"}  # 2 is scheduled
_STATUS_NAMES = {"RUNNING": 1, "SCHEDULED": 2, "FINISHED": 3, "FAILED": 4, "KILLED": 5}
_CODE = {
    "commit": "mlflow.source.git.commit",
    "branch": "mlflow.source.git.branch",
    "repository": "mlflow.source.git.repoURL",
    "source": "mlflow.source.name",
    "entry_point": "mlflow.project.entryPoint",
}


class Measured(NamedTuple):
    """One value of a metric: its step, when it was logged in ms since 1970, and the value, which may be NaN."""

    step: int
    at_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class LoggedDataset:
    """A dataset that a run used, as MLflow describes it; MLflow keeps no content of it."""

    name: str
    digest: str
    description: Mapping[str, Json]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model that a run made: its name, what MLflow says of it, and its files."""

    name: str
    description: Mapping[str, Json]
    files: FolderPart


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """A run of MLflow.

    Attributes:
        place: where it is in the source; unlike any other's.
        status: MLflow's number or word.
        started_ms, ended_ms: in ms since 1970, or None.
        metrics: name -> every value, in the order that they were logged in.
        artifacts: what lies in its folder of artifacts.
        link: where MLflow shows it, or "".
    """

    place: str
    run_id: str
    name: str
    experiment: str
    experiment_id: str
    status: Any
    started_ms: Any
    ended_ms: Any
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, Sequence[Measured]]
    datasets: Sequence[LoggedDataset] = ()
    models: Sequence[LoggedModel] = ()
    artifacts: FolderPart = field(default_factory=lambda: FolderPart({}))
    link: str = ""
    remarks: tuple[str, ...] = ()


def planned_runs(prefix: str, logged: Iterable[LoggedRun]) -> tuple[list[PlannedRun], list[FailedRun]]:
    """Return what runs become, parents before children; those whose parents lead in a circle are refused."""
    runs = {run.place: run for run in logged}
    names = run_names(prefix, ((run.place, run.run_id) for run in runs.values()))
    places = {run.run_id: run.place for run in runs.values()}
    ordered, circular = _parents_first(runs, places)
    failed = [
        FailedRun(run.place, "its parent runs lead in a circle; mend the tag mlflow.parentRunId") for run in circular
    ]
    planned = []
    for run in ordered:
        parent = run.tags.get(PARENT, "")
        remarks = (f"its parent run {parent} is not among what is migrated",) if parent and parent not in places else ()
        planned.append(_planned(run, names[run.place], names.get(places.get(parent, ""), ""), remarks))
    return planned, failed


def _parents_first(runs: Mapping[str, LoggedRun], places: Mapping[str, str]) -> tuple[list[LoggedRun], list[LoggedRun]]:
    done: dict[str, LoggedRun] = {}
    waiting = list(runs.values())
    while waiting:
        ready = [run for run in waiting if places.get(run.tags.get(PARENT, ""), "") in {"", *done}]
        if not ready:
            return list(done.values()), waiting
        done.update({run.place: run for run in ready})
        waiting = [run for run in waiting if run.place not in done]
    return list(done.values()), []


def _planned(run: LoggedRun, name: str, parent: str, remarks: tuple[str, ...]) -> PlannedRun:
    inputs = {_free(data.name, data.digest, run.datasets): _dataset_part(data) for data in run.datasets}
    outputs: dict[str, Part] = {f"artifacts/{entry}": part for entry, part in run.artifacts.entries.items()}
    for model in run.models:
        called = f"models/{model.name}"
        outputs[called if called not in outputs else f"{called}-{model.description.get('model_id')}"] = model.files
    if run.metrics:
        outputs["metric_history"] = _history_part(run.metrics)
    return PlannedRun(name, run.place, inputs, outputs, _facts(run, parent), remarks=(*run.remarks, *remarks))


def _free(name: str, digest: str, datasets: Sequence[LoggedDataset]) -> str:
    return name if sum(data.name == name for data in datasets) == 1 else f"{name}-{digest}"


def _dataset_part(data: LoggedDataset) -> MadePart:
    """Return the description of a dataset: runs that used the same one share it."""
    return MadePart({"mlflow_dataset": data.name, "digest": data.digest, **data.description})


def _history_part(metrics: Mapping[str, Sequence[Measured]]) -> MadePart:
    rows = [(name, value) for name, values in sorted(metrics.items()) for value in values]
    return MadePart(
        columns={
            "metric": ("str", [name for name, _ in rows]),
            "step": ("int64", [value.step for _, value in rows]),
            "timestamp_ms": ("int64", [value.at_ms for _, value in rows]),
            "value": ("float64", [value.value for _, value in rows]),
        }
    )


def _facts(run: LoggedRun, parent: str) -> Facts:
    last = {name: last_value(values) for name, values in run.metrics.items() if values}
    started = utc_of_ms(run.started_ms)
    notes: dict[str, Json] = {
        "migrated_from": {"layout": KIND, "experiment_id": run.experiment_id, "run_id": run.run_id},
        "run_name": run.name,
        "parent_run_id": run.tags.get(PARENT, ""),
        "metrics_not_finite": {name: str(value) for name, value in last.items() if not math.isfinite(value)},
        "datasets": {_free(d.name, d.digest, run.datasets): dict(d.tags) for d in run.datasets if d.tags},
        "models": {model.name: dict(model.description) for model in run.models},
    }
    return Facts(
        project=run.experiment or run.experiment_id,
        tags=dict(run.tags),
        parameters=dict(run.parameters),
        metrics={name: value for name, value in last.items() if math.isfinite(value)},
        created_at=started,
        started_at=started,
        ended_at=utc_of_ms(run.ended_ms),
        status=_status(run.status),
        parent=parent,
        code={name: run.tags[tag] for name, tag in _CODE.items() if run.tags.get(tag)},
        links={"mlflow": run.link} if run.link else {},
        notes=without_empty(notes),
    )


def _status(said: Any) -> str:
    """Return the status that MLflow's number or word stands for; "" for any other."""
    number = _STATUS_NAMES.get(said) if isinstance(said, str) else said
    return _STATUS.get(number, "") if isinstance(number, int) else ""


def last_value(values: Sequence[Measured]) -> float:
    """Return what MLflow calls the value of a metric: of the greatest step, then time, then value."""
    return max(values, key=lambda one: (one.step, one.at_ms, -math.inf if math.isnan(one.value) else one.value)).value
