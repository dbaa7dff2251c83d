"""The manifest of one run: what it read, wrote and ran on, as a value and as the document that keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from itertools import filterfalse
from typing import Any, Literal, NamedTuple

from smalti.canonical import Json, normalise
from smalti.digest import is_address
from smalti.errors import Damaged, Refused
from smalti.store.format.sealed import seal, unseal
from smalti.store.names import check_name

KEPT, RELEASED = "manifests/", "released/"
RUNNING = "running/"  # of runs that were only begun; see collection
FORMAT = 2  # 1 had run, at, inputs, outputs, made_by and released_at


class Use(NamedTuple):
    """What a run did with a value."""

    run: str
    role: Literal["read", "wrote"]


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a run: what it wrote was made from what it read, and not from what other parts read.

    Attributes:
        name: what it is called; no two steps of a run are called the same, a later one takes the place of an earlier.
        inputs, outputs: what each value was called -> its address.
        started_at: UTC, ISO 8601; "" where that is not known.
        seconds: how long it took; None where that is not known.
    """

    name: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    started_at: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one run read, wrote and ran on.

    Attributes:
        run: what the run is called; no two runs of a store are called the same.
        created_at: when the run was recorded, UTC, ISO 8601: when this was first written; of a run that was brought
            from another system, when that recorded it.
        inputs, outputs: what each value was called in the run -> its address.
        steps: parts of the run with inputs and outputs of their own; without any, all outputs came of all inputs.
        run_type: experiment, production, evaluation, development or analysis; "" where nobody said.
        status: running, finished, failed or stopped; "" where nobody said.
        project: what the run belongs to.
        parent: the run that this one is a part of.
        views: where below ``runs/`` the run is shown, such as ``by_project/churn``.
        tags, parameters, metrics, seeds: by name.
        code: version of the code, such as the commit and the address of what differs from it.
        environment: interpreter, packages and machine. An address in either of the two keeps that value, too.
        links: the same run elsewhere, such as in MLflow or Dagster: what it is called there, or a URL.
        started_at, ended_at: of the run itself, UTC, ISO 8601.
        error: why it failed.
        notes: whatever else the run gave.
        revision: how often the manifest was written; 1 is the first time.
        released_at: when its values were released; "" as long as they are kept.
    """

    run: str
    created_at: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    run_type: str = ""
    status: str = ""
    project: str = ""
    parent: str = ""
    views: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Json] = field(default_factory=dict)
    metrics: Mapping[str, Json] = field(default_factory=dict)
    seeds: Mapping[str, Json] = field(default_factory=dict)
    code: Mapping[str, Json] = field(default_factory=dict)
    environment: Mapping[str, Json] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    started_at: str = ""
    ended_at: str = ""
    error: str = ""
    notes: Json = None
    revision: int = 1
    released_at: str = ""

    @property
    def key(self) -> str:
        """The key of its document."""
        return f"{RELEASED if self.released_at else KEPT}{self.run}.json"

    @property
    def whole(self) -> Step:
        """The run as one step."""
        return Step("", self.inputs, self.outputs, self.started_at)

    @property
    def parts(self) -> tuple[Step, ...]:
        """The steps; where there are none, the whole run as one."""
        return self.steps or (self.whole,)

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None where either is not known."""
        return seconds_between(self.started_at, self.ended_at)

    def says_the_same(self, other: Manifest) -> bool:
        """Tell whether two manifests differ at most in when they were written, how often, and when released."""
        return self == replace(other, created_at=self.created_at, revision=self.revision, released_at=self.released_at)

    def used(self) -> set[str]:
        """Return the addresses of all that was read and written."""
        return {a for part in (self.whole, *self.steps) for used in (part.inputs, part.outputs) for a in used.values()}

    def described_by(self) -> set[str]:
        """Return the addresses of what describes code and environment, such as a diff."""
        return described_by(self.code, self.environment)

    def addresses(self) -> set[str]:
        """Return what the manifest keeps: what was read, written and describes it, and nothing once it is released."""
        return set() if self.released_at else self.used() | self.described_by()

    def uses(self, address: str) -> list[Use]:
        """Return what the run did with a value."""
        parts = (self.whole, *self.steps)
        read = any(address in part.inputs.values() for part in parts)
        wrote = any(address in part.outputs.values() for part in parts)
        return [Use(self.run, "read")] * read + [Use(self.run, "wrote")] * wrote


_FIELDS = {one.name: one for one in fields(Manifest)}
_BY_NAME = ("tags", "parameters", "metrics", "seeds", "code", "environment", "links")
_GIVEN = (*_BY_NAME, "notes")
_TEXTS = [name for name, one in _FIELDS.items() if one.type == "str"]
_MOST_REVISIONS = 2**53
CHANGEABLE = frozenset(_FIELDS) - {"run", "created_at", "revision", "released_at"}


def described_by(code: Mapping[str, Json], environment: Mapping[str, Json]) -> set[str]:
    """Return the addresses of values that describe what a run ran on."""
    return {told for told in (*code.values(), *environment.values()) if isinstance(told, str) and is_address(told)}


def seconds_between(began: str, ended: str) -> float | None:
    """Return the seconds between two times, ISO 8601; None where either is not known."""
    try:
        return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
    except (ValueError, TypeError):  # none at all, or one says its zone and the other does not
        return None


