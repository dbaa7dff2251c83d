"""The manifests of a store, one document per run, each written whole; a change replaces the document in one step.

A manifest keeps what it names from being collected. Released, it moves from ``manifests/`` to ``released/``: it keeps
nothing any more and still says everything.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from smalti.errors import Damaged, NotFound, Refused
from smalti.store.backend import Documents
from smalti.store.manifests.lineage import Direction, Hop, Passage, walk
from smalti.store.manifests.manifest import KEPT, RELEASED, Manifest, Use, dump, merged, parse, run_of
from smalti.store.names import check_name

PartsOf = Callable[[str], Iterable[str] | None]


class UnreadManifests(UserWarning):
    """Runs are left out of an answer, because their manifests are damaged or of a newer version."""


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
            found = self._find(manifest.run)
            if found is None:
                if self._documents.create(manifest.key, dump(manifest)):
                    return manifest
                continue
            there, key, content = found
            if _says_the_same(there, manifest):
                return there
            if there.released_at or there.created_at != manifest.created_at or there.revision == manifest.revision:
                raise _other(there)
            if there.revision > manifest.revision:
                return there
            newer = replace(manifest, released_at="")  # released elsewhere, its values are kept here
            if self._documents.replace(key, dump(newer), content):
                return newer

    def update(self, run: str, **said: Any) -> Manifest:
        """Say more of a run: what is by name is added, steps and views too, other fields are replaced.

        Raises:
            NotFound: the run has no manifest.
            Refused: the run is released, or what is said cannot be; see :func:`merged`.
        """
        while True:
            there, key, content = self._get(run)
            if there.released_at:
                raise Refused(f"the run {run!r} was released at {there.released_at} and changes no more.")
            changed = self._sound(merged(there, said))
            if changed == there:
                return there
            changed = replace(changed, revision=there.revision + 1)
            if self._documents.replace(key, dump(changed), content):
                return changed

    def release(self, run: str) -> Manifest:
        """Let go of what a run read and wrote, keep what is known of it, and return that.

        Raises:
            NotFound: the run has no manifest.
        """
        while True:
            there, key, content = self._get(run)
            if not there.released_at:
                released = self._released_before(there) or replace(there, released_at=now())
                if not self._documents.replace(key, dump(released), content):  # from here on nobody changes it
                    continue
                there, content = released, dump(released)
            if key != there.key:
                self._move(key, there.key, content)
            return there

    def _released_before(self, manifest: Manifest) -> Manifest | None:
        """Return what an earlier version of this library wrote before it was interrupted."""
        with suppress(NotFound, Damaged):
            there = self.read(f"{RELEASED}{manifest.run}.json")
            return there if _says_the_same(there, manifest) else None
        return None

    def _move(self, key: str, to: str, content: bytes) -> None:
        """Move the document of a run that is released; what an earlier try left there gives way."""
        while not self._documents.create(to, content):
            with suppress(NotFound):
                was = self._documents.read(to)
                if was == content or self._documents.replace(to, content, was):
                    break
        self._documents.remove(key)

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
        for run in self.names():
            with suppress(NotFound):  # somebody removed it by hand
                yield self.get(run)

    def names(self) -> list[str]:
        """Return what the runs are called, in order, also those whose manifests cannot be read."""
        return sorted({run_of(key) for key in self.keys()})

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

    def uses(self, address: str, parts_of: PartsOf | None = None) -> list[Use]:
        """Return the runs that read or wrote a value, in order; released ones too.

        Args:
            parts_of: of a value, what it consists of, None where it is gone; runs that used something that the value
                is a part of, or consists of, are then found as well. None: only those that used the value itself.

        Warns:
            UnreadManifests: manifests that cannot be read are left out.
        """
        manifests = self._readable()
        addresses = self._related(manifests, parts_of)(address)
        return sorted({use for manifest in manifests for one in addresses for use in manifest.uses(one)})

    def released_uses(self, address: str) -> list[Use]:
        """Return the released runs that read or wrote a value, in order."""
        return [use for manifest in self._readable() if manifest.released_at for use in manifest.uses(address)]

    def lineage(
        self, address: str, direction: Direction, depth: int | None = None, parts_of: PartsOf | None = None
    ) -> list[Hop]:
        """Return how other values were made from one, or it from others, nearest first; see :mod:`.lineage`.

        Args:
            depth: follow so many steps at most; None: all.
            parts_of: as for :meth:`uses`; a value then leads on to what it is a part of, and to what it consists of.
        """
        manifests = self._readable()
        by_value: dict[str, list[Passage]] = {}
        for manifest in manifests:
            for part in manifest.parts:
                ends = part.inputs, part.outputs
                near, far = ends if direction == "downstream" else reversed(ends)
                for value in {*near.values()}:
                    others = sorted({*far.values()} - {value})
                    by_value.setdefault(value, []).append(Passage(manifest.run, part.name, others))
        related_to = self._related(manifests, parts_of)
        return walk(address, direction, lambda value: by_value.get(value, ()), depth, related_to)

    def children(self, run: str) -> list[str]:
        """Return the runs that are parts of a run, in order."""
        return [manifest.run for manifest in self._readable() if manifest.parent == run]

    def newest(self, since: str = "", **wanted: str) -> list[str]:
        """Return the runs whose manifests were first written since then (UTC, ISO 8601), newest first.

        Args:
            wanted: what their fields ``project``, ``run_type`` and ``status`` have to be.
        """
        found = [
            (manifest.created_at, manifest.run)
            for manifest in self._readable()
            if manifest.created_at >= since and all(getattr(manifest, name) == value for name, value in wanted.items())
        ]
        return [run for _, run in sorted(found, reverse=True)]

    def unread(self) -> dict[str, str]:
        """Return the keys of the documents that cannot be read, and why: damaged, newer, or no manifests at all."""
        unread: dict[str, str] = {}
        self._readable(unread)
        return unread

    def look(self) -> None:
        """Take note of what others have written; see :class:`.bucket_index.BucketManifests`."""

    def looked_at(self) -> datetime:
        """Return as of when runs are found, at least."""
        return datetime.now(UTC)

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
            found = self._find(above)
            above = found[0].parent if found else ""
        return manifest

    def _get(self, run: str) -> tuple[Manifest, str, bytes]:
        found = self._find(run) if "/" not in check_name(run) else None
        if found is None:
            raise NotFound(f"the store at {self._documents.place} has no manifest of a run {run!r}.")
        return found

    def _find(self, run: str) -> tuple[Manifest, str, bytes] | None:
        """Return the manifest of a run, the key of its document and the document, or None where there is none."""
        for folder in (KEPT, RELEASED):
            with suppress(NotFound):
                content = self._documents.read(key := f"{folder}{run}.json")
                return parse(content, key), key, content
        return None

    def _readable(self, unread: dict[str, str] | None = None) -> list[Manifest]:
        """Return the manifests that can be read, in order of their runs; say of the others why, or warn of them."""
        found: dict[str, Manifest] = {}
        without: dict[str, str] = {}
        for key in self.keys():  # what is being released may come twice, and counts as kept
            if run_of(key) not in found and f"{KEPT}{run_of(key)}.json" not in without:
                try:
                    check_key(key)
                    with suppress(NotFound):  # somebody removed it by hand, or it comes again
                        found[run_of(key)] = self.read(key)
                except (Damaged, Refused) as error:
                    without[key] = str(error)
        if unread is None:
            warn_of(without)
        else:
            unread.update(without)
        return [found[run] for run in sorted(found)]

    def _related(self, manifests: Iterable[Manifest], parts_of: PartsOf | None) -> Callable[[str], list[str]]:
        """Return what gives of a value itself, what it is a part of and what it consists of."""
        if parts_of is None:
            return lambda value: [value]
        holds: dict[str, list[str]] = {}
        queue = list({address for manifest in manifests for address in manifest.used()})
        while queue:
            if (value := queue.pop()) not in holds:
                holds[value] = list(parts_of(value) or ())
                queue += holds[value]
        held: dict[str, list[str]] = {}
        for whole, parts in holds.items():
            for part in parts:
                held.setdefault(part, []).append(whole)
        return lambda value: [value, *sorted((_reached(value, holds) | _reached(value, held)) - {value})]


def check_key(key: str) -> None:
    """Pass the key of a manifest's document.

    Raises:
        Damaged: what lies there is something else.
    """
    if key not in {f"{folder}{run_of(key)}.json" for folder in (KEPT, RELEASED)}:
        raise Damaged(f"{key} lies among the manifests but is none; move it away.")


def warn_of(unread: Mapping[str, str]) -> None:
    """Say that manifests are left out of an answer, and why the first of them is."""
    if unread:
        some = "1 manifest is" if len(unread) == 1 else f"{len(unread)} manifests are"
        message = f"{some} left out of the answer: {next(iter(unread.values()))}"
        warnings.warn(message, UnreadManifests, stacklevel=2)


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


def _reached(start: str, leads_to: Mapping[str, Iterable[str]]) -> set[str]:
    found, queue = {start}, [start]
    while queue:
        new = {*leads_to.get(queue.pop(), ())} - found
        found |= new
        queue += new
    return found
