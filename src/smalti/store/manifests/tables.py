"""The tables in SQLite that runs, their steps and their values are looked up in, filled from manifests.

Values, runs and steps are integers, so that a row takes a few bytes and lies beside those it is read with:
``used`` by value, ``did`` by run and step. Step 0 is the whole of a run that has steps, and leads nowhere; of a run
without any, the whole is step 1.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from smalti.digest import PREFIX
from smalti.store.manifests.lineage import Direction, Passage
from smalti.store.manifests.manifest import Manifest, Step, Use

_TABLES = ("run", "value", "used", "did", "step", "holds", "unread", "manifests")

_READ, _WROTE = 0, 1
_USES = """
    SELECT DISTINCT run.name, CASE used.role WHEN 0 THEN 'read' ELSE 'wrote' END AS role
    FROM value JOIN used ON used.value = value.id JOIN run ON run.id = used.run
    WHERE value.digest = ? {} ORDER BY run.name, role
"""
_PASSAGES = """
    SELECT run.name, coalesce(step.name, ''), other.digest
    FROM value JOIN used ON used.value = value.id AND used.role = :role AND used.step > 0
    JOIN run ON run.id = used.run
    LEFT JOIN step ON step.run = used.run AND step.step = used.step
    LEFT JOIN did ON did.run = used.run AND did.step = used.step AND did.role = 1 - :role AND did.value != value.id
    LEFT JOIN value AS other ON other.id = did.value
    WHERE value.digest = :digest ORDER BY run.name, used.step, other.digest
"""
_RELATED = """
    WITH RECURSIVE above (id) AS (
        SELECT id FROM value WHERE digest = :digest UNION SELECT whole FROM holds JOIN above ON part = above.id
    ), below (id) AS (
        SELECT id FROM value WHERE digest = :digest UNION SELECT part FROM holds JOIN below ON whole = below.id
    ) SELECT digest FROM value WHERE id IN (SELECT id FROM above UNION SELECT id FROM below) ORDER BY digest
