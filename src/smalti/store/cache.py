"""The file ``index.sqlite``: a cache that many threads and processes share and that anybody may delete at any time."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from smalti.store.commit import alone, make_folder

_LOCKED_FOR_SECONDS = 10
_OF_ANOTHER_PROCESS: list[sqlite3.Connection] = []  # of the process that forked this one: neither used nor closed here
_FORMAT = 5  # of every table in the file; one of another format is thrown away
_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS hook (leaf INTEGER, object INTEGER, PRIMARY KEY (leaf, object)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hook_object ON hook (object);

CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL, released INTEGER NOT NULL,
    created_at TEXT NOT NULL, revision INTEGER NOT NULL,
    project TEXT NOT NULL, run_type TEXT NOT NULL, status TEXT NOT NULL, parent TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS run_created ON run (created_at, name);
CREATE INDEX IF NOT EXISTS run_parent ON run (parent, name) WHERE parent != '';
CREATE TABLE IF NOT EXISTS value (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, looked_into INTEGER);
CREATE TABLE IF NOT EXISTS used (value INTEGER, role INTEGER, run INTEGER, step INTEGER,
    PRIMARY KEY (value, role, run, step)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS did (run INTEGER, step INTEGER, role INTEGER, value INTEGER,
    PRIMARY KEY (run, step, role, value)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS step (run INTEGER, step INTEGER, name TEXT NOT NULL, PRIMARY KEY (run, step)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holds (whole INTEGER, part INTEGER, PRIMARY KEY (whole, part)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held ON holds (part, whole);
CREATE TABLE IF NOT EXISTS unread (key TEXT PRIMARY KEY, why TEXT NOT NULL) WITHOUT ROWID; -- documents left out
CREATE TABLE IF NOT EXISTS manifests (as_of TEXT NOT NULL); -- by which it is seen whether all are in here
"""


Found = TypeVar("Found")


def cached(cache: Cache, unknown: Found, ask: Callable[[sqlite3.Connection], Found], *, writing: bool = False) -> Found:
    """Return what a cache says, or ``unknown`` where it cannot be used: locked, full, damaged, on a read-only disk."""
    try:
        with cache.transaction(writing) as db:
            return ask(db)
    except (sqlite3.Error, OSError):
        return unknown


class Cache:
    """One such file; safe to use from several threads and processes at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    @contextmanager
    def transaction(self, writing: bool = True) -> Iterator[sqlite3.Connection]:
        """Give a transaction. A file that cannot be read is thrown away: all that was in it can be found again."""
        begin = "BEGIN IMMEDIATE" if writing else "BEGIN"
        try:
            db = self._open()
            db.execute(begin)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, full, not permitted: not the file's fault
                raise
            self._throw_away()
            db = self._open()
            db.execute(begin)
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

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody else makes the file's content anew; what is only in memory is made by each for itself."""
        with suppress(OSError):
            make_folder(self._path.parent)
        if not is_writable(self._path.parent):
            yield
            return
        with alone(self._path.with_name(f"{self._path.name}-lock")):
            yield

    def _open(self) -> sqlite3.Connection:
        """Return this thread's connection to the file that is there now; anybody may have deleted an earlier one."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is not None and self._local.process != os.getpid():
            _OF_ANOTHER_PROCESS.append(db)
            db = self._local.db = None
        if db is None or self._local.file != self._file():
            self._close()
            with suppress(OSError):  # see _connect
                make_folder(self._path.parent)
            db = self._connect()
            self._prepare(db)
        return db

    def _connect(self) -> sqlite3.Connection:
        """Connect to the file that is there before and after; one that is open lends its inode to no other.

        Where nothing can be written, as on a mounted backup, what is found out serves this thread alone.
        """
        if not is_writable(self._path.parent):
            db = sqlite3.connect(":memory:", isolation_level=None)
            self._keep(db, self._file())
            return db
        while True:
            before = self._file()
            with suppress(FileExistsError):  # as the umask says: SQLite would keep others of the group out
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            db = sqlite3.connect(self._path, timeout=_LOCKED_FOR_SECONDS, isolation_level=None)
            self._keep(db, before)
            if before is not None and before == self._file():
                return db
            db.close()

    def _keep(self, db: sqlite3.Connection, file: tuple[int, int] | None) -> None:
        self._local.db, self._local.file, self._local.process = db, file, os.getpid()

    def _file(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)  # noqa: PTH116, twice as fast
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Switching the journal does not wait for a lock as other statements do, so the first users take turns here."""
        deadline = time.monotonic() + _LOCKED_FOR_SECONDS
        while True:
            try:
                # A log that many map side by side is a trap on a full disk and on NFS; what is lost can be found again.
                db.execute("PRAGMA journal_mode = TRUNCATE")
                db.execute("PRAGMA synchronous = OFF")
                if db.execute("PRAGMA user_version").fetchone() != (_FORMAT,):
                    tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
                    drop = "".join(f"DROP TABLE IF EXISTS {table};" for (table,) in tables)
                    db.executescript(f"BEGIN IMMEDIATE; {drop} {_SCHEMA} PRAGMA user_version = {_FORMAT}; COMMIT")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _throw_away(self) -> None:
        self._close()
        for suffix in ("", "-journal"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _close(self) -> None:
        if db := getattr(self._local, "db", None):
            db.close()
        self._local.db = None


def cache_folder(identity: str) -> Path:
    """Return the folder below the user's cache folder for what is kept of a store that cannot keep it itself."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111, raises for no home
    if not os.path.isabs(base):  # noqa: PTH117
        base = os.devnull  # nothing can be kept there
    return Path(base) / "smalti" / "stores" / hashlib.sha256(identity.encode()).hexdigest()[:32]


def is_writable(folder: Path) -> bool:
    """Tell whether this process may write to a folder that is there."""
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
