"""The manifest of a run as people work with it: what it read, wrote and ran on, and where it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import TYPE_CHECKING, Any

from smalti.canonical import Json
from smalti.errors import Refused
from smalti.runs.circumstances.process import is_gone
from smalti.runs.confidential import error_text
from smalti.runs.data_reference import DataReference, References
from smalti.store import Manifest
from smalti.store.manifests.manifest import seconds_between
from smalti.store.manifests.views import places_of

if TYPE_CHECKING:
    from smalti.runs.flexible_store import FlexibleDataStore

FINISHED, FAILED, STOPPED, RUNNING = "finished", "failed", "stopped", "running"
STATUSES = (RUNNING, FINISHED, FAILED, STOPPED)
BY_NAME = ("tags", "metrics", "parameters", "links")
_ONE_VALUE = ("project", "run_type", "parent", "status", "error", "started_at", "ended_at", "notes")
_SHOWN = "runs/"

ACTIVE: ContextVar[RunManifest | None] = ContextVar("active run", default=None)


@dataclass(eq=False, slots=True)
class RunManifest:
    """One run of a :class:`~smalti.runs.FlexibleDataStore`.

    Tags, metrics, parameters, links, places, project, type, status, parent, error, times and notes may be changed here;
    ``save_manifest``, or whatever else is done with the run next, keeps that.

    In a ``with`` block the run is the parent of runs that begin there, and finishes with it: ``finished``, ``failed``
    where it raises, ``stopped`` where someone presses Ctrl-C.

    Attributes:
        run_id: what it is called.
        run_type: the value of a :class:`~smalti.runs.RunType`.
        created_at: when it was recorded, UTC, ISO 8601; ``started_at`` and ``ended_at`` are of the work itself.
        inputs, outputs: what each value is called in the run -> a reference to it.
        project: what it belongs to.
        tags: text by name; ``metrics``, numbers by name; ``parameters``, JSON by name.
        storage_locations: the folders that show it, below the store, such as ``runs/by_project/churn/run_abc``.
        status: running, finished, failed, stopped; see also :attr:`is_lost`.
        parent: the run that it is a part of.
        error: why it failed.
        links: the same run elsewhere.
        seeds, code, environment: see :mod:`smalti.runs.circumstances`.
        notes: whatever else was said; ``not_stored`` in it names what could not be stored, by type.
        released_at: when its values were let go; "" as long as they are kept.
    """

    run_id: str
    run_type: str = ""
    created_at: str = ""
    inputs: Mapping[str, DataReference] = field(default_factory=dict)
    outputs: Mapping[str, DataReference] = field(default_factory=dict)
    project: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Json] = field(default_factory=dict)
    parameters: dict[str, Json] = field(default_factory=dict)
    storage_locations: list[str] = field(default_factory=list)
    status: str = ""
    parent: str = ""
    started_at: str = ""
    ended_at: str = ""
    error: str = ""
    links: dict[str, str] = field(default_factory=dict)
    seeds: dict[str, Json] = field(default_factory=dict)
    code: dict[str, Json] = field(default_factory=dict)
    environment: dict[str, Json] = field(default_factory=dict)
    notes: Json = None
    released_at: str = ""
    _store: FlexibleDataStore | None = field(default=None, repr=False)
    _kept: Manifest | None = field(default=None, repr=False)
    _token: Token[RunManifest | None] | None = field(default=None, repr=False)

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while it is not ended."""
        return seconds_between(self.started_at, self.ended_at)

    @property
    def is_lost(self) -> bool | None:
        """Whether it says it is running, but its process is gone; None where only its own machine can tell."""
        return is_lost(self)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        found = {name: getattr(self, name) for name in _PUBLIC}
        for name in ("inputs", "outputs"):
            found[name] = {called: reference.to_dict() for called, reference in getattr(self, name).items()}
        return found

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> RunManifest:
        """Return the manifest that ``to_dict`` gave; ``save_manifest`` of a store keeps it there.

        Raises:
            Refused: it is not such a document.
        """
        if unknown := sorted(document.keys() - set(_PUBLIC)):
            raise Refused(
                f"a manifest has no field {unknown[0]!r}; it has {', '.join(_PUBLIC)}. If a newer version of Smalti "
                "wrote it, upgrade."
            )
        if not isinstance(document.get("run_id"), str):
            raise Refused("the document of a manifest has no run_id; it is not what to_dict() gives.")
        used = {
            name: {called: DataReference.from_dict(one) for called, one in document.get(name, {}).items()}
            for name in ("inputs", "outputs")
        }
        return cls(**{**document, **used})

    def __enter__(self) -> RunManifest:
        self._of_a_store()
        self._token = ACTIVE.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            ACTIVE.reset(self._token)
            self._token = None
        self._of_a_store().finish_run(self, *outcome_of(error))

    def _of_a_store(self) -> FlexibleDataStore:
        if self._store is None:
            raise Refused(f"the manifest of {self.run_id!r} is of no store; save_manifest of a store keeps it there.")
        return self._store

    def load(self, manifest: Manifest, store: FlexibleDataStore) -> None:
        """Take everything from what a store keeps."""
        for name in _PUBLIC:
            if hasattr(manifest, name) and name not in {"inputs", "outputs"}:
                value = getattr(manifest, name)
                setattr(self, name, dict(value) if isinstance(value, Mapping) and name != "notes" else value)
        self.inputs = References(manifest.inputs, manifest.created_at, store.look)
        self.outputs = References(manifest.outputs, manifest.created_at, store.look)
        self.storage_locations = [_SHOWN + place for place in places_of(manifest)]
        self._store, self._kept = store, manifest

    def unsaved(self) -> dict[str, Any]:
        """Return what was changed here since it was loaded, as fields of a manifest."""
        if self._kept is None:
            return {}
        changed: dict[str, Any] = {}
        for name in BY_NAME:
            kept = getattr(self._kept, name)
            if new := {key: value for key, value in getattr(self, name).items() if kept.get(key, ...) != value}:
                changed[name] = new
        for name in _ONE_VALUE:
            if getattr(self, name) != getattr(self._kept, name):
                changed[name] = getattr(self, name)
        views = [place.removeprefix(_SHOWN).rpartition("/")[0] for place in self.storage_locations]
        if new_views := [view for view in views if view not in self._kept.views]:
            changed["views"] = new_views
        return changed


def status_of(given: str) -> str:
    """Return a status that runs have.

    Raises:
        Refused: there is no such status.
    """
    if given not in STATUSES:
        raise Refused(f"{given!r} is no status of a run; there are {', '.join(STATUSES)}.")
    return given


def is_lost(run: RunManifest | Manifest) -> bool | None:
    """Tell whether a run says it is running, but its process is gone; None where only its own machine can tell."""
    return is_gone(run.environment) if run.status == RUNNING else False


_PUBLIC = tuple(one.name for one in fields(RunManifest) if not one.name.startswith("_"))


def outcome_of(error: BaseException | None) -> tuple[str, str]:
    """Return status and error text of work that ended with an exception, or with none.

    What asks a program to stop (Ctrl-C, a cancelled task, ``sys.exit``) is no failure.
    """
    if error is None:
        return FINISHED, ""
    return (FAILED if isinstance(error, Exception) else STOPPED), error_text(error)
