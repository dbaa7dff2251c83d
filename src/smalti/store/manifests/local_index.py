"""Runs by the values they read and wrote, found in ``index.sqlite``; beside the manifests of a store in a folder.

The table is complete when the folders of the manifests look as they did when it last was: every file that is created or
removed changes the time of its folder. Whoever changes them through a store waits for the others, so that each leaves
behind a table that is complete, or one that is seen not to be and is brought up to date by the next look-up.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from smalti.digest import PREFIX
from smalti.store.cache import Cache
from smalti.store.commit import alone_in, machine_errors, make_folder
from smalti.store.documents import LocalDocuments
from smalti.store.manifests.collection import Manifests
from smalti.store.manifests.linked_views import LinkedViews
from smalti.store.manifests.manifest import KEPT, RELEASED, Manifest, Use, run_of

_AT_ONCE = 10_000  # manifests between two transactions, so that nobody waits long


class IndexedManifests(Manifests):
    """The manifests of a store in a folder; the index is a cache, and the documents count."""

    def __init__(self, root: Path) -> None:
        super().__init__(LocalDocuments(root), LinkedViews(root))
        self._documents: LocalDocuments
        self._cache = Cache(root / "index.sqlite")
        self._folders = (root / KEPT, root / RELEASED)

    def bring(self, manifest: Manifest) -> Manifest:
        """Write a manifest and remember what it used."""
        with self._alone():
            before = self._looks()
            there = super().bring(manifest)
            self._remember([there], before)
        return there

    def update(self, run: str, **said: Any) -> Manifest:
        """Say more of a run."""
        with self._alone():
            before = self._looks()
            manifest = super().update(run, **said)
            self._remember([manifest], before)
        return manifest

    def release(self, run: str) -> Manifest:
        """Let go of what a run read and wrote."""
        with self._alone():
            before = self._looks()
            manifest = super().release(run)
            self._remember([manifest], before)
        return manifest

    def uses(self, address: str) -> list[Use]:
        """Return the runs that read or wrote a value; where the index cannot be had, by reading every manifest."""
        begun = self.begun_uses(address)  # before the others, which they become
        return sorted({*begun, *self._indexed_uses(address)})

    def _indexed_uses(self, address: str) -> list[Use]:
        """Return those of the runs that were not only begun."""
        if not self._looks():
            return []
        with suppress(sqlite3.Error, OSError):
            if (found := self._look_up(address)) is not None:
                return found
            with self._alone():
                if (found := self._look_up(address)) is None:
                    self._bring_up_to_date()
                    found = self._look_up(address)
                if found is not None:
                    return found
        return super().uses(address)

    def released_uses(self, address: str) -> list[Use]:
        """Return the released runs that read or wrote a value."""
        return [use for use in self.uses(address) if self._is_released(use.run)]

    def rebuild_index(self) -> None:
        """Make the table anew from the documents."""
        with machine_errors(f"indexing the manifests in {self._documents.place}"), self._alone():
            self._clear()
            self._bring_up_to_date()

    def _look_up(self, address: str) -> list[Use] | None:
        """Return what the table says; None when it is not complete."""
        with self._cache.transaction(writing=False) as db:
            if _complete(db) != self._looks():
                return None
            digest = bytes.fromhex(address.removeprefix(PREFIX))
            found = db.execute("SELECT run, role FROM used WHERE address = ? ORDER BY run, role", (digest,))
            return [Use(*row) for row in found]

    def _remember(self, manifests: Collection[Manifest], before: str) -> None:
        """Add a change to a table that was complete before it; another is brought up to date when it is asked."""
        with suppress(sqlite3.Error, OSError), self._cache.transaction() as db:
            if _complete(db) == before:
                _insert(db, manifests, {m.run: self._documents.stamp(m.key) for m in manifests})
                _set_complete(db, self._looks())

    def _bring_up_to_date(self) -> None:
        looks = self._looks()
        stamps = {run_of(key): stamp for folder in (RELEASED, KEPT) for key, stamp in self._documents.stamps(folder)}
        with self._cache.transaction() as db:
            known = dict(db.execute("SELECT run, stamp FROM run"))
        if not known.keys() <= stamps.keys():  # manifests were removed by hand
            self._clear()
            known = {}
        new = sorted(run for run, stamp in stamps.items() if known.get(run) != stamp)
        for start in range(0, len(new), _AT_ONCE):
            manifests = [self.get(run) for run in new[start : start + _AT_ONCE]]
            with self._cache.transaction() as db:
                _insert(db, manifests, stamps)
        with self._cache.transaction() as db:
            _set_complete(db, looks)

    def _clear(self) -> None:
        with self._cache.transaction() as db:
            for table in ("run", "used", "indexed"):
                db.execute(f"DELETE FROM {table}")

    def _looks(self) -> str:
        """Return what changes when a manifest is created or removed; "" when there is none."""
        looks = []
        for folder in self._folders:
            with suppress(FileNotFoundError):
                status = os.stat(folder)  # noqa: PTH116, twice as fast
                looks.append(f"{status.st_ino} {status.st_mtime_ns} {status.st_size}")
        return ", ".join(looks)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until nobody else changes manifests; dying lets the others go on."""
        with machine_errors(f"locking {self._folders[0]}"):
            make_folder(self._folders[0])
            with alone_in(self._folders[0]):
                yield


def _complete(db: sqlite3.Connection) -> str:
    """Return how the folders looked when the table was complete."""
    row = db.execute("SELECT folders FROM indexed").fetchone()
    return row[0] if row else ""


def _set_complete(db: sqlite3.Connection, looks: str) -> None:
    db.execute("DELETE FROM indexed")
    db.execute("INSERT INTO indexed VALUES (?)", (looks,))


def _insert(db: sqlite3.Connection, manifests: Iterable[Manifest], stamps: Mapping[str, str]) -> None:
    for manifest in manifests:
        db.execute("DELETE FROM used WHERE run = ?", (manifest.run,))
        db.execute("INSERT OR REPLACE INTO run VALUES (?, ?)", (manifest.run, stamps[manifest.run]))
        for part in (manifest.whole, *manifest.steps):
            for role, used in (("read", part.inputs), ("wrote", part.outputs)):
                rows = ((bytes.fromhex(address.removeprefix(PREFIX)), manifest.run, role) for address in used.values())
                db.executemany("INSERT OR IGNORE INTO used VALUES (?, ?, ?)", rows)
