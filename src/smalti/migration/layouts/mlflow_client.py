"""The runs of an MLflow tracking store, as MLflow's client gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from smalti.errors import SmaltiError
from smalti.migration.layouts.description import text, texts, without_empty
from smalti.migration.layouts.mlflow_run import KIND, LoggedDataset, LoggedModel, LoggedRun, Measured, planned_runs
from smalti.migration.plan import FailedRun, Plan
from smalti.migration.sources.tracking_store import TrackingSource, artifacts_of, said

_PAGE = 200


def plan(source: TrackingSource, prefix: str) -> Plan:
    """Return what the runs of a tracking store become; one that cannot be read is named and stops no other."""
    client = source.client
    logged: list[LoggedRun] = []
    failed: list[FailedRun] = []
    for experiment in _pages(partial(client.search_experiments, max_results=_PAGE), source):
        ids = [experiment.experiment_id]
        for run in _pages(partial(client.search_runs, ids, max_results=_PAGE), source):
            try:
                with said(f"reading the run {run.info.run_id} of {source.place}"):
                    logged.append(_logged(source, run, experiment))
            except SmaltiError as error:
                failed.append(FailedRun(run.info.run_id, str(error)))
    runs, circular = planned_runs(prefix, logged)
    return Plan(KIND, source.place, tuple(runs), failed=(*failed, *circular), left=source.left)


def _logged(source: TrackingSource, run: Any, experiment: Any) -> LoggedRun:
    client, info = source.client, run.info
    histories = {
        name: [Measured(one.step, one.timestamp, one.value) for one in client.get_metric_history(info.run_id, name)]
        for name in run.data.metrics
    }
    artifacts, remarks = artifacts_of(source, info.run_id, info.artifact_uri, client.list_artifacts, info.run_id)
    models = [_model(source, output.model_id, remarks) for output in getattr(run.outputs, "model_outputs", None) or ()]
    is_server = source.place.startswith("http")
    page = f"{source.place}/#/experiments/{info.experiment_id}/runs/{info.run_id}"
    return LoggedRun(
        place=info.run_id,
        run_id=info.run_id,
        name=text(info.run_name),
        experiment=text(experiment.name),
        experiment_id=text(experiment.experiment_id),
        status=info.status,
        started_ms=info.start_time,
        ended_ms=info.end_time,
        parameters=texts(run.data.params),
        tags=texts(run.data.tags),
        metrics=histories,
        datasets=[_dataset(used) for used in getattr(run.inputs, "dataset_inputs", None) or ()],
        models=models,
        artifacts=artifacts,
        link=page if is_server else "",
        remarks=tuple(remarks),
    )


def _dataset(used: Any) -> LoggedDataset:
    data = used.dataset
    about = {name: text(getattr(data, name)) for name in ("source_type", "source", "schema", "profile")}
    return LoggedDataset(data.name, data.digest, without_empty(about), {tag.key: tag.value for tag in used.tags})


def _model(source: TrackingSource, model_id: str, remarks: list[str]) -> LoggedModel:
    model = source.client.get_logged_model(model_id)
    files, more = artifacts_of(
        source, model_id, model.artifact_location, source.client.list_logged_model_artifacts, model.artifact_location
    )
    remarks += more
    about = {
        "model_id": model_id,
        "model_type": text(model.model_type),
        "creation_timestamp": model.creation_timestamp,
        "status": text(getattr(model.status, "value", model.status)),
    }
    return LoggedModel(text(model.name) or model_id, without_empty(about), files)


def _pages(ask: Callable[..., Any], source: TrackingSource) -> Iterator[Any]:
    token = None
    while True:
        with said(f"asking {source.place}"):
            page = ask(page_token=token)
        yield from page
        token = getattr(page, "token", None)
        if not token:
            return
