"""What a local store remembers so as not to look twice: which object holds which leaf, and which file was sound when.

A cache in SQLite. Everything in it follows from the files, so it may be deleted at any time: near-duplicates written
until it is rebuilt are stored whole, and what is put again is read again.

Not every leaf is remembered but about one in sixteen, chosen by its id (the *hooks*). A near-duplicate shares hooks
with what it resembles; the leaf tables of the few objects found that way then tell exactly. Source: sparse indexing,
M. Lillibridge et al., FAST 2009.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.digest import LEAF_ID_NBYTES
from smalti.store.commit import make_folder

_FEW_LEAVES = 32  # of so few leaves every one is a hook
_EVERY = 16
_ASKED_LEAVES = 1024  # so many are all asked for: a small object keeps leaves that are no hooks of a large one
_LOCKED_FOR_SECONDS = 60
_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL DEFAULT '',
    needs BLOB -- the ids of what it needs, eight bytes each; NULL while that is not known
);
CREATE TABLE IF NOT EXISTS hook (leaf INTEGER, object INTEGER, PRIMARY KEY (leaf, object)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hook_object ON hook (object);
"""


def hooks(leaf_ids: bytes) -> list[int]:
    """Return the leaves to remember, each as the first eight bytes of its id."""
    return _some(leaf_ids, _FEW_LEAVES)


def _some(leaf_ids: bytes, few: int) -> list[int]:
    """Return every leaf where they are few, else the hooks among them."""
    ids = np.frombuffer(leaf_ids, np.uint8).reshape(-1, LEAF_ID_NBYTES)
    keys = np.ascontiguousarray(ids[:, :8]).view("<i8").ravel()
    chosen = keys if len(keys) <= few else keys[ids[:, 0] % _EVERY == 0]
    return [int(key) for key in np.unique(chosen)]


class Index:
    """The index of one local store; safe to use from several threads and processes at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def add(self, address: str, own_leaf_ids: bytes, stamp: str, needs: Iterable[str]) -> None:
        """Remember an object: the leaves in its own file, how its files looked when sound, and what it needs."""
        with self._connection() as db:
            needed = sorted(needs)
            db.executemany("INSERT OR IGNORE INTO object (address) VALUES (?)", ((a,) for a in (address, *needed)))
            wanted = "SELECT id FROM object WHERE address IN (SELECT value FROM json_each(?)) ORDER BY id"
            ids = np.array([row for (row,) in db.execute(wanted, (json.dumps(needed),))], "<i8")
            db.execute("UPDATE object SET stamp = ?, needs = ? WHERE address = ?", (stamp, ids.tobytes(), address))
            (row,) = db.execute("SELECT id FROM object WHERE address = ?", (address,)).fetchone()
            db.executemany("INSERT OR IGNORE INTO hook VALUES (?, ?)", ((hook, row) for hook in hooks(own_leaf_ids)))

    def unknown(self, addresses: set[str]) -> set[str]:
        """Return those of which it is not remembered what they need."""
        with self._connection() as db:
            known = db.execute("SELECT address FROM object WHERE needs IS NOT NULL").fetchall()
        return addresses.difference(address for (address,) in known)

    def reachable(self, roots: set[str]) -> set[str]:
        """Return the roots and everything that is remembered to be needed by them, however deep."""
        by_address = "SELECT id FROM object WHERE address IN (SELECT value FROM json_each(?))"
        with self._connection() as db:
            ids = np.array(db.execute("SELECT id FROM object ORDER BY id").fetchall(), np.int64).ravel()
            needs = [row[0] for row in db.execute("SELECT coalesce(needs, x'') FROM object ORDER BY id")]
            start = np.array(db.execute(by_address, (json.dumps(sorted(roots)),)).fetchall(), np.int64).ravel()
            live = ids[_closure(ids, needs, start)]
            addresses = dict(db.execute("SELECT id, address FROM object").fetchall()) if len(live) else {}
        return roots.union(map(addresses.__getitem__, live.tolist()))

    def forget(self, address: str) -> None:
        """Remember an object no longer."""
        with self._connection() as db:
            db.execute("DELETE FROM hook WHERE object IN (SELECT id FROM object WHERE address = ?)", (address,))
            db.execute("UPDATE object SET stamp = '', needs = NULL WHERE address = ?", (address,))

    def stamp(self, address: str) -> str:
        """Return how an object's file looked when it was last known to be sound; "" when that is not known."""
        with self._connection() as db:
            row = db.execute("SELECT stamp FROM object WHERE address = ?", (address,)).fetchone()
        return str(row[0]) if row else ""

    def alike(self, leaf_ids: bytes, most: int = 4) -> list[str]:
        """Return the addresses of the objects that share most hooks with these leaves, best first."""
        query = """
            SELECT address FROM hook JOIN object ON object.id = hook.object
            WHERE leaf IN (SELECT value FROM json_each(?)) GROUP BY object ORDER BY count(*) DESC, address LIMIT ?
        """
        with self._connection() as db:
            return [address for (address,) in db.execute(query, (json.dumps(_some(leaf_ids, _ASKED_LEAVES)), most))]

    def clear(self) -> None:
        """Forget everything."""
        with self._connection() as db:
            db.execute("DELETE FROM hook")
            db.execute("DELETE FROM object")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Give a transaction. An index that cannot be read is thrown away: all of it can be found again."""
        try:
            db = self._open()
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, full, not permitted: not the index's fault
                raise
            self._throw_away()
            db = self._open()
            db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException as error:
            db.execute("ROLLBACK")
            if type(error) is sqlite3.DatabaseError:
                self._throw_away()
            raise
        try:
            db.execute("COMMIT")
        except sqlite3.Error:
            db.execute("ROLLBACK")
            raise

    def _open(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            make_folder(self._path.parent)
            db = sqlite3.connect(self._path, timeout=_LOCKED_FOR_SECONDS, isolation_level=None)
            self._prepare(db)
            self._local.db = db
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Switching to WAL does not wait for a lock as other statements do, so the first users take turns here."""
        deadline = time.monotonic() + _LOCKED_FOR_SECONDS
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
                db.executescript(_SCHEMA)
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _throw_away(self) -> None:
        if db := getattr(self._local, "db", None):
            db.close()
        self._local.db = None
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def _closure(ids: NDArray[np.int64], needs: list[bytes], start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions in ``ids`` of what can be reached from ``start``; ``needs`` lists ids, eight bytes each."""
    if not len(start):
        return np.zeros(0, np.int64)
    position = np.zeros(int(ids.max()) + 1, np.int64)
    position[ids] = np.arange(len(ids))
    children = position[np.frombuffer(b"".join(needs), "<i8")]
    counts = np.fromiter(map(len, needs), np.int64, len(needs)) // 8
    first = np.cumsum(counts) - counts
    live = np.zeros(len(ids), bool)
    frontier = position[start]
    while len(frontier):
        live[frontier] = True
        some = counts[frontier]
        within = np.arange(some.sum()) - np.repeat(np.cumsum(some) - some, some)
        below = np.unique(children[np.repeat(first[frontier], some) + within])
        frontier = below[~live[below]]
    return np.flatnonzero(live)
