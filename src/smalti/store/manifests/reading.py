"""The manifests of a store as they are read: by run, and by the values that runs used, from every document."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from smalti.errors import Damaged, NotFound, Refused
from smalti.store.documents import Documents
from smalti.store.manifests.lineage import Direction, Hop, Passage, walk
from smalti.store.manifests.manifest import KEPT, RELEASED, RUNNING, Manifest, Use, parse, run_of
from smalti.store.names import check_name

PartsOf = Callable[[str], Iterable[str] | None]


class UnreadManifests(UserWarning):
    """Runs are left out of an answer, because their manifests are damaged or of a newer version."""


class ReadManifests:
    """The manifests of one store, to be read."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

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
        for folder in (RUNNING, KEPT, RELEASED):  # as they move, so that none is missed that moves meanwhile
            yield from self._documents.keys(folder)

    def read(self, key: str) -> Manifest:
        """Return the manifest in one document.

        Raises:
            NotFound: there is no such document, since it was released meanwhile; or it was begun and lost with power.
            Damaged: it is not what was written.
            Refused: a newer version of this library wrote it.
        """
        content = self._documents.read(key)
        if key.startswith(RUNNING) and not content:
            raise NotFound(f"{key} in {self._documents.location} is empty: power was lost just after the run began.")
        return parse(content, key)

    def kept(self) -> Iterator[Manifest]:
        """Yield the manifests that are not released.

        Raises:
            Damaged: one is not what was written; what it keeps cannot be known.
        """
        for key in (*self._documents.keys(RUNNING), *self._documents.keys(KEPT)):  # in this order, as they move
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
        """Return the runs that were recorded since then (UTC, ISO 8601), newest first.

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

    def _get(self, run: str) -> tuple[Manifest, str, bytes]:
        found = self._find(run) if "/" not in check_name(run) else None
        if found is None:
            raise NotFound(f"the store at {self._documents.location} has no manifest of a run {run!r}.")
        return found

    def _find(self, run: str) -> tuple[Manifest, str, bytes] | None:
        """Return the manifest of a run, the key of its document and the document, or None where there is none."""
        for folder in (KEPT, RELEASED, RUNNING, KEPT, RELEASED):  # it may have moved on meanwhile
            with suppress(NotFound):
                content = self._documents.read(key := f"{folder}{run}.json")
                if content or folder != RUNNING:
                    return parse(content, key), key, content
        return None

    def _readable(self, unread: dict[str, str] | None = None) -> list[Manifest]:
        """Return the manifests that can be read, in order of their runs; say of the others why, or warn of them."""
        found: dict[str, Manifest] = {}
        without: dict[str, str] = {}
        begun = set[str]()
        for key in self.keys():  # what moves on may come twice: what was kept counts, then what was released
            run = run_of(key)
            if (run not in found or run in begun) and f"{KEPT}{run}.json" not in without:
                try:
                    check_key(key)
                    with suppress(NotFound):  # somebody removed it by hand, or it comes again
                        found[run] = self.read(key)
                        (begun.add if key.startswith(RUNNING) else begun.discard)(run)
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


def begun_key(run: str) -> str:
    """Return the key of the document of a run that was only begun."""
    return f"{RUNNING}{run}.json"


def check_key(key: str) -> None:
    """Pass the key of a manifest's document.

    Raises:
        Damaged: what lies there is something else.
    """
    if key not in {f"{folder}{run_of(key)}.json" for folder in (RUNNING, KEPT, RELEASED)}:
        raise Damaged(f"{key} lies among the manifests but is none; move it away.")


def warn_of(unread: Mapping[str, str]) -> None:
    """Say that manifests are left out of an answer, and why the first of them is."""
    if unread:
        some = "1 manifest is" if len(unread) == 1 else f"{len(unread)} manifests are"
        message = f"{some} left out of the answer: {next(iter(unread.values()))}"
        warnings.warn(message, UnreadManifests, stacklevel=2)


def _reached(start: str, leads_to: Mapping[str, Iterable[str]]) -> set[str]:
    found, queue = {start}, [start]
    while queue:
        new = {*leads_to.get(queue.pop(), ())} - found
        found |= new
        queue += new
    return found
