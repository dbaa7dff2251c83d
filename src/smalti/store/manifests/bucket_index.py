"""Manifests in a bucket, found in tables in the user's cache folder.

What this machine writes is in the tables at once. What others write is found by a look: keys and ETags are listed, and
what is new is read. A bucket does not say that something changed, so an answer may lack what others wrote since the
last look, and that is at most ``LOOK_AGAIN_SECONDS`` ago; "nothing" is said only after a look.
:meth:`BucketManifests.look` looks now. Whatever must not be wrong, such as a collection, reads the documents.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from smalti.store.cache import Cache, cache_folder
from smalti.store.documents import Documents
from smalti.store.manifests import tables
from smalti.store.manifests.index import IndexedManifests
from smalti.store.manifests.manifest import FORMAT, Manifest, dump

LOOK_AGAIN_SECONDS = 60.0


class BucketManifests(IndexedManifests):
    """The manifests of a store in a bucket."""

    _threads = 16

    def __init__(self, documents: Documents, identity: str, look_again_seconds: float = LOOK_AGAIN_SECONDS) -> None:
        """Remember where the tables are; nothing is read or written yet.

        Args:
            identity: what tells this bucket and prefix from all others.
            look_again_seconds: so old may what others wrote become before it is looked for again.
        """
        super().__init__(documents, Cache(cache_folder(identity) / "index.sqlite"))
        self._good_for = look_again_seconds

    def begin(self, run: str, **said: Any) -> Manifest:
        """Write that a run is at work; see :meth:`Manifests.begin`."""
        return self._note(super().begin(run, **said))

    def bring(self, manifest: Manifest) -> Manifest:
        """Write a manifest as it is in another store; see :meth:`Manifests.bring`."""
        return self._note(super().bring(manifest))

    def update(self, run: str, **said: Any) -> Manifest:
        """Say more of a run; see :meth:`Manifests.update`."""
        return self._note(super().update(run, **said))

    def release(self, run: str) -> Manifest:
        """Let go of what a run read and wrote; see :meth:`Manifests.release`."""
        return self._note(super().release(run))

    def look(self) -> None:
        """Take note of what others have written until now."""
        self._bring_up_to_date(lambda _: None, anyhow=True)

    def looked_at(self) -> datetime:
        """Return when what others wrote was last looked for; 1970 where it never was."""
        with suppress(sqlite3.Error, OSError), self._cache.transaction(writing=False) as db:
            return datetime.fromtimestamp(_time(tables.as_of(db)[0]), UTC)
        return datetime.fromtimestamp(0, UTC)

    def _note(self, manifest: Manifest) -> Manifest:
        """Put what was written into the tables; where that fails, the next look finds it."""
        etag = f'"{hashlib.md5(dump(manifest), usedforsecurity=False).hexdigest()}"'  # of most servers; else it is read
        with suppress(sqlite3.Error, OSError), self._cache.transaction() as db:
            tables.insert(db, [tables.Read(manifest, etag)])
        return manifest

    def _noted(self) -> str:
        return f"{FORMAT}, {time.time()}"

    def _answers(self, noted: str, found: object) -> bool:
        return bool(found) and 0 <= time.time() - _time(noted) < self._good_for


def _time(noted: str) -> float:
    """Return when a look began, in seconds since 1970; 0 where the tables are not complete, or another version's."""
    version, _, began_at = noted.partition(", ")
    return float(began_at) if version == str(FORMAT) else 0.0
