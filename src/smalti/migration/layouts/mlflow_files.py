"""MLflow's file store, read as files: ``<experiment>/<run>/{meta.yaml,params,metrics,tags,artifacts,...}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from smalti.errors import NotFound, Refused, SmaltiError
from smalti.migration.layouts.description import mapping, text, texts, without_empty
from smalti.migration.layouts.mlflow_run import KIND, LoggedDataset, LoggedModel, LoggedRun, Measured, planned_runs
from smalti.migration.plan import FailedRun, FolderPart, Plan, folder_part
from smalti.migration.sources.source import Left, Source
from smalti.migration.values.documents import yaml_document

__all__ = ["KIND", "plan", "recognises"]

_META = "meta.yaml"
_SECTIONS = ("params", "metrics", "tags", "inputs", "outputs", "artifacts")
_TRASH = ".trash"
_FIELDS = (2, 3, 5)  # of a line of a metric: time, value; and step; and the dataset's name and digest


class _Store:
    """The files of a source by folder."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._below: dict[str, list[str]] = {}
        for path in source.files:
            parts = path.split("/")
            for depth in range(1, len(parts)):
                self._below.setdefault("/".join(parts[:depth]), []).append(path)

    def below(self, folder: str) -> dict[str, str]:
        """Return the files below a folder: path within it -> path in the source."""
        return {path[len(folder) + 1 :]: path for path in self._below.get(folder, ())}

    def meta(self, folder: str) -> dict[str, Any]:
        """Return what the ``meta.yaml`` of a folder says.

        Raises:
            NotFound: there is none.
            Refused: it cannot be read.
        """
        path = f"{folder}/{_META}"
        if path not in self.source.files:
            raise NotFound(f"there is no {path} in {self.source.place}.")
        return mapping(yaml_document(self.source.read(path), path), path)

    def text(self, path: str) -> str:
        try:
            return self.source.read(path).decode()
        except UnicodeDecodeError as error:
            raise Refused(f"{path} in {self.source.place} is no text in UTF-8; look into it.") from error

    def folder(self, folder: str) -> FolderPart:
        files = self.source.files
        found = {inside: (path, files[path]) for inside, path in self.below(folder).items()}
        return folder_part({inside: (path, file.nbytes, file.executable) for inside, (path, file) in found.items()})


def recognises(paths: Mapping[str, Any]) -> bool:
    """Tell whether files lie as in this layout."""
    return next(_runs(paths), None) is not None


def plan(source: Source, prefix: str) -> Plan:
    """Return what the runs of a file store become; a run that cannot be read is named and stops no other."""
    store = _Store(source)
    logged: list[LoggedRun] = []
    failed: list[FailedRun] = []
    left = list(source.left)
    experiments: dict[str, dict[str, Any]] = {}
    for place in _runs(source.files):
        experiment = place.rpartition("/")[0]
        try:
            meta = store.meta(place)
            if _TRASH in place.split("/") or meta.get("lifecycle_stage") == "deleted":
                left.append(Left(place, "was deleted in MLflow; restore it there to bring it"))
                continue
            if experiment not in experiments:
                experiments[experiment] = _experiment(store, experiment)
            logged.append(_logged(store, place, meta, experiments[experiment]))
        except SmaltiError as error:
            failed.append(FailedRun(place, str(error)))
    runs, circular = planned_runs(prefix, logged)
    left += _elsewhere(source)
    return Plan(KIND, source.place, tuple(runs), failed=(*failed, *circular), left=tuple(left))


def _runs(paths: Mapping[str, Any]) -> Iterator[str]:
    """Yield the folders of runs: with a ``meta.yaml``, and what a run consists of or that of an experiment above."""
    sections = {part for path in paths for part in _before_sections(path)}
    for path in paths:
        folder, _, name = path.rpartition("/")
        above = folder.rpartition("/")[0]
        parts = folder.split("/")
        if name != _META or not above or "artifacts" in parts or "models" in parts[-3:-1] or parts[-1] in _SECTIONS:
            continue
        if parts[-2] in ("inputs", "outputs", "datasets", "traces"):
            continue
        if folder in sections or f"{above}/{_META}" in paths:
            yield folder


def _before_sections(path: str) -> Iterator[str]:
    parts = path.split("/")
    for depth, part in enumerate(parts[:-1]):
        if part in _SECTIONS:
            yield "/".join(parts[:depth])
            return


def _experiment(store: _Store, folder: str) -> dict[str, Any]:
    try:
        return store.meta(folder)
    except NotFound:
        return {}


