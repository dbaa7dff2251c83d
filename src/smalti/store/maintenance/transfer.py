"""Moving values between two stores: only what is missing or damaged there, children before trees.

Interrupted at any point, the target holds whole values only, and the next transfer goes on with what is still missing.
Of an object that resembles others in the target, only the leaves that these lack are read from the source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import accumulate, chain

from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.store.format.planning import plan
from smalti.store.format.recipe import LEAST_SAVED_NBYTES, OWN, Extent
from smalti.store.format.record import Record
from smalti.store.long_work import OnProgress, Progress, in_order
from smalti.store.objects.object_store import ObjectStore
from smalti.store.objects.taking import Codecs
from smalti.store.read.content import room
from smalti.store.read.reader import Reader
from smalti.store.segments import in_one
from smalti.store.values import Buffer, Encoded

_RUNS_AT_ONCE = 8  # of leaves, fetched for one object


@dataclass(frozen=True, slots=True)
class TransferReport:
    """What a transfer did.

    Attributes:
        needed: objects that the names and values lead to.
        sent: objects that were missing in the target and are there now.
        nbytes_read: bytes of content that were read from the source.
        nbytes: bytes that the target grew by.
        names: names that stand for the same value in both stores now.
    """

    needed: int
    sent: int
    nbytes_read: int
    nbytes: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Needed:
    """Objects that some values consist of.

    Attributes:
        children: of each address, what a tree names.
        nbytes: of each address, the size of the object's own content.
    """

    children: dict[str, tuple[str, ...]]
    nbytes: dict[str, int]

    def generations(self) -> Iterator[tuple[str, ...]]:
        """Yield the addresses, each generation after all that it needs."""
        order = TopologicalSorter(self.children)
        order.prepare()
        while generation := order.get_ready():
            yield generation
            order.done(*generation)


def transfer(
    source: ObjectStore,
    target: ObjectStore,
    addresses: Iterable[str],
    codecs: Codecs,
    progress: OnProgress | None = None,
) -> TransferReport:
    """Bring values from one store to another, each object verified and checked as it is read.

    Args:
        addresses: of the values.
        codecs: what knows which content and file belong to a header.
        progress: called after each object.

    Raises:
        NotFound: the source has no such value.
        Damaged: an object of the source is not what was stored, or not what its header says; what was sent until then
            is whole.
        Unavailable: the target could not be written; the same call again goes on from there.
    """
    needed = needed_by(source, set(addresses))
    # What is there already is kept from a collection at work before the names are given; what is damaged is sent again.
    present = in_order(lambda address: _is_kept(target, address), needed.children, target.parallel)
    missing = {address for address, there in zip(needed.children, present, strict=True) if not there}
    of_nbytes = sum(needed.nbytes[address] for address in missing)
    generations = [sorted(missing.intersection(generation)) for generation in needed.generations()]
    added: dict[str, int] = {}
    done = done_nbytes = nbytes_read = 0
    with closing(_send(source, target, codecs, generations, needed.nbytes, added)) as sent:
        for fetched in sent:
            done, done_nbytes = done + 1, done_nbytes + needed.nbytes[fetched.record.address]
            nbytes_read += fetched.nbytes_read
            if progress:
                progress(Progress(done, len(missing), done_nbytes, of_nbytes))
    return TransferReport(len(needed.children), len(missing), nbytes_read, sum(added.values()), ())


def restore(source: ObjectStore, target: ObjectStore, address: str, codecs: Codecs) -> None:
    """Write a damaged or missing object anew from another store, after what is missing of those below it.

    What is there stays until its replacement is written.

    Raises:
        NotFound, Damaged: the source has no sound copy.
        Unavailable: the target could not be written.
    """
    fetched = _fetch(source, target, codecs, address)
    for child in fetched.record.children.values():
        if not target.has(child):
            restore(source, target, child, codecs)
    target.write(fetched.record, fetched.encoded, fetched.similar, repair=True)
    target.verify(address)


def _is_kept(objects: ObjectStore, address: str) -> bool:
    """Renew an object's lease, and tell whether it is there and intact."""
    return objects.lease(address) and objects.intact(address) is not None


def needed_by(objects: ObjectStore, roots: set[str]) -> Needed:
    """Return the roots and everything below them, from their records."""
    found = Needed({}, {})
    generation = sorted(roots)
    while generation:
        for record in in_order(objects.record, generation, objects.parallel):
            found.children[record.address] = tuple(record.children.values())
            found.nbytes[record.address] = record.content_nbytes
        below = {child for address in generation for child in found.children[address]}
        generation = sorted(below - found.children.keys())
    return found


@dataclass(frozen=True, slots=True)
class _Fetched:
    """An object of the source, verified, to be written to the target.

    Attributes:
        similar: objects of the target that have some of its leaves.
        nbytes_read: bytes of its content that were read from the source.
    """

    record: Record
    encoded: Encoded | None = None
    similar: Sequence[str] = ()
    nbytes_read: int = 0