"""


class Read(NamedTuple):
    """A manifest that was read from its document, and what is another whenever the document is replaced."""

    manifest: Manifest
    stamp: str


def as_of(db: sqlite3.Connection) -> tuple[str, bool]:
    """Return what was noted when the tables were last complete, and whether documents are unread."""
    return db.execute("SELECT as_of, EXISTS (SELECT 1 FROM unread) FROM manifests").fetchone() or ("", False)


def set_as_of(db: sqlite3.Connection, noted: str) -> None:
    """Note what shows that the tables are complete, or who is at work on them."""
    db.execute("DELETE FROM manifests")
    db.execute("INSERT INTO manifests VALUES (?)", (noted,))


def clear(db: sqlite3.Connection) -> None:
    """Forget everything."""
    for table in _TABLES:
        db.execute(f"DELETE FROM {table}")


def stamps(db: sqlite3.Connection) -> dict[str, str]:
    """Return run -> stamp of its manifest."""
    return dict(db.execute("SELECT name, stamp FROM run"))


def unread(db: sqlite3.Connection) -> dict[str, str]:
    """Return the keys of the documents that could not be read, and why."""
    return dict(db.execute("SELECT key, why FROM unread ORDER BY key"))


def set_unread(db: sqlite3.Connection, keys: Mapping[str, str]) -> None:
    """Note which documents could not be read, and why, in place of those before."""
    db.execute("DELETE FROM unread")
    db.executemany("INSERT INTO unread VALUES (?, ?)", keys.items())


def insert(db: sqlite3.Connection, some: Iterable[Read], known: Mapping[str, str] | None = None) -> None:
    """Put manifests in, in place of what there is of their runs.

    Args:
        known: run -> stamp, as it was before the documents were listed; a run that has another stamp now was put in
            since then by its writer, who knows better, and is left. None: leave only later revisions.
    """
    for manifest, stamp in some:
        query = "SELECT id, stamp, created_at, revision FROM run WHERE name = ?"
        if there := db.execute(query, (manifest.run,)).fetchone():
            if known is None and there[2] == manifest.created_at and there[3] > manifest.revision:
                continue
            if known is not None and there[1] != known.get(manifest.run):
                continue
            _remove(db, there[0])
        elif known is not None and manifest.run in known:
            continue
        run = _insert_run(db, manifest, stamp)
        first = 0 if manifest.steps else 1
        parts = [manifest.whole, *manifest.steps]
        rows = sorted({row for number, part in enumerate(parts, first) for row in _rows(part, run, number)})
        db.executemany("INSERT OR IGNORE INTO value (digest) VALUES (?)", ((row[-1],) for row in rows))
        value = "(SELECT id FROM value WHERE digest = ?)"
        db.executemany(f"INSERT INTO did VALUES (?, ?, ?, {value})", rows)
        db.execute("INSERT INTO used SELECT value, role, run, step FROM did WHERE run = ?", (run,))
        named = ((run, number, step.name) for number, step in enumerate(manifest.steps, 1))
        db.executemany("INSERT INTO step VALUES (?, ?, ?)", named)


def _rows(part: Step, run: int, number: int) -> Iterator[tuple[int, int, int, bytes]]:
    for role, used in ((_READ, part.inputs), (_WROTE, part.outputs)):
        for address in used.values():
            yield run, number, role, packed(address)


def _insert_run(db: sqlite3.Connection, manifest: Manifest, stamp: str) -> int:
    what = (manifest.project, manifest.run_type, manifest.status, manifest.parent)
    row = (manifest.run, stamp, bool(manifest.released_at), manifest.created_at, manifest.revision, *what)
    return int(db.execute("INSERT INTO run VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row).lastrowid or 0)


def remove(db: sqlite3.Connection, runs: Iterable[str], known: Mapping[str, str]) -> None:
    """Forget runs, but those that were written since their stamps were ``known``."""
    for name in runs:
        there = db.execute("SELECT id, stamp FROM run WHERE name = ?", (name,)).fetchone()
        if there and there[1] == known.get(name):
            _remove(db, there[0])


def _remove(db: sqlite3.Connection, run: int) -> None:
    db.execute(
        "DELETE FROM used WHERE (value, role, run, step) IN (SELECT value, role, run, step FROM did WHERE run = ?)",
        (run,),
    )
    for table in ("did", "step"):
        db.execute(f"DELETE FROM {table} WHERE run = ?", (run,))
    db.execute("DELETE FROM run WHERE id = ?", (run,))


def uses(db: sqlite3.Connection, address: str, released: bool = False) -> list[Use]:
    """Return the runs that read or wrote a value, in order; only the released ones if so asked."""
    found = db.execute(_USES.format("AND run.released" if released else ""), (packed(address),))
    return [Use(*row) for row in found]


def passages(db: sqlite3.Connection, address: str, direction: Direction) -> list[Passage]:
    """Return the steps that read a value (downstream) or wrote it (upstream), each with the values at its other end."""
    role = _READ if direction == "downstream" else _WROTE
    found: list[Passage] = []
    at: tuple[str, str] | None = None
    for run, step, other in db.execute(_PASSAGES, {"role": role, "digest": packed(address)}):
        if at != (run, step):
            at = run, step
            found.append(Passage(run, step, []))
        if other is not None:
            found[-1].others.append(PREFIX + other.hex())
    return found


def children(db: sqlite3.Connection, run: str) -> list[str]:
    """Return the runs that are parts of a run, in order."""
    return [
        name for (name,) in db.execute("SELECT name FROM run WHERE parent = ? AND parent != '' ORDER BY name", (run,))
    ]


def newest(db: sqlite3.Connection, since: str, wanted: Mapping[str, str]) -> list[str]:
    """Return the runs whose manifests were written since then and whose fields are as wanted, newest first."""
    also = "".join(f" AND {field} = :{field}" for field in wanted)
    query = f"SELECT name FROM run WHERE created_at >= :since{also} ORDER BY created_at DESC, name DESC"
    return [name for (name,) in db.execute(query, {"since": since, **wanted})]


def not_looked_into(db: sqlite3.Connection) -> list[str]:
    """Return the values of which it is not known what they consist of."""
    return [PREFIX + digest.hex() for (digest,) in db.execute("SELECT digest FROM value WHERE looked_into IS NULL")]


def set_parts(db: sqlite3.Connection, parts: Mapping[str, Iterable[str]]) -> None:
    """Note which values each of some consists of."""
    for whole, some in parts.items():
        rows: list[Any] = [(packed(whole), packed(part)) for part in sorted({*some})]
        db.executemany("INSERT OR IGNORE INTO value (digest) VALUES (?)", ((part,) for _, part in rows))
        value = "(SELECT id FROM value WHERE digest = ?)"
        db.executemany(f"INSERT OR IGNORE INTO holds VALUES ({value}, {value})", rows)
        db.execute("UPDATE value SET looked_into = 1 WHERE digest = ?", (packed(whole),))


def related(db: sqlite3.Connection, address: str) -> list[str]:
    """Return a value, all that it is a part of and all that it consists of, however deep."""
    found = [PREFIX + digest.hex() for (digest,) in db.execute(_RELATED, {"digest": packed(address)})]
    return [address, *(other for other in found if other != address)]


def packed(address: str) -> bytes:
    """Return the digest of an address."""
    return bytes.fromhex(address.removeprefix(PREFIX))
