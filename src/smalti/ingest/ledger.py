"""What has arrived and how its validation ended: one SQLite file, so that no file is read twice or missed.

Every validation is a numbered row whose report never changes; the numbers are what a cursor holds. A row is written
before anybody hears of it, so a process that was killed goes on where the rows end.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalti.ingest.keys import free_key, same_name
from smalti.ingest.ledger_tables import set_up
from smalti.store.commit import alone, machine_errors, make_folder

SETTLED_AFTER_S = 2.0
_IGNORED_KEPT = 100


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
        batch: names those with which it is reported, or None as long as nobody has claimed it.
        on_its_way: it was rejected, and is not yet in quarantine.
        partition: once it was reported: the partition that has its bytes, its own or that of an equal file; else None.
        recorded: it was recorded as a new version of that partition.
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
    batch: str | None
    on_its_way: bool
    partition: str | None = None
    recorded: bool = False

    @property
    def dropped_again(self) -> bool:
        """Whether the file had the same bytes when it was accepted before."""
        return bool(self.report.get("dropped_again"))


@dataclass(frozen=True, slots=True)
class Ignored:
    """What lies where files arrive and is not validated: how many files, and the first of them with the reason."""

    count: int
    first: list[tuple[str, str]]


_ARRIVAL = """
SELECT number, source, name, identity, key, content, accepted, report, place, batch, unmoved, partition_key, recorded
FROM arrivals a
"""
_REJECTED_IN_PLACE = """
WHERE NOT accepted AND NOT unmoved AND EXISTS (SELECT 1 FROM files f
WHERE f.source = a.source AND f.name = a.name AND f.state = 'there' AND f.validated = a.identity)
"""


def _arrival(row: Sequence[Any]) -> Arrival:
    number, source, name, identity, key, content, accepted, report, place, batch, unmoved, partition, recorded = row
    return Arrival(
        number,
        source,
        os.fsdecode(name),
        identity,
        key,
        content,
        bool(accepted),
        json.loads(report),
        place,
        batch,
        bool(unmoved),
        partition,
        bool(recorded),
    )


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
                set_up(self._db)
            (self.id,) = self._db.execute("SELECT id FROM ledger").fetchone()

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
        its report (``dropped_again``).
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
                "INSERT INTO arrivals (source, name, identity, key, content, accepted, report, unmoved)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (source, name, file.identity, file.key, content, accepted, json.dumps(report), not accepted),
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
        """Return what is to be reported next in one batch, no key twice; the same again until it is reported."""
        ready = "WHERE source = ? AND NOT reported"
        with self._transaction() as db:
            if begun := self._arrivals(f"{ready} AND batch IS NOT NULL ORDER BY number", (source,)):
                return begun
            batch: dict[str, Arrival] = {}
            for arrival in self._arrivals(f"{ready} ORDER BY number LIMIT ?", (source, most)):
                # Nothing overtakes a file still on its way to quarantine: a cursor passes it only once.
                if arrival.key in batch or arrival.on_its_way:
                    break
                batch[arrival.key] = arrival
            name = f"arrival-{self.id}-{min((a.number for a in batch.values()), default=0)}"
            db.executemany("UPDATE arrivals SET batch = ? WHERE number = ?", [(name, a.number) for a in batch.values()])
            return self._arrivals("WHERE batch = ? ORDER BY number", (name,))

    def unreported(self, source: str) -> int:
        """Return how many validations wait to be reported."""
        ((count,),) = self._rows("SELECT COUNT(*) FROM arrivals WHERE source = ? AND NOT reported", (source,))
        return int(count)

    def reported(self, arrivals: Sequence[Arrival]) -> None:
        """Note that these have been reported, and what each was reported as."""
        outcomes = [(a.partition, a.recorded, a.number) for a in arrivals]
        with self._transaction() as db:
            db.executemany(
                "UPDATE arrivals SET reported = 1, partition_key = ?, recorded = ? WHERE number = ?", outcomes
            )

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

    def with_bytes(self, content: str) -> list[str]:
        """Return the partitions that were recorded with this content and whose file still lies there with it."""
        rows = self._rows(
            "SELECT a.key FROM arrivals a JOIN files f ON f.source = a.source AND f.name = a.name"
            " WHERE a.content = ? AND a.partition_key = a.key AND f.state = 'there' AND NOT EXISTS (SELECT 1 FROM"
            " arrivals b WHERE b.source = a.source AND b.name = a.name AND b.number > a.number"
            " AND b.content != a.content) GROUP BY a.key ORDER BY MIN(a.number)",
            (content,),
        )
        return [str(key) for (key,) in rows]

    def rejected_in_place(self) -> list[Arrival]:
        """Return what was rejected and lies where it arrived, because it cannot be moved; of every source."""
        return self._arrivals(f"{_REJECTED_IN_PLACE} ORDER BY number")

    def numbers_rejected_in_place(self) -> list[int]:
        """Return the numbers of :meth:`rejected_in_place`, without their reports."""
        return [
            number for (number,) in self._rows(f"SELECT number FROM arrivals a {_REJECTED_IN_PLACE} ORDER BY number")
        ]

    def ignore(self, source: str, names: Mapping[str, str]) -> None:
        """Take note of what lies at a source and is not validated, by name with the reason."""
        told = json.dumps([len(names), sorted(names.items())[:_IGNORED_KEPT]])
        before = self._rows("SELECT names FROM ignored WHERE source = ?", (source,))
        if before != [(told,)] and (names or before):
            with self._transaction() as db:
                db.execute("INSERT OR REPLACE INTO ignored VALUES (?, ?)", (source, told))

    def ignored(self) -> dict[str, Ignored]:
        """Return what lies at each source and is not validated, where there is any."""
        told = {source: json.loads(names) for source, names in self._rows("SELECT source, names FROM ignored")}
        return {source: Ignored(n, [(name, why) for name, why in first]) for source, (n, first) in told.items() if n}

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