def _send(
    source: ObjectStore,
    target: ObjectStore,
    codecs: Codecs,
    generations: Sequence[Sequence[str]],
    nbytes: dict[str, int],
    added: dict[str, int],
) -> Generator[_Fetched, None, None]:
    """Bring objects over, generation by generation; yield each, and put down what it added to the target."""

    def fetch(address: str) -> _Fetched:
        return _fetch(source, target, codecs, address)

    def send(address: str) -> _Fetched:
        fetched = fetch(address)
        added[address] = target.write(fetched.record, fetched.encoded, fetched.similar)
        return fetched

    if target.parallel > 1:
        for generation in generations:
            yield from in_order(send, generation, target.parallel, nbytes.__getitem__)
        return
    with target.writer() as writer:
        for fetched in in_order(fetch, chain(*generations), source.parallel, nbytes.__getitem__):
            record = fetched.record
            if record.nbytes >= LEAST_SAVED_NBYTES and record.filename:
                added[record.address] = target.write(record, fetched.encoded, fetched.similar)
            else:
                writer.write(record, fetched.encoded, fetched.similar)
            yield fetched
    added |= writer.added


def _fetch(source: ObjectStore, target: ObjectStore, codecs: Codecs, address: str) -> _Fetched:
    """Read an object of the source and check it; nothing that the source says is trusted.

    Raises:
        NotFound, Damaged: it is not there, or not what was stored, or not what its header says.
    """
    try:
        fetched = _read(source, target, address)
        if fetched.encoded:
            framing = b"".join(piece for piece in fetched.encoded.pieces if isinstance(piece, bytes))
            buffers = [in_one(buffer.data) for buffer in fetched.encoded.buffers]
            offsets = [offset for offset, _ in fetched.record.buffers]
            codecs.check_object(fetched.record.header, buffers, framing, offsets)
        elif fetched.record.kind != "tree":
            codecs.check_header(fetched.record.header, [])
    except (NotFound, Unavailable):
        raise
    except (Damaged, Refused) as error:
        raise Damaged(f"{address} was not taken from {source.location}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise Damaged(f"{address} was not taken from {source.location}: it is no object ({error}).") from error
    return fetched


def _read(source: ObjectStore, target: ObjectStore, address: str) -> _Fetched:
    record = source.record(address)
    if not record.filename:
        return _Fetched(record)
    hints = sorted(source.needs(address))
    similar = target.similar(record, hints) if record.content_nbytes >= LEAST_SAVED_NBYTES else []
    ours = source.reader(record)
    theirs: dict[str, Reader] = {}
    if target.parallel == 1:  # else reading there is traffic, too
        for other in similar:
            with suppress(NotFound, Damaged, Refused):  # then it is of no use
                theirs[other] = target.reader(target.record(other))
    recipe = plan(record, 0, list(theirs), lambda other: theirs[other].record.table.all) if theirs else None
    if recipe is None:
        return _Fetched(record, encoded_of(source, record), similar, record.nbytes)
    whole = room(record.nbytes)

    def read(run: tuple[Extent, int]) -> int:
        extent, end = run
        place = whole[end - extent.nbytes : end]
        if extent.source != OWN:
            with suppress(Damaged):
                theirs[recipe.sources[extent.source]].read_content(extent.start, place)
                return 0
        ours.read_content(end - extent.nbytes, place)
        return extent.nbytes

    runs = zip(recipe.extents, accumulate(extent.nbytes for extent in recipe.extents), strict=True)
    nbytes_read = sum(in_order(read, runs, _RUNS_AT_ONCE if source.parallel > 1 else 1))
    if record.kind == "bytes" and hashlib.sha256(whole).hexdigest() != record.header.get("sha256"):
        raise Damaged(f"the content of {address} has another SHA-256 than its header says; its leaves are forged.")
    ends = accumulate(nbytes for _, nbytes in record.buffers)
    buffers = [whole[end - nbytes : end] for (_, nbytes), end in zip(record.buffers, ends, strict=True)]
    return _Fetched(record, _encoded(record, ours.framing(), buffers), similar, nbytes_read)


def encoded_of(objects: ObjectStore, record: Record) -> Encoded:
    """Return an object as it was when it was put: framing and verified buffers, in the order of its file."""
    reader = objects.reader(record)
    return _encoded(record, reader.framing(), reader.whole())


def _encoded(record: Record, framing: bytes, buffers: list[memoryview]) -> Encoded:
    pieces: list[bytes | Buffer] = []
    position = 0
    for (offset, _), data in zip(record.buffers, buffers, strict=True):
        before = offset - position
        pieces += [framing[:before], Buffer(data)]
        framing, position = framing[before:], offset + data.nbytes
    return Encoded(record.header, record.filename, (*pieces, framing))
