"""The manifests of a store, one document per run, each written whole; a change replaces the document in one step.

A manifest keeps what it names from being collected. Released, it moves from ``manifests/`` to ``released/``: it keeps
nothing any more and still says everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from smalti.errors import NotFound, Refused
from smalti.store.backend import Documents
from smalti.store.manifests.lineage import Direction, Hop, walk
from smalti.store.manifests.manifest import KEPT, RELEASED, Manifest, Step, Use, dump, merged, parse, run_of
from smalti.store.names import check_name


class Manifests:
    """The manifests of one store."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def add(self, run: str, **said: Any) -> Manifest:
        """Write the manifest of a run and return it; nothing is written when there is one that says the same.

        Raises:
            Refused: ``run`` cannot be the name of a run, there is no field of a name, it cannot be kept as JSON, the
                run would be a part of itself, or the run has another manifest.
        """
        there = self.bring(self._sound(merged(Manifest(run, now()), said)))
        if there.released_at:
            raise _other(there)
        return there

    def bring(self, manifest: Manifest) -> Manifest:
        """Write a manifest as it is in another store, unless a later revision of it is here; return what is here.

        Raises:
            Refused: the run has another manifest here.
        """
        while True:
            there, content = self._find(manifest.run)
            if there is None:
                if self._documents.create(manifest.key, dump(manifest)):
                    return manifest
                continue
            if _says_the_same(there, manifest):
                return there
            if there.released_at or there.created_at != manifest.created_at or there.revision == manifest.revision:
                raise _other(there)
            if there.revision > manifest.revision:
                return there
            newer = replace(manifest, released_at="")  # released elsewhere, its values are kept here
            if self._documents.replace(there.key, dump(newer), content):
                return newer

    def update(self, run: str, **said: Any) -> Manifest:
        """Say more of a run: what is by name is added, steps and views too, other fields are replaced.

        Raises:
            NotFound: the run has no manifest.
            Refused: the run is released, or what is said cannot be; see :func:`merged`.
        """
        while True:
            there, content = self._get(run)
            if there.released_at:
                raise Refused(f"the run {run!r} was released at {there.released_at} and changes no more.")
            changed = self._sound(merged(there, said))
            if changed == there:
                return there
            changed = replace(changed, revision=there.revision + 1)
            if self._documents.replace(there.key, dump(changed), content):
                return changed

    def release(self, run: str) -> Manifest:
        """Let go of what a run read and wrote, keep what is known of it, and return that.

        Raises:
            NotFound: the run has no manifest.
        """
        manifest = self.get(run)
        if not manifest.released_at:
            released = replace(manifest, released_at=now())
            self._documents.create(released.key, dump(released))  # unless an earlier try came so far
            self._documents.remove(manifest.key)
        return self.get(run)

    def get(self, run: str) -> Manifest:
        """Return the manifest of a run.

        Raises:
            NotFound: it has none.
            Damaged: it is not what was written.
            Refused: a newer version of this library wrote it.
        """
        return self._get(run)[0]

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
            Refused: a newer version of this library wrote it.
        """
        return parse(self._documents.read(key), key)

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

    def lineage(self, address: str, direction: Direction, depth: int | None = None) -> list[Hop]:
        """Return how other values were made from one, or it from others, nearest first; see :mod:`.lineage`."""
        by_value: dict[str, list[tuple[str, Step]]] = {}
        for manifest in self.all():
            for part in manifest.parts:
                for used in {*(part.inputs if direction == "downstream" else part.outputs).values()}:
                    by_value.setdefault(used, []).append((manifest.run, part))
        return walk(address, direction, lambda found: by_value.get(found, ()), depth)

    def children(self, run: str) -> list[str]:
        """Return the runs that are parts of a run, in order."""
        return [manifest.run for manifest in self.all() if manifest.parent == run]

    def rebuild_index(self) -> None:
        """There is nothing to make anew: every document is read each time."""

    def _sound(self, manifest: Manifest) -> Manifest:
        """Return a manifest whose run is no part of itself."""
        above, seen = manifest.parent, {manifest.run}
        while above:
            if above in seen:
                raise Refused(
                    f"the run {manifest.run!r} cannot be a part of {manifest.parent!r}, which is a part of {above!r} "
                    "already; name another parent."
                )
            seen.add(above)
            found, _ = self._find(above)
            above = found.parent if found else ""
        return manifest

    def _get(self, run: str) -> tuple[Manifest, bytes]:
        found, content = self._find(run) if "/" not in check_name(run) else (None, b"")
        if found is None:
            raise NotFound(f"the store at {self._documents.place} has no manifest of a run {run!r}.")
        return found, content

    def _find(self, run: str) -> tuple[Manifest | None, bytes]:
        for folder in (KEPT, RELEASED):
            with suppress(NotFound):
                content = self._documents.read(key := f"{folder}{run}.json")
                return parse(content, key), content
        return None, b""

    def _is_released(self, run: str) -> bool:
        try:
            return bool(self._documents.read(f"{RELEASED}{run}.json"))
        except NotFound:
            return False


def outdated(manifests: Iterable[Manifest], older_than: timedelta, keep_last: int = 0) -> list[Manifest]:
    """Return those not yet released that are older than that and not among the newest ``keep_last``, oldest first."""
    kept = sorted((m for m in manifests if not m.released_at), key=lambda m: (m.created_at, m.run))
    before = _iso(datetime.now(UTC) - older_than)
    return [manifest for manifest in kept[: max(0, len(kept) - keep_last)] if manifest.created_at < before]


def now() -> str:
    """Return the time as manifests spell it: UTC, ISO 8601, milliseconds."""
    return _iso(datetime.now(UTC))


def _says_the_same(one: Manifest, other: Manifest) -> bool:
    return one == replace(other, created_at=one.created_at, revision=one.revision, released_at=one.released_at)


def _other(there: Manifest) -> Refused:
    released = f", released at {there.released_at}" if there.released_at else ""
    return Refused(
        f"the run {there.run!r} has another manifest already, written at {there.created_at}{released}; "
        "a run that is made again has a name of its own."
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
