"""Manifests that are found in tables instead of by reading each; the tables are a cache, and the documents count.

Whether the tables can answer is for each kind of place to know. Where they cannot, they are brought up to date: the
documents are listed, and those are read whose stamps are not the ones in the tables. One process at a time does it, and
a writer waits for one of its transactions at most. Where the tables cannot be had at all, every document is read.
"""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar

from smalti.errors import Damaged, NotFound, Refused, SmaltiError
from smalti.store.cache import Cache
from smalti.store.commit import machine_errors, unique_name
from smalti.store.documents import Documents
from smalti.store.long_work import in_order
from smalti.store.manifests import tables
from smalti.store.manifests.collection import Manifests
from smalti.store.manifests.lineage import Direction, Hop, walk
from smalti.store.manifests.manifest import KEPT, RELEASED, RUNNING, Use, run_of
from smalti.store.manifests.reading import PartsOf, begun_key, check_key, warn_of
from smalti.store.manifests.views import Views

Found = TypeVar("Found")
Query = Callable[[sqlite3.Connection], Found]

_TRIES = 3  # somebody may delete the tables while they are filled
_READ_TOGETHER = 16  # by one thread
_AT_ONCE = 4096  # manifests in one transaction, so that nobody waits long


class IndexedManifests(Manifests):
    """Manifests with tables beside them."""

    _threads: int  # that read documents

    def __init__(self, documents: Documents, cache: Cache, views: Views | None = None) -> None:
        super().__init__(documents, views)
        self._cache = cache

    @abstractmethod
    def _noted(self) -> str:
        """Return what is to be noted of tables that are complete now."""

    @abstractmethod
    def _answers(self, noted: str, found: object) -> bool:
        """Tell whether what was found in tables of which this was noted can be relied on."""

    def _wait_for_writers(self) -> None:
        """Wait for those at work, who leave tables behind that are complete."""

    def uses(self, address: str, parts_of: PartsOf | None = None) -> list[Use]:
        """Return the runs that read or wrote a value; see :meth:`Manifests.uses`."""
        otherwise = partial(super().uses, address, parts_of)
        if parts_of is None:
            return self._ask(lambda db: tables.uses(db, address), otherwise)

        def of_all(db: sqlite3.Connection) -> list[Use]:
            return sorted({use for one in tables.related(db, address) for use in tables.uses(db, one)})

        return self._ask_with_parts(of_all, otherwise, parts_of)

    def released_uses(self, address: str) -> list[Use]:
        """Return the released runs that read or wrote a value, in order."""
        return self._ask(lambda db: tables.uses(db, address, True), partial(super().released_uses, address))

    def lineage(
        self, address: str, direction: Direction, depth: int | None = None, parts_of: PartsOf | None = None
    ) -> list[Hop]:
        """Return how other values were made from one, or it from others; see :meth:`Manifests.lineage`."""
        otherwise = partial(super().lineage, address, direction, depth, parts_of)

        def follow(db: sqlite3.Connection) -> list[Hop]:
            passages_of = partial(tables.passages, db, direction=direction)
            if parts_of is None:
                return walk(address, direction, passages_of, depth)
            return walk(address, direction, passages_of, depth, partial(tables.related, db))

        if parts_of is None:
            return self._ask(follow, otherwise)
        return self._ask_with_parts(follow, otherwise, parts_of)

    def children(self, run: str) -> list[str]:
        """Return the runs that are parts of a run, in order."""
        return self._ask(lambda db: tables.children(db, run), partial(super().children, run))

    def newest(self, since: str = "", **wanted: str) -> list[str]:
        """Return runs, newest first; see :meth:`Manifests.newest`."""
        return self._ask(lambda db: tables.newest(db, since, wanted), partial(super().newest, since, **wanted))

    def unread(self) -> dict[str, str]:
        """Return the keys of the documents that cannot be read, and why."""
        unread = super().unread
        (found,) = self._ask(lambda db: (tables.unread(db),), lambda: (unread(),), warned=False)
        return found

    def rebuild_index(self) -> None:
        """Make the tables anew from the documents."""
        with machine_errors(f"indexing the manifests in {self._documents.location}"), self._cache.alone():
            try:
                self._clear()
            except sqlite3.DatabaseError:  # it was damaged, and is thrown away by now
                self._clear()
            self._catch_up(tables.as_of)

    def _clear(self) -> None:
        with self._cache.transaction() as db:
            tables.clear(db)

    def _ask(self, query: Query[Found], otherwise: Callable[[], Found], warned: bool = True) -> Found:
        """Return what the tables say; where they cannot be had, what is found ``otherwise``."""
        try:
            found = self._look_up(query) or self._bring_up_to_date(query)
        except SmaltiError:  # the documents cannot be listed, or read
            raise
        except (sqlite3.Error, OSError):
            found = None
        if found is None:
            return otherwise()
        if warned and found[1]:
            warn_of(self.unread())
        return found[0]

    def _look_up(self, query: Query[Found]) -> tuple[Found, bool] | None:
        """Return what the tables say and whether documents are unread; None when they cannot be relied on."""
        with self._cache.transaction(writing=False) as db:
            noted, lacks = tables.as_of(db)
            found = query(db)
            return (found, lacks) if self._answers(noted, found) else None

    def _bring_up_to_date(self, query: Query[Found], anyhow: bool = False) -> tuple[Found, bool] | None:
        """Return what the tables say once they hold what was there when this was called.

        Args:
            anyhow: also where another has done so meanwhile.
        """
        with suppress(OSError):  # it saves work, no more
            self._wait_for_writers()
        with self._cache.alone():
            found = None if anyhow else self._look_up(query)  # another may have been quicker
            for _ in range(_TRIES):
                found = found or self._catch_up(query)
            return found

    def _catch_up(self, query: Query[Found]) -> tuple[Found, bool] | None:
        """Read what is new; return what the tables say then, or None where somebody emptied them meanwhile.

        It is true of a moment after this was called, even if more was written since.
        """
        noted, at_work = self._noted(), f"at work: {unique_name()}"
        with self._cache.transaction() as db:
            known = tables.stamps(db)
            tables.set_as_of(db, at_work)
        new, unread = self._listed(known)
        keys = list(new)
        for start in range(0, len(keys), _AT_ONCE):
            some = list(self._read_all({key: new[key] for key in keys[start : start + _AT_ONCE]}, unread))
            with self._cache.transaction() as db:
                if tables.as_of(db)[0] != at_work:
                    return None
                tables.insert(db, some, known)
        gone = known.keys() - {run_of(key) for key in new.keys() - unread.keys()}
        with self._cache.transaction() as db:
            if tables.as_of(db)[0] != at_work:
                return None
            tables.remove(db, gone, known)
            tables.set_unread(db, unread)
            tables.set_as_of(db, noted)
            return query(db), bool(unread)

    def _listed(self, known: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return key -> stamp of documents that are not ``known``, and take those that are from there.

        Also return what is no document of a run, and why. What moves on may be in two folders: what was kept counts,
        then what was released.
        """
        new: dict[str, str] = {}
        no_manifests: dict[str, str] = {}
        for folder in (RUNNING, KEPT, RELEASED):  # a run that moves on comes in one of them at least
            for key, stamp in self._documents.stamps(folder):
                run = run_of(key)
                if folder != RUNNING:
                    new.pop(begun_key(run), None)
                if known.get(run) == stamp:
                    del known[run]
                elif f"{KEPT}{run}.json" not in new:
                    try:
                        check_key(key)
                    except Damaged as error:
                        no_manifests[key] = str(error)
                    else:
                        new[key] = stamp
        return new, no_manifests

    def _read_all(self, stamps: Mapping[str, str], unread: dict[str, str]) -> Iterator[tables.Read]:
        """Yield manifests; the keys of those that cannot be read are put into ``unread``, with why."""
        keys = list(stamps)

        def read(start: int) -> list[tables.Read | tuple[str, str]]:
            return [self._read_one(key, stamps[key]) for key in keys[start : start + _READ_TOGETHER]]

        for some in in_order(read, range(0, len(keys), _READ_TOGETHER), self._threads):
            for one in some:
                if isinstance(one, tables.Read):
                    yield one
                elif one[1]:
                    unread[one[0]] = one[1]

    def _read_one(self, key: str, stamp: str) -> tables.Read | tuple[str, str]:
        """Return a manifest, or its key and why it cannot be read; "" where it is gone."""
        try:
            try:
                return tables.Read(self.read(key), stamp)
            except NotFound:  # released meanwhile
                found = self._find(run_of(key))
                return tables.Read(found[0], "") if found else (key, "")
        except (Damaged, Refused) as error:
            return key, str(error)

    def _ask_with_parts(self, query: Query[Found], otherwise: Callable[[], Found], parts_of: PartsOf) -> Found:
        """Return what the tables say once it is known what every value that a run used consists of."""
        gone: set[str] = set()
        while True:
            found = self._ask(query, otherwise)
            try:
                with self._cache.transaction(writing=False) as db:
                    values = [one for one in tables.not_looked_into(db) if one not in gone]
                if not values:
                    return found
                parts = dict(zip(values, in_order(parts_of, values, self._threads), strict=True))
                gone.update(value for value, some in parts.items() if some is None)
                with self._cache.transaction() as db:
                    tables.set_parts(db, {value: some for value, some in parts.items() if some is not None})
            except sqlite3.Error:
                return otherwise()
