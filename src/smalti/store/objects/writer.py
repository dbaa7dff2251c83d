"""Taking objects in, the way of a put from top to bottom: hash, look whether it is there, plan, write.

1. The content is cut and hashed; that gives the record, and its address (``hashing``). A large object is written while
   it is hashed, unless its first leaves are known: then most of it may be here already.
2. Where the object is there, its lease is renewed and it is verified, as far as its files do not look as they did when
   they were last. An intact one is all that is wanted; a damaged one is replaced once the new one is written.
3. An object that shares leaves with others is planned as a near-duplicate (``planning``): a recipe and its new leaves.
4. The backend makes a batch durable and visible; what is published is remembered in the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from smalti.errors import Damaged
from smalti.store.backends.base import Batch, Draft, folder_key
from smalti.store.format import recipe as recipes
from smalti.store.format.recipe import DELTA, LEAST_SAVED_NBYTES, Recipe
from smalti.store.format.record import Record
from smalti.store.objects.hashing import CheckedObject, copied, record_around, record_of
from smalti.store.objects.index import Known
from smalti.store.objects.passing import PassingObject
from smalti.store.values import Encoded

if TYPE_CHECKING:
    from smalti.store.objects.object_store import ObjectStore

_LARGE_NBYTES = 4 * 1024 * 1024  # from here on waiting for the disk is the smaller part
_FIRST_NBYTES = 16 * 1024 * 1024  # of a large object, hashed before it is decided whether it is written meanwhile
_MOST_DRAFTS = 1024


class Writer(Protocol):
    """What one call puts into a store.

    Attributes:
        added: address -> bytes added, 0 where an intact copy was there already; complete when the context has ended.
        parts: address of opaque bytes -> those of the arrays in them, which were taken in before.
    """

    added: dict[str, int]
    parts: dict[str, frozenset[str]]

    def put(self, encoded: Encoded, similar: Sequence[str] = ()) -> Record:
        """Hash an object, take it in, and return its record; its bytes are not looked at again afterwards.

        Args:
            similar: objects that may share leaves with it, its earlier version first.

        Raises:
            Refused: it was written to meanwhile.
            Unavailable: it could not be written; nothing was changed.
        """

    def write(
        self, record: Record, encoded: Encoded | None, similar: Sequence[str] = (), *, repair: bool = False
    ) -> None:
        """Take in an object whose record is known, after everything that it needs.

        Args:
            repair: read a copy that is there whole before it is called intact.
        """


@contextmanager
def writing(objects: ObjectStore) -> Iterator[Writer]:
    """Give a writer; what it took in is durable when the context ends well, and gone when it does not."""
    if objects.parallel > 1:
        with ThreadPoolExecutor(objects.parallel) as threads:
            several = ParallelWriter(objects, threads)
            yield several
            several.finish()
    else:
        with ExitStack() as cleanup:
            one = BatchWriter(objects, cleanup)
            yield one
            one.flush()


@dataclass(frozen=True, slots=True)
class _Drafted:
    """An object whose files are written, but neither durable nor visible."""

    record: Record
    recipe: Recipe | None
    draft: Draft
    nbytes: int
    replaces: bool


class BatchWriter:
    """Takes objects in one after another; small ones share the wait for the disk."""

    def __init__(self, objects: ObjectStore, cleanup: ExitStack) -> None:
        self.added: dict[str, int] = {}
        self.parts: dict[str, frozenset[str]] = {}
        self._objects = objects
        self._cleanup = cleanup
        self._batch: Batch | None = None
        self._drafted: dict[str, _Drafted] = {}
        self._found: set[str] = set()

    def put(self, encoded: Encoded, similar: Sequence[str] = ()) -> Record:
        if encoded.parts:
            parts = [(part.runs, self.put(part.encoded)) for part in encoded.parts]
            self.flush()
            record = record_around(encoded, parts)
            addresses = [part.address for _, part in parts]
            self.parts[record.address] = frozenset(addresses)
            self.write(record, encoded, [*addresses, *similar])
            return record
        if encoded.spooled or not encoded.filename:
            record = record_of(encoded)
        elif encoded.nbytes < _LARGE_NBYTES:
            encoded = copied(encoded)
            record = record_of(encoded)
        elif known := with_leaves_beside(self._objects, encoded, similar):
            record = record_of(encoded := known)
        elif encoded.nbytes < _LARGE_NBYTES * len(encoded.buffers):  # many small buffers are hashed side by side
            record = record_of(encoded)
        else:
            return self._put_large(encoded, similar)
        self.write(record, encoded, similar)
        return record

    def _put_large(self, encoded: Encoded, similar: Sequence[str]) -> Record:
        passing = PassingObject(encoded)
        first = passing.first(_FIRST_NBYTES)
        if not self._objects.backend.writes_ahead or self._objects.index.similar(passing.ids):
            for _ in passing.rest(copies=False):
                pass
            record = passing.record()
            self.write(record, encoded, similar)
            return record
        draft = self._begin(None)
        nbytes = draft.write(encoded.filename, chain(first, passing.rest()), encoded.file_nbytes)
        record = passing.record()
        there, damaged = self._look(record, repair=False)
        recipe = None if there else self._plan(record, encoded, similar)
        if there or recipe:
            self._discard(draft)
        if not there:
            self._draft(record, encoded, recipe, damaged, None if recipe else (draft, nbytes))
        self.flush()
        return record

    def write(
        self, record: Record, encoded: Encoded | None, similar: Sequence[str] = (), *, repair: bool = False
    ) -> None:
        there, damaged = self._look(record, repair=repair)
        if not there:
            self._draft(record, encoded, self._plan(record, encoded, similar) if encoded else None, damaged)
        # What others may take leaves from has to be known by then.
        if len(self._drafted) >= _MOST_DRAFTS or record.content_nbytes >= LEAST_SAVED_NBYTES:
            self.flush()

    def flush(self) -> None:
        """Make what was taken in durable and visible."""
        if not self._drafted and not self._found:
            return
        drafted, self._drafted = self._drafted, {}
        found, self._found = self._found, set()
        replaced = {address for address, one in drafted.items() if one.replaces}
        drafts = {address: one.draft for address, one in drafted.items()}
        published = self._begun().publish(drafts, replaced, found)
        for address in published:
            self.added[address] = drafted[address].nbytes
        with_files = [drafted[address] for address in published if not drafted[address].record.is_inline]
        self._objects.index.remember(
            Known(one.record, one.recipe, tuple(self._objects.backend.list(folder_key(one.record.address))))
            for one in with_files
        )

    def _look(self, record: Record, *, repair: bool) -> tuple[bool, bool]:
        """Tell whether an object is taken in or an intact copy of it is there, and whether there is a damaged one."""
        address = record.address
        if address in self.added:
            return True, False
        self.added[address] = 0
        if not self._objects.lease(address):
            return False, False
        if self._objects.intact(address, whole=repair) or self._objects.intact(address, whole=True):
            self._found.add(address)
            return True, False
        return False, True

    def _plan(self, record: Record, encoded: Encoded, similar: Sequence[str]) -> Recipe | None:
        return plan(self._objects, record, encoded, similar)

    def _draft(
        self,
        record: Record,
        encoded: Encoded | None,
        recipe: Recipe | None,
        replaces: bool,
        begun: tuple[Draft, int] | None = None,
    ) -> None:
        """Write the files of an object.

        Args:
            begun: a draft that holds the large file already, and its size.
        """
        if begun:
            draft, nbytes = begun
        else:
            draft, recipe = self._begin_in_form(record, encoded, recipe, replaces)
            nbytes = write_content(draft, record, encoded, recipe)
        for name, content in recipes.small_files(record, recipe).items():
            nbytes += draft.write(name, [content], len(content))
        self._drafted[record.address] = _Drafted(record, recipe, draft, nbytes, replaces)

    def _begin(self, address: str | None, form: bytes | None = None) -> Draft:
        return self._begun().draft(address, form)

    def _begin_in_form(
        self, record: Record, encoded: Encoded | None, recipe: Recipe | None, replaces: bool
    ) -> tuple[Draft, Recipe | None]:
        """Begin an object, and return in which form it is to be kept: as another who writes it has begun."""
        if replaces and not self._objects.backend.writes_ahead:
            recipe = None  # what is written over is written whole
        wanted = recipe.dump() if recipe else b""
        has_choice = not replaces and record.content_nbytes >= LEAST_SAVED_NBYTES
        draft = self._begin(record.address, wanted if has_choice else None)
        if draft.form == wanted or not has_choice:
            return draft, recipe
        if encoded and draft.form and (theirs := self._can_follow(record, encoded, draft.form)):
            return draft, theirs
        if draft.form:
            draft.insist(b"")
        return draft, None

    def _can_follow(self, record: Record, encoded: Encoded, form: bytes) -> Recipe | None:
        with suppress(Damaged):
            theirs = recipes.parse(record.address, form)
            intact = all(self._objects.lease(one) and self._objects.intact(one) for one in theirs.sources)
            if intact and theirs.framing_nbytes == len(recipes.pack_framing(encoded)):
                return theirs
        return None

    def _begun(self) -> Batch:
        if self._batch is None:
            self._batch = self._cleanup.enter_context(self._objects.backend.batch())
        return self._batch

    def _discard(self, draft: Draft) -> None:
        self._begun().discard(draft)


class ParallelWriter:
    """Takes objects in side by side where most of it is waiting for a server; none before what it needs."""

    def __init__(self, objects: ObjectStore, threads: ThreadPoolExecutor) -> None:
        self.added: dict[str, int] = {}
        self.parts: dict[str, frozenset[str]] = {}
        self._objects = objects
        self._threads = threads
        self._writing: dict[Future[int], str] = {}

    def put(self, encoded: Encoded, similar: Sequence[str] = ()) -> Record:
        if encoded.parts:
            parts = [(part.runs, self.put(part.encoded)) for part in encoded.parts]
            self.finish()
            record = record_around(encoded, parts)
            addresses = [part.address for _, part in parts]
            self.parts[record.address] = frozenset(addresses)
            self.write(record, encoded, [*addresses, *similar])
            return record
        if encoded.filename and not encoded.spooled and encoded.nbytes < _LARGE_NBYTES:
            encoded = copied(encoded)
        record = record_of(encoded)
        self.write(record, encoded, similar)
        return record

    def write(
        self, record: Record, encoded: Encoded | None, similar: Sequence[str] = (), *, repair: bool = False
    ) -> None:
        if record.address in self.added:
            return
        self.added[record.address] = 0
        if record.children or record.content_nbytes >= _LARGE_NBYTES:
            self.finish()
            self.added[record.address] = self._write(record, encoded, similar, repair)
            return
        if len(self._writing) >= self._objects.parallel:
            self._collect(wait(self._writing, return_when=FIRST_COMPLETED).done)
        self._writing[self._threads.submit(self._write, record, encoded, similar, repair)] = record.address

    def _write(self, record: Record, encoded: Encoded | None, similar: Sequence[str], repair: bool) -> int:
        with ExitStack() as cleanup:
            one = BatchWriter(self._objects, cleanup)
            one.write(record, encoded, similar, repair=repair)
            one.flush()
        return one.added[record.address]

    def finish(self) -> None:
        """Wait for everything that is being written."""
        self._collect(wait(self._writing).done)

    def _collect(self, done: Iterable[Future[int]]) -> None:
        for writing in done:
            self.added[self._writing.pop(writing)] = writing.result()


def write_content(draft: Draft, record: Record, encoded: Encoded | None, recipe: Recipe | None) -> int:
    """Write the large file of an object; return its size."""
    if encoded is None or record.is_inline:
        return 0
    checked = CheckedObject(record, encoded)
    if recipe:
        nbytes = recipe.framing_nbytes + recipe.own_nbytes
        return draft.write(DELTA, checked.delta(recipe), nbytes)
    if encoded.spooled:
        return draft.adopt(record.filename, encoded.spooled)
    return draft.write(record.filename, checked.file(), encoded.file_nbytes)


def plan(objects: ObjectStore, record: Record, encoded: Encoded, similar: Sequence[str]) -> Recipe | None:
    """Return how to keep an object as a near-duplicate of intact ones: damage must not spread."""
    if record.content_nbytes < LEAST_SAVED_NBYTES:
        return None
    from smalti.store.format.planning import own_leaves
    from smalti.store.format.planning import plan as plan_for

    found = {}
    for address in objects.similar(record, similar):
        if objects.lease(address) and (source := objects.intact(address)) and not source.is_inline:
            found[address] = source
    framing_nbytes = len(recipes.pack_framing(encoded)) if found else 0
    return plan_for(record, framing_nbytes, [*found], lambda a: own_leaves(found[a], objects.recipe(found[a])))


def with_leaves_beside(objects: ObjectStore, encoded: Encoded, similar: Sequence[str]) -> Encoded | None:
    """Return an object with its leaves, where most of its bytes may be those of an intact one that is here.

    That one's files look as they did when they were verified, and a sample was read again, as of every object that
    near-duplicates take leaves from; here all that is taken over is compared byte by byte as well.
    """
    from smalti.store.objects.hashing import with_leaves
    from smalti.store.objects.same_leaves import cached_copy, has_such_rows, leaves_beside

    buffers = encoded.buffers
    if not similar or len(buffers) != 1 or encoded.sha256 or not objects.lease(similar[0]):
        return None
    before = objects.intact(similar[0])
    if before is None or before.is_inline or not has_such_rows(encoded.header, before):
        return None
    try:
        copy = cached_copy(objects.content(before))
    except Damaged:
        return None
    return copy and with_leaves(encoded, *leaves_beside(buffers[0].data, buffers[0].row_nbytes, before, copy))
