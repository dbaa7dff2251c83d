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
import struct
from collections.abc import Collection, Iterable, Sequence
from itertools import compress
from pathlib import Path

from smalti.digest import LEAF_ID_NBYTES
from smalti.store.cache import Cache

_FEW_LEAVES = 32  # of so few leaves every one is a hook
_EVERY = 16
_KEY = struct.Struct(f"<q{LEAF_ID_NBYTES - 8}x")
_ASKED_LEAVES = 1024  # so many are all asked for: a small object keeps leaves that are no hooks of a large one


def hooks(leaf_ids: bytes) -> list[int]:
    """Return the leaves to remember, each as the first eight bytes of its id."""
    return _some(leaf_ids, _FEW_LEAVES)


def _some(leaf_ids: bytes, few: int) -> list[int]:
    """Return every leaf where they are few, else the hooks among them."""
    keys = [key for (key,) in _KEY.iter_unpack(leaf_ids)]
    return sorted({key for key in keys if key % _EVERY == 0 or len(keys) <= few})


class Index:
    """The index of one local store; safe to use from several threads and processes at once."""

    def __init__(self, path: Path) -> None:
        self._cache = Cache(path)

    def add(self, address: str, own_leaf_ids: bytes, stamp: str, needs: Collection[str] | None) -> None:
        """Remember an object.

        Args:
            own_leaf_ids: of the leaves in its own file.
            stamp: how its files looked when they were sound; "" says nothing about it, and what was known stays.
            needs: the objects that it needs; None says nothing about it, either, and ``unknown`` names the object.
        """
        self.add_all([(address, own_leaf_ids, stamp, needs)])

    def add_all(self, objects: Iterable[tuple[str, bytes, str, Collection[str] | None]]) -> None:
        """Remember several objects at once."""
        some = [(address, ids, stamp, None if needs is None else {*needs}) for address, ids, stamp, needs in objects]
        with self._cache.transaction() as db:
            numbers = _numbers(db, {address for one, _, _, needs in some for address in (one, *(needs or ()))})
            known = "stamp = coalesce(nullif(?, ''), stamp), needs = coalesce(?, needs)"
            db.executemany(
                f"UPDATE object SET {known} WHERE id = ?",
                (
                    (stamp, None if needs is None else _packed(numbers, address, needs), numbers[address])
                    for address, _, stamp, needs in some
                ),
            )
            found = ((hook, numbers[address]) for address, ids, _, _ in some for hook in hooks(ids))
            db.executemany("INSERT OR IGNORE INTO hook VALUES (?, ?)", found)

    def unknown(self, addresses: set[str]) -> set[str]:
        """Return those of which it is not remembered what they need."""
        with self._cache.transaction(writing=False) as db:
            known = db.execute("SELECT address FROM object WHERE needs IS NOT NULL")
            return addresses.difference(address for (address,) in known)

    def reachable(self, roots: set[str]) -> set[str]:
        """Return the roots and everything that is remembered to be needed by them, however deep."""
        from smalti.store.closure import closure  # numpy takes long to import: whoever collects waits for it

        known = "FROM object WHERE needs IS NOT NULL ORDER BY id"
        by_address = "SELECT id FROM object WHERE address IN (SELECT value FROM json_each(?))"
        with self._cache.transaction(writing=False) as db:
            # Column by column, so that no tuple is kept: a million of them would cost more than all the rest.
            needs = [ids for (ids,) in db.execute(f"SELECT needs {known}")]
            start = [id_ for (id_,) in db.execute(by_address, (json.dumps(sorted(roots)),))]
            own, live = closure(needs, start)
            found = set(compress([a for (a,) in db.execute(f"SELECT address {known}")], live[own].tolist()))
            unknown = db.execute("SELECT id, address FROM object WHERE needs IS NULL")
            found.update(address for id_, address in unknown if id_ < len(live) and live[id_])
        found |= roots
        return found

    def forget(self, addresses: Sequence[str]) -> None:
        """Remember objects no longer."""
        known = "(SELECT id FROM object WHERE address IN (SELECT value FROM json_each(?)))"
        with self._cache.transaction() as db:
            db.execute(f"DELETE FROM hook WHERE object IN {known}", (json.dumps(addresses),))
            db.execute(f"UPDATE object SET stamp = '', needs = NULL WHERE id IN {known}", (json.dumps(addresses),))

    def stamp(self, address: str) -> str:
        """Return how an object's file looked when it was last known to be sound; "" when that is not known."""
        with self._cache.transaction() as db:
            row = db.execute("SELECT stamp FROM object WHERE address = ?", (address,)).fetchone()
        return str(row[0]) if row else ""

    def alike(self, leaf_ids: bytes, most: int = 16) -> list[str]:
        """Return the addresses of the objects that seem to share most leaves with these, best first."""
        # A hook stands for sixteen leaves, any other leaf that a small object has remembered for itself.
        query = f"""
            SELECT address FROM hook JOIN object ON object.id = hook.object
            WHERE leaf IN (SELECT value FROM json_each(?)) GROUP BY object
            ORDER BY sum(CASE leaf % {_EVERY} WHEN 0 THEN {_EVERY} ELSE 1 END) DESC, address LIMIT ?
        """
        with self._cache.transaction(writing=False) as db:
            return [address for (address,) in db.execute(query, (json.dumps(_some(leaf_ids, _ASKED_LEAVES)), most))]

    def clear(self) -> None:
        """Forget everything."""
        with self._cache.transaction() as db:
            db.execute("DELETE FROM hook")
            db.execute("DELETE FROM object")


def _numbers(db: sqlite3.Connection, addresses: set[str]) -> dict[str, int]:
    """Return the numbers of objects, new ones where there are none yet."""
    wanted = sorted(addresses)
    db.executemany("INSERT OR IGNORE INTO object (address) VALUES (?)", ((address,) for address in wanted))
    query = "SELECT address, id FROM object WHERE address IN (SELECT value FROM json_each(?))"
    return dict(db.execute(query, (json.dumps(wanted),)))


def _packed(numbers: dict[str, int], address: str, needs: Collection[str]) -> bytes:
    """Return the number of an object and then those of what it needs, eight bytes each."""
    found = [numbers[address], *sorted(numbers[needed] for needed in needs)]
    return struct.pack(f"<{len(found)}q", *found)
