"""What is remembered of files so as not to read them twice: path, size, times, inode -> address of the content.

A cache, ``.smalti/files.sqlite`` below the root: it may be deleted at any time, files are then read again. An entry is
made only when the file had been left alone for a while before it was read: written to again within the same tick of the
clock, it would look the same with other content. (git calls such entries *racily clean*.)
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from smalti.tracking.work_file import Look

Row = tuple[str | int, ...]

FOLDER = ".smalti"
_FILE = "files.sqlite"
_TICK_NS = 2_000_000_000  # of the coarsest clock a file system has (FAT)
_LOCKED_FOR_SECONDS = 10
_FORMAT = 1
_SCHEMA = f"""
CREATE TABLE file (
    top TEXT, path TEXT, nbytes INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, address TEXT,
    PRIMARY KEY (top, path)
) WITHOUT ROWID;
CREATE TABLE base (top TEXT PRIMARY KEY, digest TEXT) WITHOUT ROWID;
PRAGMA user_version = {_FORMAT};
"""


def is_settled(look: Look, read_at_ns: int) -> bool:
    """Tell whether a file had been left alone for so long, when it was read, that every later write will show.

    Args:
        read_at_ns: the time just before it was read.
    """
    return max(look.mtime_ns, look.ctime_ns) + _TICK_NS < read_at_ns


class StatCache:
    """The cache of one root. What goes wrong with it is as if nothing had been remembered.

    Paths that are tracked (``top``) are kept relative to the root, so that it may be moved.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / FOLDER / _FILE

    def known(self, top: Path) -> dict[str, tuple[Look, str]]:
        """Return of every file below a tracked path how it looked and the address of its content."""
        rows = self._ask("SELECT path, address, nbytes, mtime_ns, ctime_ns, inode FROM file WHERE top = ?", top)
        return {path: (Look(*look), address) for path, address, *look in rows}

    def base(self, top: Path) -> str | None:
        """Return the digest that was put or checked out at a tracked path last."""
        rows = self._ask("SELECT digest FROM base WHERE top = ?", top)
        return str(rows[0][0]) if rows else None

    def remember(self, top: Path, files: Mapping[str, tuple[Look, str]], read_at_ns: int) -> None:
        """Remember files below a tracked path, those that had settled when they were read."""
        key = self._key(top)
        rows: list[Row] = [
            (key, path, *look, address) for path, (look, address) in files.items() if is_settled(look, read_at_ns)
        ]
        self._write("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def set_base(self, top: Path, digest: str) -> None:
        """Remember what was put or checked out at a tracked path."""
        if self.base(top) != digest:
            self._write("INSERT OR REPLACE INTO base VALUES (?, ?)", [(self._key(top), digest)])

    def _key(self, top: Path) -> str:
        return os.path.relpath(top, self._root)

    def _ask(self, query: str, top: Path) -> list[Any]:
        if not self._path.is_file():
            return []
        with suppress(sqlite3.Error, OSError), closing(self._open()) as db:
            return db.execute(query, (self._key(top),)).fetchall()
        return []

    def _write(self, statement: str, rows: list[Row]) -> None:
        with suppress(sqlite3.Error, OSError):
            if rows:
                with closing(self._open()) as db, db:
                    db.executemany(statement, rows)

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(exist_ok=True)
        if not (ignoring := self._path.with_name(".gitignore")).exists():
            ignoring.write_text("*\n")
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, full, not permitted: not the file's fault
                raise
            self._path.unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=_LOCKED_FOR_SECONDS)
        try:
            if db.execute("PRAGMA user_version").fetchone() != (_FORMAT,):
                db.executescript(
                    f"BEGIN IMMEDIATE; DROP TABLE IF EXISTS file; DROP TABLE IF EXISTS base; {_SCHEMA} COMMIT"
                )
        except BaseException:
            db.close()
            raise
        return db
