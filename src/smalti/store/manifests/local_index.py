"""Manifests in a folder, found in ``index.sqlite`` beside them.

The tables are complete while the folders of the manifests look as they did when they last were: every file that is
created, replaced or removed changes the time of its folder. Whoever changes them through a store waits for the others,
notes that it is at work, and then what it did; if it dies in between, the next look-up brings the tables up to date.

What is not noticed until the next change: a file that is written to in its place, and one that another program puts
there within the same tick of the clock (at most 10 ms) in which a store does.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from smalti.errors import NotFound
from smalti.store.backends.local.backend import LocalBackend
from smalti.store.cache import Cache, cache_folder, is_writable
from smalti.store.commit import alone_in, machine_errors, make_folder, unique_name
from smalti.store.documents import Documents
from smalti.store.manifests import tables
from smalti.store.manifests.index import Found, IndexedManifests, Query
from smalti.store.manifests.linked_views import LinkedViews
from smalti.store.manifests.manifest import FORMAT, KEPT, RELEASED, RUNNING, Manifest
from smalti.store.manifests.reading import begun_key


class LocalManifests(IndexedManifests):
    """The manifests of a store in a folder. Where nothing may be written there, the tables are the user's own."""

    _threads = 4

    def __init__(self, backend: LocalBackend) -> None:
        root = backend.root
        folder = root if is_writable(root) or not root.is_dir() else cache_folder(str(root))
        super().__init__(Documents(backend), Cache(folder / "index.sqlite"), LinkedViews(backend))
        self._backend = backend
        self._folders = (root / KEPT, root / RELEASED, root / RUNNING)
        self._paths = [str(folder) for folder in self._folders]
        self._began = False

    def begin(self, run: str, **said: Any) -> Manifest:
        """Write that a run is at work; see :meth:`Manifests.begin`."""
        begin = super().begin
        return self._change(lambda: begin(run, **said), begun_key)

    def bring(self, manifest: Manifest) -> Manifest:
        """Write a manifest as it is in another store; see :meth:`Manifests.bring`."""
        bring = super().bring
        return self._change(lambda: bring(manifest))

    def update(self, run: str, **said: Any) -> Manifest:
        """Say more of a run; see :meth:`Manifests.update`."""
        update = super().update
        return self._change(lambda: update(run, **said))

    def release(self, run: str) -> Manifest:
        """Let go of what a run read and wrote; see :meth:`Manifests.release`."""
        release = super().release
        return self._change(lambda: release(run))

    def _ask(self, query: Query[Found], otherwise: Callable[[], Found], warned: bool = True) -> Found:
        """Return what the tables say; none are made where there is nothing yet."""
        self._began = self._began or any(folder.is_dir() for folder in self._folders)
        return super()._ask(query, otherwise, warned) if self._began else otherwise()

    def _change(self, act: Callable[[], Manifest], key_of: Callable[[str], str] | None = None) -> Manifest:
        """Change a manifest while nobody else does, and note it in tables that were complete before.

        Args:
            key_of: gives where its document lies by its run; by default where it belongs.
        """
        with self._alone():
            before, at_work = self._noted(), f"at work: {unique_name()}"
            noted = self._note(before, at_work)
            try:
                manifest = act()
            except BaseException:
                if noted:
                    self._note(at_work, before)  # if something was written, the folders look different now
                raise
            if noted:
                with suppress(NotFound, sqlite3.Error, OSError):  # then the next look-up finds it
                    read = tables.Read(manifest, self._backend.stamp(key_of(manifest.run) if key_of else manifest.key))
                    self._note(at_work, self._noted(), read)
            return manifest

    def _note(self, was: str, noted: str, *some: tables.Read) -> bool:
        """Note something in the place of what ``was``, and what was written; tell whether that was there."""
        with suppress(sqlite3.Error, OSError), self._cache.transaction() as db:
            if tables.as_of(db)[0] == was:
                tables.insert(db, some)
                tables.set_as_of(db, noted)
                return True
        return False

    def _noted(self) -> str:
        """Return how the folders look, in which something changes when a manifest is created, replaced or removed."""
        looks = [str(FORMAT)]
        for folder in self._paths:
            with suppress(FileNotFoundError):
                status = os.stat(folder)  # noqa: PTH116, twice as fast
                looks.append(f"{status.st_ino} {status.st_mtime_ns} {status.st_size}")
        return ", ".join(looks)

    def _answers(self, noted: str, found: object) -> bool:
        return noted == self._noted()

    def _wait_for_writers(self) -> None:
        if self._folders[0].is_dir():
            with alone_in(self._folders[0]):
                pass

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until nobody else changes manifests; dying lets the others go on."""
        with machine_errors(f"locking {self._folders[0]}"):
            make_folder(self._folders[0])
            with alone_in(self._folders[0]):
                yield
