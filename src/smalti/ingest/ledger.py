"""What has arrived and how its validation ended: one SQLite file, so that no file is read twice or missed.

Every validation is a numbered row whose report never changes; the numbers are what a cursor holds. A row is written
before anybody hears of it, so a process that was killed goes on where the rows end.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalti.ingest.keys import free_key, same_name
from smalti.store.commit import alone, machine_errors, make_folder

SETTLED_AFTER_S = 2.0

_SCHEMA = """
CREATE TABLE ledger (id TEXT NOT NULL);
CREATE TABLE files (
    source TEXT NOT NULL, name BLOB NOT NULL,
    seen TEXT NOT NULL, seen_at REAL NOT NULL,  -- its identity at the last look, and since when
    validated TEXT,                             -- its identity when it was validated
    state TEXT NOT NULL DEFAULT 'there',        -- there, quarantined, or gone
    told_gone INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source, name)
) WITHOUT ROWID;
CREATE TABLE keys (folded TEXT PRIMARY KEY, key TEXT NOT NULL, name BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX keys_by_name ON keys (name);
CREATE TABLE arrivals (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL, name BLOB NOT NULL, identity TEXT NOT NULL, key TEXT NOT NULL,
    content TEXT NOT NULL,                      -- digest of its bytes and its card
    accepted INTEGER NOT NULL, report TEXT NOT NULL,
    unmoved INTEGER NOT NULL DEFAULT 0,         -- rejected, and not yet in quarantine
    place TEXT NOT NULL DEFAULT '',             -- where in quarantine it is, or why it is not
    run TEXT,                                   -- the run under which it is reported
    reported INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX arrivals_by_content ON arrivals (content);
CREATE INDEX arrivals_by_name ON arrivals (source, name);
CREATE INDEX arrivals_by_key ON arrivals (key);
CREATE INDEX arrivals_unreported ON arrivals (number) WHERE NOT reported;
CREATE INDEX arrivals_unmoved ON arrivals (number) WHERE unmoved;
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A file as one look at its source shows it.

    Attributes:
        identity: changes when the file or its card does.
        settled: it has not been written to for a while, as far as this look can tell.
    """

    name: str
    identity: str
    nbytes: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that is to be validated now; ``again`` after it was in quarantine, so that no earlier report will do."""

    name: str
    identity: str
    nbytes: int
    key: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """One file's validation.

    Attributes:
        number: counts validations, from 1.
        content: digest of the file's bytes and its card; empty when they could not be read.
        place: of a rejected file: its folder in quarantine, or the sentence that says why it is not there.
        run: the run under which it is being reported, or None.
        on_its_way: it was rejected, and is not yet in quarantine.
    """

    number: int
    source: str
    name: str
    identity: str
    key: str
    content: str
    accepted: bool
    report: dict[str, Any]
    place: str
    run: str | None
    on_its_way: bool


_ARRIVAL = """
SELECT number, source, name, identity, key, content, accepted, report, place, run, unmoved
FROM arrivals a
"""


def _arrival(row: Sequence[Any]) -> Arrival:
    number, source, name, identity, key, content, accepted, report, place, run, unmoved = row
    told = json.loads(report)
    name = os.fsdecode(name)
    return Arrival(number, source, name, identity, key, content, bool(accepted), told, place, run, bool(unmoved))


class Ledger:
    """The validations of one root; each thread opens its own.

    Raises:
        Unavailable: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with machine_errors(f"opening the ledger of arrivals at {path}"):
            make_folder(path.parent)
            with alone(path.with_suffix(".opening")):  # SQLite does not wait for its turn to change the journal's mode
                self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
                self._db.execute("PRAGMA journal_mode = WAL")
                self._set_up()
            (self.id,) = self._db.execute("SELECT id FROM ledger").fetchone()

    def _set_up(self) -> None:
        columns = {row[1] for row in self._db.execute("PRAGMA table_info(files)")}
        if "judged" in columns:  # a ledger of version 0.1
            self._db.execute("ALTER TABLE files RENAME COLUMN judged TO validated")
            self._db.execute("ALTER TABLE arrivals RENAME COLUMN verdict TO report")
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger'").fetchone():
            with self._transaction() as db:
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute("INSERT INTO ledger VALUES (?)", (uuid.uuid4().hex[:12],))

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def look(
        self,
        source: str,
        found: Iterable[Found],
        owner: Callable[[str], str | None],
        most: int,
        but: Container[str] = (),
    ) -> list[Waiting]:
        """Take note of all that a source holds now; return what is to be validated, in order of its name.

        A file counts as settled when the look says so, or when it was seen unchanged for a while, whatever its clock
        says. A file that is missing is noted as gone; it is validated when it comes back changed.

        Args:
            owner: gives the name of the file that has a key already outside this ledger, or None.
            most: return no more than so many.
            but: names to leave out.
        """
        now = time.time()
        waiting: list[Waiting] = []
        with self._transaction() as db:
            rows = db.execute("SELECT name, seen, seen_at, validated, state FROM files WHERE source = ?", (source,))
            known = {os.fsdecode(name): row for name, *row in rows}
            for file in sorted(found, key=lambda file: file.name):
                seen, seen_at, validated, state = known.pop(file.name, ("", now, None, ""))
                if seen != file.identity or state == "gone":
                    seen_at = now if seen != file.identity else seen_at
                    state = "there" if state in ("gone", "") else state
                    db.execute(
                        "INSERT INTO files (source, name, seen, seen_at, validated, state) VALUES (?, ?, ?, ?, ?, ?)"
                        " ON CONFLICT DO UPDATE SET seen = excluded.seen, seen_at = excluded.seen_at,"
                        " state = excluded.state, told_gone = 0",
                        (source, os.fsencode(file.name), file.identity, seen_at, validated, state),
                    )
                settled = file.settled or now - seen_at > SETTLED_AFTER_S
                new = validated != file.identity or state == "quarantined"
                if settled and new and file.name not in but and len(waiting) < most:
                    key = self._key(file.name, owner)
                    waiting.append(Waiting(file.name, file.identity, file.nbytes, key, state == "quarantined"))
            missing = [(source, os.fsencode(name)) for name, (*_, state) in known.items() if state == "there"]
            db.executemany("UPDATE files SET state = 'gone' WHERE source = ? AND name = ?", missing)
        return waiting

    def _key(self, filename: str, owner: Callable[[str], str | None]) -> str:
        name = os.fsencode(same_name(filename))
        if key := self.key_of(filename):
            return key

        def owner_here_or_there(key: str) -> str | None:
            rows = self._rows("SELECT name FROM keys WHERE folded = ?", (key.casefold(),))
            return os.fsdecode(rows[0][0]) if rows else owner(key)

        key = free_key(filename, owner_here_or_there)
        self._db.execute("INSERT INTO keys VALUES (?, ?, ?)", (key.casefold(), key, name))
        return key

    def key_of(self, filename: str) -> str | None:
        """Return the key a file was given, or None."""
        rows = self._rows("SELECT key FROM keys WHERE name = ?", (os.fsencode(same_name(filename)),))
        return str(rows[0][0]) if rows else None

    def validated(self, source: str, file: Waiting, report: dict[str, Any]) -> Arrival:
        """Write a report down and return it.

        The same bytes, accepted once more under the same name, are a file that was dropped again: the row says so in
        its report (``dropped_again``) and needs no reporting.
        """
        name, content, accepted = os.fsencode(file.name), str(report.get("content", "")), bool(report["accepted"])
        with self._transaction() as db:
            db.execute(
                "UPDATE files SET validated = ?, state = 'there' WHERE source = ? AND name = ?",
                (file.identity, source, name),
            )
            last = db.execute(
                "SELECT content, accepted FROM arrivals WHERE source = ? AND name = ? ORDER BY number DESC LIMIT 1",
                (source, name),
            ).fetchone()
            again = bool(last and last == (content, 1) and accepted and not file.again)
            if again:
                report = {**report, "dropped_again": True}
            cursor = db.execute(
                "INSERT INTO arrivals (source, name, identity, key, content, accepted, report, unmoved, reported)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (source, name, file.identity, file.key, content, accepted, json.dumps(report), not accepted, again),
            )
            return self._arrivals("WHERE number = ?", (cursor.lastrowid,))[0]

    def first_with(self, content: str) -> Arrival | None:
        """Return the first validation of this content that is not about a file dropped again."""
        where = "WHERE content = ? AND content != '' ORDER BY number LIMIT 1"
        return next(iter(self._arrivals(where, (content,))), None)

    def unmoved(self, source: str) -> list[Arrival]:
        """Return what was rejected and is not in quarantine yet."""
        return self._arrivals("WHERE unmoved AND source = ? ORDER BY number", (source,))

    def moved(self, arrival: Arrival, place: str, quarantined: bool) -> None:
        """Note where a rejected file is now, or why it stays where it was."""
        with self._transaction() as db:
            db.execute("UPDATE arrivals SET unmoved = 0, place = ? WHERE number = ?", (place, arrival.number))
            if quarantined:
                db.execute(
                    "UPDATE files SET state = 'quarantined' WHERE source = ? AND name = ? AND validated = ?",
                    (arrival.source, os.fsencode(arrival.name), arrival.identity),
                )

    def claim(self, source: str, most: int) -> list[Arrival]:
        """Return what is to be reported next under one run, no key twice; the same again until it is reported."""
        ready = "WHERE source = ? AND NOT reported"
        with self._transaction() as db:
            if begun := self._arrivals(f"{ready} AND run IS NOT NULL ORDER BY number", (source,)):
                return begun
            batch: dict[str, Arrival] = {}
            for arrival in self._arrivals(f"{ready} ORDER BY number LIMIT ?", (source, most)):
                # Nothing overtakes a file still on its way to quarantine: a cursor passes it only once.
                if arrival.key in batch or arrival.on_its_way:
                    break
                batch[arrival.key] = arrival
            run = str(uuid.uuid4())
            db.executemany("UPDATE arrivals SET run = ? WHERE number = ?", [(run, a.number) for a in batch.values()])
            return self._arrivals("WHERE run = ? ORDER BY number", (run,))

    def unreported(self, source: str) -> int:
        """Return how many validations wait to be reported."""
        ((count,),) = self._rows("SELECT COUNT(*) FROM arrivals WHERE source = ? AND NOT reported", (source,))
        return int(count)

    def reported(self, arrivals: Sequence[Arrival]) -> None:
        """Note that these have been reported."""
        with self._transaction() as db:
            db.executemany("UPDATE arrivals SET reported = 1 WHERE number = ?", [(a.number,) for a in arrivals])

    def reported_after(self, number: int, source: str, most: int) -> list[Arrival]:
        """Return validations of a source with greater numbers, in order, up to the first that is not reported yet.

        One statement: a cursor that moves to the last of them can pass nothing that another process reports meanwhile.
        """
        where = (
            "WHERE number > ? AND source = ? AND number < coalesce("
            "(SELECT MIN(number) FROM arrivals WHERE source = ? AND NOT reported), number + 1) ORDER BY number LIMIT ?"
        )
        return self._arrivals(where, (number, source, source, most))

    def after(self, number: int) -> list[Arrival]:
        """Return every validation with a greater number, in order."""
        return self._arrivals("WHERE number > ? ORDER BY number", (number,))

    def is_there(self, source: str, name: str) -> bool:
        """Tell whether a file was where it arrives at the last look."""
        rows = self._rows("SELECT state FROM files WHERE source = ? AND name = ?", (source, os.fsencode(name)))
        return rows == [("there",)]

    def latest_of(self, key: str) -> Arrival | None:
        """Return the last validation under a key."""
        return next(iter(self._arrivals("WHERE key = ? ORDER BY number DESC LIMIT 1", (key,))), None)

    def gone(self, source: str, most: int) -> list[tuple[str, str]]:
        """Return name and key of files that were validated and are missing now, and of which nobody was told."""
        rows = self._rows(
            "SELECT f.name, a.key FROM files f JOIN arrivals a ON a.source = f.source AND a.name = f.name"
            " WHERE f.source = ? AND f.state = 'gone' AND NOT f.told_gone GROUP BY f.name LIMIT ?",
            (source, most),
        )
        return [(os.fsdecode(name), key) for name, key in rows]

    def told_gone(self, source: str, names: Iterable[str]) -> None:
        """Note that somebody was told of these missing files."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE files SET told_gone = 1 WHERE source = ? AND name = ?",
                [(source, os.fsencode(name)) for name in names],
            )

    def _arrivals(self, where: str, values: Sequence[object] = ()) -> list[Arrival]:
        return [_arrival(row) for row in self._rows(_ARRIVAL + where, values)]

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        with machine_errors(f"reading the ledger of arrivals at {self.path}"):
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with machine_errors(f"writing the ledger of arrivals at {self.path}"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
