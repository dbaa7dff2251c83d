"""Objects over any backend: records, content, verification and near-duplicates, written once for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

from blake3 import blake3

from smalti.digest import is_address, leaf_id
from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.store.backends.base import Backend, file_key, folder_key
from smalti.store.format import leaf_table
from smalti.store.format import record as records
from smalti.store.format.needs import needs_of, quick_needs
from smalti.store.format.recipe import DELTA, LEAST_SAVED_NBYTES, RECIPE, Recipe, own_slices
from smalti.store.format.record import LEAVES, METADATA, Record
from smalti.store.objects.index import Index, Known, stamp_of
from smalti.store.read.assembly import load_content, load_recipe, load_record, sources_of
from smalti.store.read.content import Content, InlineContent
from smalti.store.values import Encoded

if TYPE_CHECKING:
    from pathlib import Path

    from smalti.store.objects.writer import Writer
    from smalti.store.read.reader import Reader

_SAMPLED_LEAVES = 32  # read again where a file still looks as it did when it was last read whole
_MOST_LEVELS = 3  # of objects built on one another: a reader follows no more than a few


class ObjectStore:
    """Objects by address. Each appears whole or not at all and never changes.

    Safe to use from several threads and processes at once, and after a fork: it holds no open file and no lock between
    two calls, and what it remembers lies in the index, which every process opens for itself.
    """

    def __init__(self, backend: Backend, index: Index) -> None:
        self.backend = backend
        self.index = index

    @property
    def location(self) -> str:
        """Where they are, for messages."""
        return self.backend.location

    @property
    def parallel(self) -> int:
        """How many operations side by side pay."""
        return self.backend.parallel

    def has(self, address: str) -> bool:
        """Tell whether an object is there; nothing is said of its content."""
        return self.backend.lease(address, renew=False) > 0

    def addresses(self, hex_prefix: str = "") -> Iterator[str]:
        """Yield the addresses whose digits begin with ``hex_prefix``, in order."""
        return self.backend.addresses(hex_prefix)

    def record(self, address: str) -> Record:
        """Return what is known of an object.

        Raises:
            NotFound: there is no such object.
            Damaged: its record is not what was written.
        """
        try:
            return load_record(self.backend, address)
        except NotFound:
            if self.has(address):
                raise Damaged(f"{METADATA} of {address} is missing; restore it from another store.") from None
            raise NotFound(f"{address} is not in the store at {self.location}.") from None

    def recipe(self, record: Record) -> Recipe | None:
        """Return how a near-duplicate is put together; None for an object that is whole."""
        return None if record.is_inline else load_recipe(self.backend, record.address)

    def content(self, record: Record) -> Content:
        """Return access to an object's content.

        Raises:
            Damaged: what says where the content lies is not what was written.
        """
        return load_content(self.backend, record)

    def reader(self, record: Record, *, verify: bool = True, reopen: Callable[[], Reader] | None = None) -> Reader:
        """Return what reads an object's content and verifies it."""
        from smalti.store.read.reader import Reader  # numpy takes long to import: not every use of a store reads

        return Reader(record, self.content(record), verify=verify, reopen=reopen)

    def file(self, record: Record) -> Path | None:
        """Return the ordinary local file with an object's content; None where there is none."""
        if record.is_inline or self.recipe(record) is not None:
            return None
        path = self.backend.open(folder_key(record.address) + record.filename).path
        return path if path is not None and path.is_file() else None

    def writer(self) -> AbstractContextManager[Writer]:
        """Give what takes objects in; they are durable when the context ends well."""
        from smalti.store.objects.writer import writing

        return writing(self)

    def write(
        self, record: Record, encoded: Encoded | None, similar: Sequence[str] = (), *, repair: bool = False
    ) -> int:
        """Make an object durable and return the bytes added; see :meth:`Writer.write`."""
        with self.writer() as writer:
            writer.write(record, encoded, similar, repair=repair)
        return writer.added[record.address]

    def lease(self, address: str) -> bool:
        """Keep an object from being collected for a grace period; tell whether it is there."""
        return self.backend.lease(address) > 0

    def similar(self, record: Record, hints: Sequence[str] = ()) -> list[str]:
        """Return the objects here that seem to share most leaves with another, best first, then the hints.

        They are only hints: any of them may be gone, or damaged.
        """
        found = dict.fromkeys(self.index.similar(record.table.ids))
        for hint in hints:
            found |= dict.fromkeys([hint, *self._levels(hint)])
        return [address for address in found if address != record.address]

    def verify(self, address: str, whole: bool = True) -> Record:
        """Read an object and return its record.

        Args:
            whole: read every byte; otherwise of content that looks as it did when it was last read whole a sample.

        Raises:
            NotFound: there is no such object.
            Damaged: anything of it is not what was stored; the message names the file.
        """
        if not is_address(address):
            raise Damaged(f"{self.location}/{folder_key(address)} lies among the objects but is none; move it away.")
        record, recipe = self._verified(address, whole)
        if not whole and recipe:
            for source in sources_of(self.backend, record, recipe):  # all of them, so theirs are not asked for
                self._verified(source, whole=False)
        return record

    def _verified(self, address: str, whole: bool) -> tuple[Record, Recipe | None]:
        if self.parallel > 1:
            with suppress(Damaged):  # or a list of keys that suffered on the way
                return self._verify(address, whole)
        return self._verify(address, whole)

    def _verify(self, address: str, whole: bool) -> tuple[Record, Recipe | None]:
        folder = folder_key(address)
        files = tuple(self.backend.list(folder))
        found = {file.key.removeprefix(folder) for file in files}
        record = self.record(address)
        recipe = self.recipe(record)
        own = [] if record.is_inline else [record.filename] if recipe is None else [RECIPE, DELTA]
        expected = {*records.file_names(record), *own}
        if found != expected:
            raise Damaged(f"the folder of {address} holds {sorted(found)}, but {sorted(expected)} were stored.")
        if recipe:
            own_slices(record, recipe)
        if record.is_inline:
            _verify_inline(record)
        elif whole or not self.index.is_unchanged(address, files):
            stamp_of(files)  # as they look now: who writes to one while it is read makes it look otherwise
            self._verify_whole(record, recipe)
            self.index.remember([Known(record, recipe, files)])
        elif self.parallel == 1:  # far away, a stamp is a digest of the content
            self.reader(record).sample(_SAMPLED_LEAVES)
        return record, recipe

    def _verify_whole(self, record: Record, recipe: Recipe | None) -> None:
        reader = self.reader(record)
        if not record.table.is_in_record:
            self._check_size_of_table(record, recipe)
        reader.verify_all()
        reader.framing()

    def _check_size_of_table(self, record: Record, recipe: Recipe | None) -> None:
        """Bytes behind the table would otherwise go unnoticed."""
        kept = record.table.count
        if recipe:
            from smalti.store.format.planning import own_leaves

            kept = len(own_leaves(record, recipe))
        expected = leaf_table.offsets(record.table.count, kept)[-1]
        nbytes = self.backend.open(folder_key(record.address) + LEAVES).nbytes
        if nbytes != expected:
            raise Damaged(f"{LEAVES} of {record.address} has {nbytes} bytes, not {expected}; restore it.")

    def intact(self, address: str, whole: bool = False) -> Record | None:
        """Return the record of an object that, with what it takes leaves from, can be relied on; else None."""
        try:
            return self.verify(address, whole)
        except (Damaged, NotFound, Refused, Unavailable):
            return None

    def needs(self, address: str) -> frozenset[str]:
        """Return what an object cannot be read without, as its files say: children, and what it takes leaves from.

        Raises:
            NotFound: there is no such object.
            Damaged: its record or recipe is not what was written, or it has neither its file nor a recipe.
        """
        try:
            said = quick_needs(address, self.backend.read(file_key(address, METADATA)))
        except NotFound:
            said = None
        children, nbytes, filename = said or needs_of(self.record(address))
        if nbytes < LEAST_SAVED_NBYTES or not filename:
            return children
        for _ in range(2):  # a repair may take the one form for the other meanwhile
            if recipe := load_recipe(self.backend, address):
                return children.union(recipe.sources)
            if file_key(address, filename) in (entry.key for entry in self.backend.list(folder_key(address))):
                return children
        self.record(address)  # raises where it was removed meanwhile
        raise Damaged(f"{filename} of {address} is missing; put the same value again, or restore it.")

    def nbytes_stored(self, address: str) -> int:
        """Return the bytes that removing an object would free."""
        return sum(entry.nbytes for entry in self.backend.list(folder_key(address)))

    def remove(self, leased: dict[str, float]) -> set[str]:
        """Remove objects unless a put has found them since; see :meth:`Backend.remove`."""
        self.index.forget(leased)
        return self.backend.remove(leased)

    def rebuild_index(self) -> None:
        """Make anew whatever is remembered only to be quicker; what cannot be read is left out."""
        self.index.clear()
        for address in self.addresses():
            try:
                record = self.record(address)
                self.index.remember([Known(record, self.recipe(record))])
            except (Damaged, NotFound, Refused):
                continue

    def _levels(self, address: str) -> list[str]:
        """Return what an object takes leaves from, as far as that can be read."""
        try:
            recipe = load_recipe(self.backend, address)
        except (Damaged, Refused):
            return []
        return list(recipe.sources) if recipe else []


def _verify_inline(record: Record) -> None:
    """Verify content that lies in the record; numpy takes long to import, and small objects do without."""
    if not record.filename:
        return
    content = InlineContent(record.content, record.buffers)
    data = bytearray(record.nbytes)
    content.read_into(0, memoryview(data))
    at = 0
    for leaf, nbytes in leaf_table.parsed(record.table.top):
        if leaf_id(bytes(data[at : at + nbytes])) != leaf:
            raise Damaged(f"the content in {METADATA} of {record.address} is not what was stored; restore it.")
        at += nbytes
    of_bytes = record.kind != "bytes" or hashlib.sha256(data).hexdigest() == record.header.get("sha256")
    if not of_bytes or blake3(content.framing()).hexdigest() != record.framing:
        raise Damaged(f"the file in {METADATA} of {record.address} is not what was stored; restore it.")
