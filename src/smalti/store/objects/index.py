"""What a store remembers so as not to look twice: which object holds which leaf, and which files were intact when.

A cache. Everything in it follows from the files, so it may be absent, stale, locked, of another version or damaged at
any time: then nothing is known, near-duplicates are stored whole, and what is put again is read again. Nothing that
could be lost is decided by it.

Not every leaf is remembered but about one in sixteen, chosen by its id (the *hooks*). A near-duplicate shares hooks
with what it resembles; the leaf tables of the few objects found that way then tell exactly. Source: sparse indexing,
M. Lillibridge et al., FAST 2009.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from smalti.digest import LEAF_ID_NBYTES
from smalti.store.backends.base import Entry
from smalti.store.cache import Cache, cached
from smalti.store.format.recipe import Recipe
from smalti.store.format.record import Record

_FEW_LEAVES = 32  # of so few leaves every one is a hook
_EVERY = 16
_KEY = struct.Struct(f"<q{LEAF_ID_NBYTES - 8}x")
_ASKED_LEAVES = 1024  # so many are all asked for: a small object keeps leaves that are no hooks of a large one
_MOST_SIMILAR = 16


@dataclass(frozen=True, slots=True)
class Known:
    """An object that was written or read whole, and its files as they looked then; none say nothing about that."""

    record: Record
    recipe: Recipe | None
    files: tuple[Entry, ...] = ()

    @property
    def stamp(self) -> str:
        """What is another once any of its files is written to, replaced or renamed."""
        return stamp_of(self.files)

    def hooks(self) -> list[int]:
        """Return which leaves of its own file to remember, each as the first eight bytes of its id."""
        if not self.record.filename or self.record.is_inline:
            return []
        if self.recipe is None:
            return _some(self.record.table.ids, _FEW_LEAVES)
        from smalti.store.format.planning import own_leaves  # numpy takes long to import

        return _some(own_leaves(self.record, self.recipe).ids.tobytes(), _FEW_LEAVES)


def stamp_of(files: Sequence[Entry]) -> str:
    """Return how files look, in one text; "" for none."""
    return "; ".join(f"{file.key.rpartition('/')[2]} {file.stamp}" for file in files)


def _some(leaf_ids: bytes, few: int) -> list[int]:
    """Return every leaf where they are few, else the hooks among them."""
    keys = [key for (key,) in _KEY.iter_unpack(leaf_ids)]
    return sorted({key for key in keys if key % _EVERY == 0 or len(keys) <= few})


def _weight(leaf: int) -> int:
    """Return how many leaves one stands for: a hook for sixteen, any other that a small object has for itself."""
    return 1 if leaf % _EVERY else _EVERY


class Index(Protocol):
    """What an object store asks of its index; nothing here raises."""

    def similar(self, leaf_ids: bytes) -> list[str]:
        """Return the addresses of the objects that seem to share most leaves with these, best first."""

    def is_unchanged(self, address: str, files: Sequence[Entry]) -> bool:
        """Tell whether an object's files look as they did when they were last known to be intact."""

    def remember(self, objects: Iterable[Known]) -> None:
        """Remember objects."""

    def forget(self, addresses: Iterable[str]) -> None:
        """Remember objects no longer."""

    def clear(self) -> None:
        """Forget everything."""


class MemoryIndex:
    """An index that ends with the process."""

    def __init__(self) -> None:
        self._stamps: dict[str, str] = {}
        self._holders: dict[int, set[str]] = {}

    def similar(self, leaf_ids: bytes) -> list[str]:
        shared: Counter[str] = Counter()
        for leaf in _some(leaf_ids, _ASKED_LEAVES):
            for address in list(self._holders.get(leaf, ())):
                shared[address] += _weight(leaf)
        return [address for address, _ in sorted(shared.items(), key=lambda item: (-item[1], item[0]))][:_MOST_SIMILAR]

    def is_unchanged(self, address: str, files: Sequence[Entry]) -> bool:
        return self._stamps.get(address) == stamp_of(files)

    def remember(self, objects: Iterable[Known]) -> None:
        for known in objects:
            if known.stamp:
                self._stamps[known.record.address] = known.stamp
            for leaf in known.hooks():
                self._holders.setdefault(leaf, set()).add(known.record.address)

    def forget(self, addresses: Iterable[str]) -> None:
        gone = set(addresses)
        for address in gone:
            self._stamps.pop(address, None)
        for holders in list(self._holders.values()):
            holders.difference_update(gone)

    def clear(self) -> None:
        self._stamps.clear()
        self._holders.clear()


class LocalIndex:
    """An index in the file ``index.sqlite``; safe to use from several threads and processes at once."""

    def __init__(self, path: Path) -> None:
        self._cache = Cache(path)

    def similar(self, leaf_ids: bytes) -> list[str]:
        if not leaf_ids:
            return []
        query = f"""
            SELECT address FROM hook JOIN object ON object.id = hook.object
            WHERE leaf IN (SELECT value FROM json_each(?)) GROUP BY object
            ORDER BY sum(CASE leaf % {_EVERY} WHEN 0 THEN {_EVERY} ELSE 1 END) DESC, address LIMIT {_MOST_SIMILAR}
        """
        asked = json.dumps(_some(leaf_ids, _ASKED_LEAVES))
        return cached(self._cache, [], lambda db: [address for (address,) in db.execute(query, (asked,))])

    def is_unchanged(self, address: str, files: Sequence[Entry]) -> bool:
        query = "SELECT 1 FROM object WHERE address = ? AND stamp = ?"
        asked = (address, stamp_of(files))
        return cached(self._cache, False, lambda db: db.execute(query, asked).fetchone() is not None)

    def remember(self, objects: Iterable[Known]) -> None:
        some = [(known.record.address, known.stamp, known.hooks()) for known in objects]

        def write(db: sqlite3.Connection) -> None:
            new = "INSERT INTO object (address, stamp) VALUES (?, ?) ON CONFLICT (address) DO UPDATE SET stamp = "
            new += "coalesce(nullif(excluded.stamp, ''), stamp)"
            db.executemany(new, ((address, stamp) for address, stamp, _ in some))
            hook = "INSERT OR IGNORE INTO hook SELECT ?, id FROM object WHERE address = ?"
            db.executemany(hook, ((leaf, address) for address, _, leaves in some for leaf in leaves))

        cached(self._cache, None, write, writing=True)

    def forget(self, addresses: Iterable[str]) -> None:
        some = json.dumps(list(addresses))

        def write(db: sqlite3.Connection) -> None:
            known = "(SELECT id FROM object WHERE address IN (SELECT value FROM json_each(?)))"
            db.execute(f"DELETE FROM hook WHERE object IN {known}", (some,))
            db.execute("DELETE FROM object WHERE address IN (SELECT value FROM json_each(?))", (some,))

        cached(self._cache, None, write, writing=True)

    def clear(self) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM hook")
            db.execute("DELETE FROM object")

        cached(self._cache, None, write, writing=True)
