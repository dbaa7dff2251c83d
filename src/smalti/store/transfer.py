"""Moving values between two stores: only what is missing, children before trees, names last.

Interrupted at any point, the target holds whole values only, and the next transfer goes on with what is still missing.
Of an object that resembles others in the target, only the leaves that these lack are read from the source.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from itertools import accumulate, chain

import numpy as np

from smalti.errors import Damaged, NotFound
from smalti.store.backend import Content, Objects
from smalti.store.leaf_table import Leaves, all_leaves, plan
from smalti.store.long_work import OnProgress, Progress, in_order
from smalti.store.names import HISTORIES, Names
from smalti.store.reader import Reader
from smalti.store.recipe import OWN, Extent
from smalti.store.record import Record
from smalti.store.values import Buffer, Encoded

_RUNS_AT_ONCE = 8  # of leaves, fetched for one object
_RESEMBLING_NBYTES = 256 * 1024  # so much a recipe has to save: from here on objects may take leaves from others


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
    source: tuple[Objects, Names],
    target: tuple[Objects, Names],
    addresses: Iterable[str],
    names: Iterable[str],
    progress: OnProgress | None = None,
) -> TransferReport:
    """Bring values and names from one store to another, each object verified as it is read.

    Args:
        source, target: objects and names of the two stores.
        addresses: values to bring, whatever they are called.
        names: names to bring, with the value each stands for now; that of a directory with all its versions.
        progress: called after each object.

    Raises:
        NotFound: the source has no such value or name.
        Damaged: an object of the source is not what was stored; what was sent until then is whole.
        Unavailable: the target could not be written; the same call again goes on from there.
    """
    (objects, source_names), (target_objects, target_names) = source, target
    wanted = set(names)
    stands_for = {version.name: [version.address] for version in source_names.all() if version.name in wanted}
    for name in stands_for:
        if name.startswith(HISTORIES):
            stands_for[name] = [version.address for version in source_names.versions(name)]
    needed = needed_by(objects, {*addresses, *chain.from_iterable(stands_for.values())})
    # What is there already is made young, lest a collection at work removes it before the names are given; what is
    # damaged there counts as missing.
    present = in_order(
        lambda address: target_objects.touch(address) and target_objects.is_intact(address),
        needed.children,
        target_objects.writes_at_once,
    )
    missing = {address for address, there in zip(needed.children, present, strict=True) if not there}
    of_nbytes = sum(needed.nbytes[address] for address in missing)
    generations = [sorted(missing.intersection(generation)) for generation in needed.generations()]
    added: dict[str, int] = {}
    done = done_nbytes = nbytes_read = 0
    with closing(_send(objects, target_objects, generations, needed.nbytes, added)) as sent:
        for fetched in sent:
            done, done_nbytes = done + 1, done_nbytes + needed.nbytes[fetched.record.address]
            nbytes_read += fetched.nbytes_read
            if progress:
                progress(Progress(done, len(missing), done_nbytes, of_nbytes))
    for name, given in sorted(stands_for.items()):
        there = {version.address for version in target_names.versions(name)} if name.startswith(HISTORIES) else set()
        for address in given:
            if address not in there:
                target_names.give(name, address)
    return TransferReport(
        len(needed.children), len(missing), nbytes_read, sum(added.values()), tuple(sorted(stands_for))
    )


def restore(source: Objects, target: Objects, address: str) -> None:
    """Write a damaged or missing object anew from another store, after what is missing of those below it.

    Raises:
        NotFound, Damaged: the source has no sound copy.
        Unavailable: the target could not be written.
    """
    fetched = _fetch(source, target, address)
    for child in fetched.record.children.values():
        if not target.has(child):
            restore(source, target, child)
    target.write(fetched.record, fetched.encoded, fetched.alike)
    try:
        target.verify(address)
    except Damaged:  # what the write read of it, to see whether it has to be replaced, was sound
        target.remove(address)
        target.write(fetched.record, fetched.encoded, fetched.alike)
        target.verify(address)


def needed_by(objects: Objects, roots: set[str]) -> Needed:
    """Return the roots and everything below them, from their records."""
    found = Needed({}, {})
    generation = sorted(roots)
    while generation:
        for record in in_order(objects.record, generation, objects.writes_at_once):
            found.children[record.address] = tuple(record.children.values())
            found.nbytes[record.address] = record.nbytes if record.filename else 0
        below = {child for address in generation for child in found.children[address]}
        generation = sorted(below - found.children.keys())
    return found


@dataclass(frozen=True, slots=True)
class _Fetched:
    """An object of the source, verified, to be written to the target.

    Attributes:
        alike: objects of the target that have some of its leaves.
        nbytes_read: bytes of its content that were read from the source.
    """

    record: Record
    encoded: Encoded | None = None
    alike: Sequence[str] = ()
    nbytes_read: int = 0


def _send(
    source: Objects,
    target: Objects,
    generations: Sequence[Sequence[str]],
    nbytes: dict[str, int],
    added: dict[str, int],
) -> Generator[_Fetched, None, None]:
    """Bring objects over, generation by generation; yield each, and put down what it added to the target."""

    def fetch(address: str) -> _Fetched:
        return _fetch(source, target, address)

    def send(address: str) -> _Fetched:
        fetched = fetch(address)
        added[address] = target.write(fetched.record, fetched.encoded, fetched.alike)
        return fetched

    if target.writes_at_once > 1:
        for generation in generations:
            yield from in_order(send, generation, target.writes_at_once, nbytes.__getitem__)
        return
    with target.intake() as intake:
        for fetched in in_order(fetch, chain(*generations), source.writes_at_once, nbytes.__getitem__):
            record = fetched.record
            if record.nbytes >= _RESEMBLING_NBYTES and record.filename:
                added[record.address] = target.write(record, fetched.encoded, fetched.alike)
            else:
                intake.write(record, fetched.encoded, fetched.alike)
            yield fetched
    added |= intake.added


def _fetch(source: Objects, target: Objects, address: str) -> _Fetched:
    record = source.record(address)
    if not record.filename:
        return _Fetched(record)
    alike = target.alike(record, sorted(source.needs(address))) if record.nbytes >= _RESEMBLING_NBYTES else []
    content = source.content(record)
    offered: dict[str, tuple[Record, Content]] = {}
    for other in alike:
        with suppress(NotFound, Damaged):  # then it is of no use
            kept = target.record(other)
            if (there := target.content(kept)).stays:  # else reading it is traffic, too
                offered[other] = kept, there
    recipe = plan(record, 0, list(offered), lambda a: _leaves(offered[a][0]))
    if recipe is None:
        reader = Reader(record, content)
        return _Fetched(record, _encoded(record, reader.framing(), reader.whole()), alike, record.nbytes)
    ours = _reader(record, content)
    theirs = [_reader(*offered[other]) for other in recipe.sources]
    whole = np.empty(record.nbytes, np.uint8)

    def read(run: tuple[Extent, int]) -> int:
        extent, end = run
        place = slice(end - extent.nbytes, end)
        if extent.source != OWN:
            with suppress(Damaged):
                data = theirs[extent.source].read(0, extent.start, extent.start + extent.nbytes)
                whole[place] = np.frombuffer(data, np.uint8)
                return 0
        whole[place] = np.frombuffer(ours.read(0, place.start, place.stop), np.uint8)
        return extent.nbytes

    runs = zip(recipe.extents, accumulate(extent.nbytes for extent in recipe.extents), strict=True)
    nbytes_read = sum(in_order(read, runs, 1 if content.stays else _RUNS_AT_ONCE))
    ends = accumulate(nbytes for _, nbytes in record.buffers)
    data = memoryview(whole)  # type: ignore[arg-type]  # numpy arrays are buffers
    buffers = [data[end - nbytes : end] for (_, nbytes), end in zip(record.buffers, ends, strict=True)]
    return _Fetched(record, _encoded(record, ours.framing(), buffers), alike, nbytes_read)


def _leaves(record: Record) -> Leaves:
    return all_leaves(record.leaf_ids, record.packed_sizes)


def _reader(record: Record, content: Content) -> Reader:
    """Return a reader for which the content is one buffer, as it is for recipes."""
    return Reader(replace(record, buffers=((0, record.nbytes),)), content)


def encoded_of(objects: Objects, record: Record) -> Encoded:
    """Return an object as it was when it was put: framing and verified buffers, in the order of its file."""
    reader = Reader(record, objects.content(record))
    return _encoded(record, reader.framing(), reader.whole())


def _encoded(record: Record, framing: bytes, buffers: list[memoryview]) -> Encoded:
    pieces: list[bytes | Buffer] = []
    position = 0
    for (offset, _), data in zip(record.buffers, buffers, strict=True):
        before = offset - position
        pieces += [framing[:before], Buffer(data)]
        framing, position = framing[before:], offset + data.nbytes
    return Encoded(record.header, record.filename, (*pieces, framing))
