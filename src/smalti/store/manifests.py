"""Manifests: what each run read, wrote and ran on, one document per run, written once it is over and never changed.

A manifest keeps what it names from being collected. Released, it moves from ``manifests/`` to ``released/``: it keeps
nothing any more and still says everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from smalti.canonical import Json, normalise
from smalti.errors import Damaged, NotFound, Refused
from smalti.store.backend import Documents
from smalti.store.names import check_name
from smalti.store.record import seal, unseal

KEPT, RELEASED = "manifests/", "released/"


class Use(NamedTuple):
    """What a run did with a value."""

    run: str
    role: Literal["read", "wrote"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one run read, wrote and ran on.

    Attributes:
        run: what the run is called; no two runs of a store are called the same.
        at: when the manifest was written, UTC, ISO 8601.
        inputs, outputs: what each value was called in the run -> its address.
        made_by: code version, parameters, machine: whatever the run gave.
        released_at: when its values were released; "" as long as they are kept.
    """

    run: str
    at: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    made_by: Json
    released_at: str = ""

    @property
    def key(self) -> str:
        """The key of its document."""
        return f"{RELEASED if self.released_at else KEPT}{self.run}.json"

    def addresses(self) -> set[str]:
        """Return what the manifest keeps: all its inputs and outputs, and nothing once it is released."""
        return set() if self.released_at else {*self.inputs.values(), *self.outputs.values()}

    def uses(self, address: str) -> list[Use]:
        """Return what the run did with a value."""
        read, wrote = address in self.inputs.values(), address in self.outputs.values()
        return [Use(self.run, "read")] * read + [Use(self.run, "wrote")] * wrote


class Manifests:
    """The manifests of one store."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def add(self, run: str, inputs: Mapping[str, str], outputs: Mapping[str, str], made_by: object = None) -> Manifest:
        """Write the manifest of a run and return it; nothing is written when there is an equal one.

        Raises:
            Refused: ``run`` cannot be the name of a run, ``made_by`` is not JSON, or the run has another manifest.
        """
        made = normalise(made_by, f"what made the run {run!r}")
        there = self.bring(Manifest(_check_run(run), _now(), dict(inputs), dict(outputs), made))
        if there.released_at:
            raise _other(there)
        return there

    def bring(self, manifest: Manifest) -> Manifest:
        """Write a manifest as it is in another store, and return what is here; nothing is written over.

        Raises:
            Refused: the run has another manifest here.
        """
        there = self._find(manifest.run)
        if there is None and self._documents.create(manifest.key, _dump(manifest)):
            return manifest
        there = there or self.get(manifest.run)
        if there != replace(manifest, at=there.at, released_at=there.released_at):
            raise _other(there)
        return there

    def release(self, run: str) -> Manifest:
        """Let go of what a run read and wrote, keep what is known of it, and return that.

        Raises:
            NotFound: the run has no manifest.
        """
        manifest = self.get(run)
        if not manifest.released_at:
            released = replace(manifest, released_at=_now())
            self._documents.create(released.key, _dump(released))  # unless an earlier try came so far
            self._documents.remove(manifest.key)
        return self.get(run)

    def get(self, run: str) -> Manifest:
        """Return the manifest of a run.

        Raises:
            NotFound: it has none.
            Damaged: it is not what was written.
        """
        if found := self._find(_check_run(run)):
            return found
        raise NotFound(f"the store at {self._documents.place} has no manifest of a run {run!r}.")

    def all(self) -> Iterator[Manifest]:
        """Yield every manifest, in order of their runs, released ones too."""
        for run in sorted({run_of(key) for key in self.keys()}):
            with suppress(NotFound):  # somebody removed it by hand
                yield self.get(run)

    def keys(self) -> Iterator[str]:
        """Yield the key of every manifest's document; one that is just being released may come twice."""
        yield from self._documents.keys(KEPT)
        yield from self._documents.keys(RELEASED)

    def read(self, key: str) -> Manifest:
        """Return the manifest in one document.

        Raises:
            NotFound: there is no such document; it was released meanwhile.
            Damaged: it is not what was written.
        """
        try:
            manifest = Manifest(**unseal(self._documents.read(key), f"the manifest {key}"))
        except TypeError as error:
            raise Damaged(f"the manifest {key} has other fields than a manifest: {error}.") from error
        if manifest.key.casefold() != key.casefold():  # some file systems ignore case
            raise Damaged(f"the manifest {key} is that of the run {manifest.run!r}, {manifest.key}; restore it.")
        return manifest

    def kept(self) -> Iterator[Manifest]:
        """Yield the manifests that are not released.

        Raises:
            Damaged: one is not what was written; what it keeps cannot be known.
        """
        for key in self._documents.keys(KEPT):
            with suppress(NotFound):  # released meanwhile
                yield self.read(key)

    def uses(self, address: str) -> list[Use]:
        """Return the runs that read or wrote a value, in order; released ones too."""
        return [use for manifest in self.all() for use in manifest.uses(address)]

    def released_uses(self, address: str) -> list[Use]:
        """Return the released runs that read or wrote a value, in order."""
        return [use for key in self._documents.keys(RELEASED) for use in self.read(key).uses(address)]

    def rebuild_index(self) -> None:
        """There is nothing to make anew: every document is read each time."""

    def _find(self, run: str) -> Manifest | None:
        for folder in (KEPT, RELEASED):
            with suppress(NotFound):
                return self.read(f"{folder}{run}.json")
        return None

    def _is_released(self, run: str) -> bool:
        try:
            return bool(self._documents.read(f"{RELEASED}{run}.json"))
        except NotFound:
            return False


def outdated(manifests: Iterable[Manifest], older_than: timedelta, keep_last: int = 0) -> list[Manifest]:
    """Return those not yet released that are older than that and not among the newest ``keep_last``, oldest first."""
    kept = sorted((m for m in manifests if not m.released_at), key=lambda m: (m.at, m.run))
    before = _iso(datetime.now(UTC) - older_than)
    return [manifest for manifest in kept[: max(0, len(kept) - keep_last)] if manifest.at < before]


def run_of(key: str) -> str:
    """Return the run whose manifest lies under a key."""
    return key.rsplit("/", 1)[-1].removesuffix(".json")


def _other(there: Manifest) -> Refused:
    released = f", released at {there.released_at}" if there.released_at else ""
    return Refused(
        f"the run {there.run!r} has another manifest already, written at {there.at}{released}; "
        "a run that is made again has a name of its own."
    )


def _check_run(run: str) -> str:
    if "/" in check_name(run):
        raise Refused(f"{run!r} cannot be the name of a run: it has to be one part, without '/'.")
    return run


def _dump(manifest: Manifest) -> bytes:
    document = asdict(manifest)
    if not manifest.released_at:
        del document["released_at"]
    return seal(document)


def _now() -> str:
    return _iso(datetime.now(UTC))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