def checked(manifest: Manifest) -> Manifest:
    """Return a manifest whose fields are plain JSON.

    Raises:
        Refused: the name cannot be that of a run, or a field holds what JSON cannot.
    """
    if "/" in check_name(manifest.run):
        raise Refused(f"{manifest.run!r} cannot be the name of a run: it has to be one part, without '/'.")
    if manifest.parent == manifest.run:
        raise Refused(f"the run {manifest.run!r} cannot be its own parent; name the run that it is a part of.")
    if any(not step.name for step in manifest.steps):
        raise Refused(f"a step of the run {manifest.run!r} has no name; give each one of its own.")
    given: Any = {name: normalise(getattr(manifest, name), f"{name} of the run {manifest.run!r}") for name in _GIVEN}
    return replace(manifest, **given)


def merged(manifest: Manifest, changes: Mapping[str, Any]) -> Manifest:
    """Return a manifest with more said: what is by name is added, steps and views too, other fields are replaced.

    Raises:
        Refused: there is no such field, or an input or output of that name is another value already.
    """
    if wrong := sorted(changes.keys() - CHANGEABLE):
        raise Refused(f"a manifest has no field {wrong[0]!r} to change; there are {', '.join(sorted(CHANGEABLE))}.")
    new: dict[str, Any] = {}
    for name, value in changes.items():
        there = getattr(manifest, name)
        if name in {"inputs", "outputs"}:
            for called, address in value.items():
                if there.get(called, address) != address:
                    raise Refused(
                        f"the run {manifest.run!r} has another value among its {name} that is called {called!r}, "
                        f"{there[called]}; give this one a name of its own."
                    )
            new[name] = {**there, **value}
        elif name in _BY_NAME:
            new[name] = {**there, **value}
        elif name == "views":
            new[name] = tuple(dict.fromkeys((*there, *value)))
        elif name == "steps":
            new[name] = tuple({step.name: step for step in (*there, *value)}.values())
        else:
            new[name] = value
    return checked(replace(manifest, **new))


def dump(manifest: Manifest) -> bytes:
    """Return the document of a manifest; fields that say nothing are left out."""
    document: dict[str, Any] = {"format": FORMAT}
    for name in _FIELDS:
        value = getattr(manifest, name)
        if value or name == "revision":
            document[name] = value
    document["steps"] = [{f: v for f in Step.__slots__ if (v := getattr(s, f))} for s in manifest.steps]
    if not manifest.steps:
        del document["steps"]
    if manifest.notes is not None:
        document["notes"] = manifest.notes
    return seal(document)


def parse(content: bytes, key: str) -> Manifest:
    """Return the manifest in a document.

    Raises:
        Damaged: it is not what was written.
        Refused: a newer version of this library wrote it.
    """
    document = unseal(content, f"the manifest {key}")
    version = document.pop("format", 1)
    if version == 1:
        document["created_at"], document["notes"] = document.pop("at", None), document.pop("made_by", None)
    elif version != FORMAT:
        raise Refused(
            f"the manifest {key} has format {json.dumps(version)}, but this version of Smalti reads up to {FORMAT}; "
            "upgrade Smalti."
        )
    try:
        _check_types(document)
        document["steps"] = tuple(Step(**step) for step in document.get("steps", ()))
        document["views"] = tuple(document.get("views", ()))
        manifest = Manifest(**document)
        check_name(manifest.run)
    except (TypeError, Refused) as error:
        raise Damaged(f"the manifest {key} has other fields than a manifest: {error}.") from error
    # One that was begun, or is being released, has not moved yet.
    places = {manifest.key, f"{KEPT}{manifest.run}.json", f"{RUNNING}{manifest.run}.json"}
    if key.casefold() not in {place.casefold() for place in places}:  # some file systems ignore case
        raise Damaged(f"the manifest {key} is that of the run {manifest.run!r}, {manifest.key}; restore it.")
    if wrong := sorted(filterfalse(is_address, manifest.used())):
        raise Damaged(f"the manifest {key} holds {wrong[0]!r} where the address of a value belongs; restore it.")
    return manifest


_TYPES: dict[str, type] = {
    **dict.fromkeys((*_BY_NAME, "inputs", "outputs"), dict),
    **dict.fromkeys(("steps", "views"), list),
    **dict.fromkeys(("run", "created_at", "name", "started_at", "ended_at", "released_at", "error"), str),
    **dict.fromkeys(("run_type", "status", "project", "parent"), str),
    "revision": int,
}


def _check_types(document: Mapping[str, Any]) -> None:
    """Pass fields that are of their types; those of a step are called as those of a run."""
    for name, value in document.items():
        if name in _TYPES and type(value) is not _TYPES[name]:
            raise TypeError(f"{name!r} is a {type(value).__name__}, not a {_TYPES[name].__name__}")
        of_text = ("inputs", "outputs", "links")
        texts = value.values() if name in of_text else value if name == "views" else ()
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(f"{name!r} holds something that is no text")
    for step in document.get("steps", ()):
        if type(step) is not dict or "steps" in step or type(step.get("seconds", 0.0)) not in {int, float}:
            raise TypeError("a step is none")
        _check_types(step)


def run_of(key: str) -> str:
    """Return the run whose manifest lies under a key."""
    return key.rsplit("/", 1)[-1].removesuffix(".json")