def _logged(store: _Store, place: str, meta: dict[str, Any], experiment: dict[str, Any]) -> LoggedRun:
    folder, _, called = place.rpartition("/")
    run_id = text(meta.get("run_id") or meta.get("run_uuid")) or called
    experiment_id = text(meta.get("experiment_id")) or folder.rpartition("/")[2]
    tags = {name: store.text(path) for name, path in store.below(f"{place}/tags").items()}
    artifacts = store.folder(f"{place}/artifacts")
    remarks = [*_elsewhere_artifacts(meta, place, artifacts)]
    return LoggedRun(
        place=place,
        run_id=run_id,
        name=tags.get("mlflow.runName", "") or text(meta.get("run_name")),
        experiment=text(experiment.get("name")),
        experiment_id=experiment_id,
        status=meta.get("status"),
        started_ms=meta.get("start_time"),
        ended_ms=meta.get("end_time"),
        parameters={name: store.text(path) for name, path in store.below(f"{place}/params").items()},
        tags=tags,
        metrics={name: _history(store, path) for name, path in store.below(f"{place}/metrics").items()},
        datasets=tuple(_datasets(store, place, folder, remarks)),
        models=tuple(_models(store, place, folder, remarks)),
        artifacts=artifacts,
        remarks=tuple(remarks),
    )


def _elsewhere_artifacts(meta: dict[str, Any], place: str, artifacts: FolderPart) -> Iterator[str]:
    """Say where artifacts lie that are not in the run's folder: no path or URL out of a file is ever followed."""
    uri = text(meta.get("artifact_uri")).rstrip("/")
    usual = "/".join([*place.split("/")[-2:], "artifacts"])
    if uri and not uri.endswith(f"/{usual}") and not artifacts.entries:
        yield f"its artifacts are said to be at {uri}, outside of its folder, and are left; bring them from there"


def _history(store: _Store, path: str) -> list[Measured]:
    """Return the values of a metric.

    Raises:
        Refused: a line is none of MLflow's.
    """
    values = []
    for line in store.text(path).splitlines():
        parts = line.split()
        if not parts:
            continue
        try:
            if len(parts) not in (*_FIELDS, 4):  # the fourth is the model that it was logged for
                raise ValueError(f"{len(parts)} fields")
            values.append(Measured(int(parts[2]) if len(parts) > 2 else 0, int(parts[0]), float(parts[1])))
        except ValueError as error:
            raise Refused(f"{path} has a line that is no value of a metric ({error}): {line[:80]!r}.") from error
    return values


def _datasets(store: _Store, place: str, experiment: str, remarks: list[str]) -> Iterator[LoggedDataset]:
    for inside in store.below(f"{place}/inputs"):
        if not inside.endswith(f"/{_META}"):
            continue
        used = store.meta(f"{place}/inputs/{inside.removesuffix(f'/{_META}')}")
        found = text(used.get("source_id"))
        if used.get("source_type") != "DATASET" or "/" in found:
            continue
        try:
            about = store.meta(f"{experiment}/datasets/{found}")
        except NotFound:
            remarks.append(f"it used a dataset {found} that nothing describes here")
            continue
        name, digest = text(about.pop("name", "")) or found, text(about.pop("digest", "")) or found
        yield LoggedDataset(name, digest, without_empty(about), texts(used.get("tags")))


def _models(store: _Store, place: str, experiment: str, remarks: list[str]) -> Iterator[LoggedModel]:
    for inside in store.below(f"{place}/outputs"):
        found = inside.partition("/")[0]
        if not inside.endswith(f"/{_META}"):
            continue
        folder = f"{experiment}/models/{found}"
        try:
            about = store.meta(folder)
        except NotFound:
            remarks.append(f"it made a model {found} that is not here and is left")
            continue
        described = {name: about.get(name) for name in ("model_id", "model_type", "creation_timestamp", "status")}
        yield LoggedModel(
            text(about.get("name")) or found, without_empty(described), store.folder(f"{folder}/artifacts")
        )


def _elsewhere(source: Source) -> Iterator[Left]:
    """Say what a file store has besides runs."""
    parts = [path.split("/") for path in source.files]
    if traces := sum(1 for path in parts if path[-1] == "trace_info.json" or "traces" in path[1:-2]):
        yield Left("traces", f"{traces} files of traces are no part of a run and are left")
    if any(path[-2].startswith("version-") and path[-1] == _META for path in parts if len(path) > 2):
        yield Left("models", "the model registry is left; the models are in the runs that made them")
