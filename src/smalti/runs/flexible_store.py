"""The store that people record runs in: data once by content, runs with what they read, wrote and ran on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smalti import digest, open_store
from smalti.errors import NotFound, Refused
from smalti.runs.addresses import address_of
from smalti.runs.circumstances.code_version import folder_of_the_program
from smalti.runs.circumstances.gathering import Circumstances
from smalti.runs.data_reference import DataReference
from smalti.runs.ending import ends_with_the_process, has_ended
from smalti.runs.mlflow_link import active_mlflow_run, tag_with_data, tag_with_run
from smalti.runs.numbers import plain_number
from smalti.runs.run_manifest import ACTIVE, BY_NAME, FINISHED, RUNNING, RunManifest
from smalti.runs.run_types import RunType, run_type_of
from smalti.runs.storage_modes import NO_PROJECT, Facts, StorageMode, pattern_of, views_of
from smalti.runs.stored_data import StoredData
from smalti.runs.usage import usage
from smalti.settings import Settings
from smalti.store import Ref
from smalti.store.manifests import Manifest, now

_MODEL = "model"

Modes = Iterable[StorageMode | str] | StorageMode | str


class FlexibleDataStore(StoredData):
    """Data stored once by content; runs of any type that refer to it, shown in as many ways as one likes.

    >>> store = FlexibleDataStore(root="memory:")
    >>> reference = store.store_data([1, 2], "numbers")
    >>> with store.create_run("run_1", project="sums") as manifest:
    ...     _ = store.add_run_input(manifest, "numbers", reference)
    >>> store.find_runs_by_data(reference.hash), manifest.storage_locations
    (['run_1'], ['runs/by_project/sums/run_1'])
    """

    def __init__(
        self,
        s3_bucket: str | None = None,
        s3_prefix: str | None = None,
        *,
        root: str | Path | None = None,
        default_run_type: RunType | str | None = None,
        default_storage_mode: StorageMode | str | None = None,
    ) -> None:
        """Open a store; a folder is created when the first value is put. What is not given is as the settings say.

        Args:
            s3_bucket, s3_prefix: the store ``s3://bucket/prefix``; the prefix is ``mltrack`` where nothing says more.
            root: the store in a folder, or at any place that :func:`smalti.open_store` takes.
            default_run_type, default_storage_mode: of runs for which nobody says; at first ``experiment`` and
                ``by_project``. The mode may be a pattern, see :mod:`smalti.runs.storage_modes`.

        Raises:
            Refused: there is no such type, mode, setting or place.
            Unavailable: the bucket cannot be reached.
        """
        if root is not None and s3_bucket is not None:
            raise Refused(f"a store is either the bucket {s3_bucket} or the folder {root}; give one of the two.")
        settings = Settings()
        self.default_run_type = _said("default_run_type", run_type_of, default_run_type, settings)
        self.default_storage_mode = _said("default_storage_mode", _checked_mode, default_storage_mode, settings)
        given = {"s3_bucket": s3_bucket, "s3_prefix": s3_prefix}
        said = settings.model_copy(update={name: text for name, text in given.items() if text is not None})
        super().__init__(open_store(said.store_place if root is None else root))
        self._circumstances = Circumstances(self.store)

    def __repr__(self) -> str:
        return f"FlexibleDataStore({self.store.place!r})"

    def create_run(
        self,
        run_id: str,
        run_type: RunType | str | None = None,
        project: str | None = None,
        storage_modes: Modes | None = None,
        tags: Mapping[str, str] | None = None,
        *,
        model: DataReference | Ref | str | None = None,
        parameters: Mapping[str, Any] | None = None,
        seeds: Mapping[str, Any] | None = None,
        parent: RunManifest | str | None = None,
    ) -> RunManifest:
        """Record that a run begins, and show it below ``runs/``; both are there when this returns.

        It ends with its ``with`` block, by :meth:`finish_run`, or else with this process: ``failed`` where an exception
        ended that, ``finished`` otherwise.

        Args:
            run_id: what it is called; no two runs of a store are called the same.
            run_type: by default that of the store.
            project: what it belongs to; ``default`` where nothing is given.
            storage_modes: where it is shown; modes and patterns, by default that of the store.
            model: name of the model, or a reference to a stored one; kept as the tag ``model``.
            seeds: those that the run uses. The states of the global generators of ``random`` and numpy are added.
            parent: the run that this is a part of, by default the one whose ``with`` block, or captured function, this
                is called in.

        Raises:
            Refused: the run is there already, something given is not as said above, or it would be a part of itself.
            NotFound: there is no such parent.
            Unavailable: the machine did not let it be written.
        """
        self._check_is_new(run_id)
        said = {"tags": dict(tags or {}), "parameters": dict(parameters or {}), "seeds": dict(seeds or {})}
        manifest = self.begin(run_id, run_type, project, storage_modes, model, parent, said, folder_of_the_program())
        ends_with_the_process(run_id, self)
        return manifest

    def begin(
        self,
        run_id: str,
        run_type: RunType | str | None,
        project: str | None,
        storage_modes: Modes | None,
        model: DataReference | Ref | str | None,
        parent: RunManifest | str | None,
        said: Mapping[str, Any],
        code_folder: Path,
        source: bytes = b"",
        durable: bool = True,
    ) -> RunManifest:
        """Record a run; see :meth:`create_run`.

        Args:
            said: other fields of its manifest, inputs among them.
            code_folder: where the code lies whose version is recorded.
            source: of the function that is the run, b"" where it is none.
            durable: off, losing power before the run says more may lose it.
        """
        kind = self.default_run_type if run_type is None else run_type_of(run_type)
        tags = {**said.get("tags", {}), **({_MODEL: self._model_name(model)} if model is not None else {})}
        project = project or NO_PROJECT
        for name, text in (("project", project), (_MODEL, tags.get(_MODEL, ""))):
            if not isinstance(text, str):
                raise Refused(f"the {name} of the run {run_id!r} is {text!r}, which is no text; give a name.")
        moment = datetime.now(UTC)
        facts = Facts(project, tags.get(_MODEL, ""), kind, moment)
        views = views_of(self.default_storage_mode if storage_modes is None else storage_modes, facts)
        above = self._parent(parent)
        mlflow = active_mlflow_run()
        fields: dict[str, Any] = {
            **said,
            "tags": tags,
            "run_type": str(kind),
            "project": project,
            "views": views,
            "parent": above,
            "status": RUNNING,
            "started_at": moment.isoformat(timespec="microseconds"),
            "links": {**said.get("links", {}), **(mlflow.links if mlflow else {})},
        }
        write = self.store.add_manifest if durable else self.store.begin_manifest
        kept = self._circumstances.written(write, run_id, fields, code_folder, source)
        manifest = self._handle(kept)
        if mlflow:
            tag_with_run(mlflow.links, run_id, self.store.place)
        return manifest

    def add_run_input(self, manifest: RunManifest, name: str, data: Any) -> DataReference:
        """Note that a run read some data, stored now unless it is there already; return the reference to it.

        Args:
            data: a reference, a hash or a name of what is stored; or data.

        Raises:
            NotFound, Ambiguous: a text that is given is no name or hash, or a prefix of several.
            Refused: no codec stores the data exactly, or the run calls something else so.
        """
        return self._add(manifest, "inputs", name, data)

    def add_run_output(self, manifest: RunManifest, name: str, data: Any) -> DataReference:
        """Note that a run wrote some data; see :meth:`add_run_input`."""
        return self._add(manifest, "outputs", name, data)

    def log_metrics(self, manifest: RunManifest, metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Add metrics: numbers, also those of numpy. What JSON has no number for is kept as "nan", "inf", "-inf"."""
        given = {**(metrics or {}), **more}
        self._update(manifest, metrics={name: plain_number(value) for name, value in given.items()})

    def log_parameters(
        self, manifest: RunManifest, parameters: Mapping[str, Any] | None = None, /, **more: Any
    ) -> None:
        """Add parameters: JSON by name."""
        self._update(manifest, parameters={**(parameters or {}), **more})

    def log_tags(self, manifest: RunManifest, tags: Mapping[str, str] | None = None, /, **more: str) -> None:
        """Add tags: text by name."""
        self._update(manifest, tags={**(tags or {}), **more})

    def finish_run(self, manifest: RunManifest, status: str = FINISHED, error: str = "", **said: Any) -> RunManifest:
        """Say that a run has ended.

        Args:
            status: finished, failed or stopped.
            said: other fields of its manifest.
        """
        if status not in (known := ("finished", "failed", "stopped")):
            raise Refused(f"a run cannot end as {status!r}; it ends as {', '.join(known)}.")
        ended = datetime.now(UTC).isoformat(timespec="microseconds")
        self._update(manifest, status=status, error=error, ended_at=ended, **said)
        has_ended(manifest, self)
        return manifest

    def add_storage_location(self, manifest: RunManifest, mode: StorageMode | str) -> str:
        """Show a run in one more way; return the folder below the store that shows it. No data is moved.

        Raises:
            Refused: there is no such mode.
        """
        self._check_is_ours(manifest)
        facts = Facts(
            manifest.project,
            manifest.tags.get(_MODEL, ""),
            manifest.run_type,
            datetime.fromisoformat(manifest.created_at or now()),
        )
        (view,) = views_of([mode], facts)
        self._update(manifest, views=[view])
        return next(one for one in manifest.storage_locations if one.rpartition("/")[0] == f"runs/{view}")

    def save_manifest(self, manifest: RunManifest) -> RunManifest:
        """Keep what was changed in a manifest: tags, metrics, parameters, links and places are added, others replaced.

        One that this store does not have, such as of ``RunManifest.from_dict``, is added.

        Raises:
            Refused: something cannot be kept.
            NotFound: data that it names is not in the store.
        """
        if manifest._store is self:
            self._update(manifest)
            return manifest
        said = manifest.to_dict()
        views = [place.removeprefix("runs/").rpartition("/")[0] for place in said.pop("storage_locations")]
        used = {name: {n: digest.PREFIX + one["hash"] for n, one in said.pop(name).items()} for name in _USED}
        run_id = said.pop("run_id")
        del said["created_at"], said["released_at"]
        self._check_is_new(run_id)
        manifest.load(self.store.add_manifest(run_id, **used, **said, views=views), self)
        return manifest

    def get_run(self, run_id: str) -> RunManifest:
        """Return the manifest of a run, to read it or to continue it.

        Raises:
            NotFound: there is no such run.
            Refused: a newer version of this library wrote it.
        """
        return self._handle(self.store.manifest(run_id))

    def list_runs(
        self, project: str | None = None, run_type: RunType | str | None = None, status: str | None = None
    ) -> list[RunManifest]:
        """Return the runs, all or those of a project, type or status, in order of their names."""
        kind = None if run_type is None else run_type_of(run_type)
        wanted = {"project": project, "run_type": kind, "status": status}
        asked = {name: value for name, value in wanted.items() if value is not None}
        found = self.store.manifests()
        return [self._handle(m) for m in found if all(getattr(m, name) == value for name, value in asked.items())]

    def find_runs_by_data(self, data: Any) -> list[str]:
        """Return the runs that read or wrote some data, in order of their names.

        Args:
            data: a hash, a name or a reference; or the data itself, which is not stored for this.

        Raises:
            NotFound, Ambiguous: a hash or name fits nothing that is or was in the store, or several things.
        """
        if isinstance(data, str | Ref | DataReference):
            address = self.store.resolve(self.as_ref(data))
            uses = self.store.runs_of(address)
            if not uses:
                self.store.record(address)  # says so where there is no such data
        else:
            uses = self.store.runs_of(address_of(data))
        return sorted({use.run for use in uses})

    def get_data_usage_stats(self) -> dict[str, Any]:
        """Return how much data the runs refer to, how much of it is stored, and what is used how often."""
        return usage(self.store)

    def _model_name(self, model: DataReference | Ref | str) -> str:
        if isinstance(model, DataReference | Ref):
            return str(self.as_ref(model)).removeprefix(digest.PREFIX)
        return model  # what is no text is refused with the tags

    def _parent(self, parent: RunManifest | str | None) -> str:
        if parent is None:
            active = ACTIVE.get()
            same = active is not None and active._store is not None and active._store.store.place == self.store.place
            return active.run_id if active is not None and same else ""
        run_id = parent.run_id if isinstance(parent, RunManifest) else parent
        return self.store.manifest(run_id).run

    def _check_is_new(self, run_id: str) -> None:
        try:
            there = self.store.manifest(run_id)
        except NotFound:
            return
        raise Refused(
            f"the run {run_id!r} was recorded at {there.created_at} already; get_run({run_id!r}) continues it, a new "
            "run has a name of its own."
        )

    def _handle(self, manifest: Manifest) -> RunManifest:
        handle = RunManifest(manifest.run)
        handle.load(manifest, self)
        return handle

    def _check_is_ours(self, manifest: RunManifest) -> None:
        if not isinstance(manifest, RunManifest):
            raise Refused(f"{manifest!r} is no manifest of a run; create_run and get_run give one.")
        if manifest._store is not self:
            raise Refused(f"the manifest of {manifest.run_id!r} is not of {self!r}; get_run gives the one that is.")

    def _add(self, manifest: RunManifest, role: str, name: str, data: Any) -> DataReference:
        self._check_is_ours(manifest)
        ref = self.as_ref(data) if isinstance(data, DataReference | Ref | str) else self.store.put(data)
        self._update(manifest, **{role: {name: ref}})
        reference: DataReference = getattr(manifest, role)[name]
        tag_with_data(manifest.links, {f"{role}/{name}": reference.digest})
        return reference

    def _update(self, manifest: RunManifest, **said: Any) -> None:
        """Keep what is said of a run, and what was changed in its manifest by hand."""
        self._check_is_ours(manifest)
        changes = manifest.unsaved()
        for name, value in said.items():
            changes[name] = {**changes.get(name, {}), **value} if name in BY_NAME else value
            if name == "views":
                changes[name] = [*manifest.unsaved().get(name, ()), *value]
        manifest.load(self.store.update_manifest(manifest.run_id, **changes), self)


_USED = ("inputs", "outputs")


def _checked_mode(mode: StorageMode | str) -> StorageMode | str:
    pattern_of(mode)
    return mode


def _said(name: str, check: Callable[[Any], Any], given: Any, settings: Settings) -> Any:
    """Return a default: as given, else as the settings say.

    Raises:
        Refused: what is set cannot be; the message says which setting that is.
    """
    if given is not None:
        return check(given)
    try:
        return check(getattr(settings, name))
    except Refused as error:
        raise Refused(f"the setting {name} (SMALTI_{name.upper()}) cannot be used: {error}") from None
