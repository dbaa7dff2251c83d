"""The store people use: values in, references out; a reference, a name or a digest in, verified values out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti import digest
from smalti.errors import Ambiguous, NotFound, Refused
from smalti.store import identity
from smalti.store.backends.base import Backend
from smalti.store.commit import create_file, machine_errors, spool
from smalti.store.documents import Documents
from smalti.store.format.record import Record
from smalti.store.maintenance.upkeep import LooksAfterItself
from smalti.store.manifests import Manifests
from smalti.store.names import Names, NameVersion, check_name
from smalti.store.objects.index import Index, MemoryIndex
from smalti.store.objects.object_store import ObjectStore
from smalti.store.objects.taking import Codecs, Taken, take
from smalti.store.objects.writer import Writer
from smalti.store.pins import Pins
from smalti.store.values import Ref, Tree

if TYPE_CHECKING:  # what not every use of a store needs is imported by the methods that do; numpy among it takes long
    from smalti.store.read.reader import Reader


class Store(LooksAfterItself):
    """A content-addressed store: equal values are stored once, every read is verified.

    Everywhere a reference is wanted, a ``Ref``, a name, ``sha256:<hex>`` or a unique prefix of at least
    eight hexadecimal digits will do.
    """

    def __init__(
        self,
        backend: Backend,
        codecs: Codecs,
        index: Index | None = None,
        manifests: Manifests | None = None,
        reopen: Callable[[], Store] | None = None,
    ) -> None:
        """Take a backend and the codecs.

        Args:
            index, manifests: remember things only to be quicker; by default they end with the process.
            reopen: opens this store in another process; without, it cannot be pickled.
        """
        self._reopen = reopen
        self._backend = backend
        self._codecs = codecs
        self._index = index or MemoryIndex()
        self._of_runs = manifests
        self._is_there = False

    def __reduce__(self) -> tuple[Callable[..., Store], tuple[Callable[[], Store]]]:
        """Return how to open the store again, as in a process that is spawned.

        Raises:
            Refused: it is in the memory of this process.
        """
        if self._reopen is None:
            raise Refused(f"the store {self.place} cannot be pickled: no other process sees it; put it in a folder.")
        return _reopened, (self._reopen,)

    @cached_property
    def _all_objects(self) -> ObjectStore:
        return ObjectStore(self._backend, self._index)

    @cached_property
    def _all_documents(self) -> Documents:
        return Documents(self._backend)

    @property
    def _objects(self) -> ObjectStore:
        self._check_there()
        return self._all_objects

    @property
    def _documents(self) -> Documents:
        self._check_there()
        return self._all_documents

    @property
    def _names(self) -> Names:
        return Names(self._documents)

    @property
    def _manifests(self) -> Manifests:
        self._check_there()
        if self._of_runs is None:
            self._of_runs = Manifests(self._all_documents)
        return self._of_runs

    def init(self) -> None:
        """Make an empty store, unless there is one; whatever is written makes it, too.

        Raises:
            Refused: what lies there is of a format that this version does not write.
            Unavailable: the machine did not let it be written.
        """
        if not self._is_there:
            identity.create(self._all_documents, self._all_objects)
            self._is_there = True

    def exists(self) -> bool:
        """Tell whether there is a store, and not only a place for one.

        Raises:
            Refused: what lies there is of a format that this version does not know.
        """
        try:
            self._check_there()
        except NotFound:
            return False
        return True

    @property
    def id(self) -> str:
        """What tells this store from all others, also when it is moved: 32 hexadecimal digits."""
        return identity.check(self._all_documents)

    def _check_there(self) -> None:
        if not self._is_there:
            identity.check(self._all_documents)
            self._is_there = True

    def __repr__(self) -> str:
        return f"Store({self.place!r})"

    def _repr_html_(self) -> str:
        from smalti.store.shown import store_html

        return store_html(self.place, Names(self._all_documents), self._all_objects)

    @property
    def place(self) -> str:
        """Where the store is: a folder or a URL."""
        return self._backend.location

    def put(
        self, value: Any, name: str | None = None, *, like: Ref | str | None = None, just_put: Iterable[Ref] = ()
    ) -> Ref:
        """Store a value, durably, unless it is there already; give it a name if one is wanted.

        Args:
            like: an earlier version, by default what the name stands for: the most likely to share leaves with it. Of
                a tree, references that this version has in the same place are taken over without a look at each.
            just_put: references that a put has returned just now; in a tree they are taken over as well.

        Returns:
            The reference; ``new_bytes`` says what the put added.

        Raises:
            Refused: no codec can store the value exactly, or the name is not one; nothing was stored.
            Unavailable: the machine did not let it be written.
        """
        if name is not None:
            check_name(name)
        self.init()
        named = self._names.latest(name) if name is not None else None
        before = self.resolve(like) if like is not None else named.address if named else None
        with self._objects.writer() as writer:
            taken = self._take(value, writer, before, {ref.digest: ref.nbytes for ref in just_put})
        ref = taken.ref(writer.added)
        if name is not None:
            with machine_errors(f"naming {ref.digest} {name!r}"):
                self._names.give(name, ref.digest, named)
        return ref

    def put_all(self, values: Iterable[Any], like: Sequence[str | None] = ()) -> list[Ref]:
        """Store many values; small ones share the wait for the disk, and all are durable when this returns.

        Args:
            like: of each value the address of an earlier version, or None: see :meth:`put`.

        Raises:
            Refused: no codec can store one of them exactly; those before it may have been stored.
            Unavailable: the machine did not let one be written.
        """
        self.init()
        with self._objects.writer() as writer:
            earlier = chain(like, repeat(None))
            taken = [self._take(value, writer, before) for value, before in zip(values, earlier, strict=False)]
        return [one.ref(writer.added) for one in taken]

    def put_rows(self, blocks: Iterable[Any], name: str | None = None) -> Ref:
        """Store an array that comes as blocks of its rows, one after another: never more than one is in memory.

        Args:
            blocks: arrays (N_i, ...) of one dtype that differ in N_i only; the result has the shape (sum of N_i, ...).

        Raises:
            Refused: a block does not go with those before it, there is none, or its dtype cannot be stored exactly.
            Unavailable: the machine did not let it be written.
        """
        self.init()
        with machine_errors(f"storing rows in {self.place}"), spool(self._backend.staging) as file:
            return self.put(self._codecs.encode_rows(blocks, file), name)

    def _take(
        self, value: Any, writer: Writer, before: str | None = None, just_put: Mapping[str, int] | None = None
    ) -> Taken:
        try:
            return take(value, self._codecs, self._objects, writer, before, just_put or {})
        except RecursionError:
            raise Refused("this value is nested too deep, or holds itself; store its parts one by one.") from None

    def get(self, ref: Ref | str, *, verify: bool = True, copy: bool = False) -> Any:
        """Return a value, every byte verified. Large arrays are read-only views of the mapped file.

        Args:
            verify: off, nothing is hashed, and damage on the disk goes unnoticed; for data that was verified before.
            copy: give memory of this process's own. A view shows what becomes of the file after it was verified; one
                that is cut short ends the process.

        Raises:
            NotFound, Ambiguous: the reference fits nothing, or several things.
            Damaged: the stored bytes are not what was stored.
        """
        record = self.record(ref)
        if record.kind == "tree":
            return self._codecs.assemble(self._tree(record, lambda child: self.get(child, verify=verify, copy=copy)))
        return self._codecs.decode(record.header, self._reader(record, verify).whole(copy=copy))

    def open(self, ref: Ref | str) -> Any:
        """Return a value that reads nothing yet; what it hands out later is verified leaf by leaf.

        An array becomes a ``LazyArray``, a tree a ``Tree`` of such children, other kinds are read at once.
        """
        record = self.record(ref)
        if record.kind == "tree":
            return self._tree(record, self.open)
        return self._codecs.lazy(record.header, self._reader(record).hold())

    def reader(self, ref: Ref | str, *, verify: bool = True) -> Reader:
        """Return what reads any part of an object's content, verified leaf by leaf; of a tree there is none."""
        return self._reader(self.record(ref), verify)

    def _reader(self, record: Record, verify: bool = True) -> Reader:
        reopen = partial(self.reader, record.address, verify=verify)
        return self._objects.reader(record, verify=verify, reopen=reopen)

    def resolve(self, ref: Ref | str) -> str:
        """Return the address that a reference means.

        Raises:
            NotFound, Ambiguous: it fits nothing, or several things.
        """
        if isinstance(ref, Ref):
            return ref.digest
        if digest.is_address(ref):
            return ref
        prefix = digest.hex_prefix(ref)
        if not ref.startswith(digest.PREFIX):
            names = self._names
            with suppress(Refused):  # not a name at all
                if named := names.latest(ref):
                    return named.address
        fitting = list(self._objects.addresses(prefix)) if prefix else []
        if len(fitting) > 1:
            raise Ambiguous(
                f"{ref!r} fits {len(fitting)} objects in {self.place}, {fitting[0]} among them; give more digits."
            )
        if not fitting:
            raise NotFound(f"{ref!r} is neither a name nor a digest (8 digits or more) in the store at {self.place}.")
        return fitting[0]

    def record(self, ref: Ref | str) -> Record:
        """Return what is known of an object without reading its content."""
        address = self.resolve(ref)
        try:
            return self._objects.record(address)
        except NotFound as error:
            if not (uses := self._manifests.released_uses(address)):
                raise
            runs = [use.run for use in uses if use.role == "wrote"]
            again = f"run {' or '.join(runs)} again to make it" if runs else "no run of this store wrote it"
            raise NotFound(f"{address} was released with the run {uses[0].run} and collected; {again}.") from error

    def ref(self, ref: Ref | str) -> Ref:
        """Return the full reference for any form of one."""
        record = self.record(ref)
        return Ref(record.address, record.kind, record.nbytes)

    def file(self, ref: Ref | str) -> Path | None:
        """Return the ordinary local file with an object's content; None for a tree, and where there is no such file."""
        return self._objects.file(self.record(ref))

    def write_file(self, ref: Ref | str, path: Path) -> None:
        """Write the ordinary file of an object (``.npy``, ``.arrow``, ...), verified; never over another file.

        Raises:
            Refused: the value is a tree, or there is a file already.
            Unavailable: the machine did not let it be written.
        """
        from smalti.store.maintenance.transfer import encoded_of

        record = self.record(ref)
        if record.kind == "tree":
            raise Refused(f"{record.address} is a tree and has no file of its own; write its children.")
        pieces = self._codecs.file_of(record.header) or encoded_of(self._objects, record).file
        with machine_errors(f"writing {path}"):
            if not create_file(path, pieces):
                raise Refused(f"{path} exists already; name another place.")

    def names(self) -> Iterator[NameVersion]:
        """Yield the latest version of every name, in order."""
        return self._names.all()

    def versions(self, name: str) -> list[NameVersion]:
        """Return every version of a name, oldest first."""
        return self._names.versions(name)

    def forget(self, name: str, keep_last: int = 0) -> None:
        """Take a name away, all its versions but the newest ``keep_last``.

        The values stay until ``gc`` finds that nothing else needs them.
        """
        self._names.forget(name, keep_last)

    def pin(self, ref: Ref | str) -> None:
        """Keep a value whether or not it has a name.

        Raises:
            NotFound, Ambiguous: the reference fits nothing, or several things.
        """
        address = self.resolve(ref)
        if not self._objects.lease(address):
            self.record(address)  # says why it is not there
            raise NotFound(f"{address} was removed from {self.place} just now; put the value again.")
        Pins(self._documents).add(address)

    def unpin(self, ref: Ref | str) -> None:
        """Take a pin away."""
        Pins(self._documents).remove(self.resolve(ref))

    def pins(self) -> list[str]:
        """Return the addresses that are pinned."""
        return Pins(self._documents).all()

    def _tree(self, record: Record, read: Callable[[str], Any]) -> Tree:
        children = {name: read(address) for name, address in record.children.items()}
        attrs = record.header.get("attrs", {})
        assert isinstance(attrs, dict)
        return Tree(children, attrs, record.header.get("type"), record.order)


def _reopened(reopen: Callable[[], Store]) -> Store:
    return reopen()
