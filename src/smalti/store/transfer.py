"""Moving values between two stores: only what is missing, children before trees, names last.

Interrupted at any point, the target holds whole values only, and the next transfer goes on with what is still missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from smalti.store.backend import Objects
from smalti.store.names import Names
from smalti.store.reader import Reader
from smalti.store.record import Record
from smalti.store.values import Buffer, Encoded

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True, slots=True)
class TransferReport:
    """What a transfer did.

    Attributes:
        needed: objects that the names and values lead to.
        sent: objects that were missing in the target and are there now.
        nbytes: bytes that the target grew by.
        names: names that stand for the same value in both stores now.
    """

    needed: int
    sent: int
    nbytes: int
    names: tuple[str, ...]


def transfer(
    source: tuple[Objects, Names],
    target: tuple[Objects, Names],
    addresses: Iterable[str],
    names: Iterable[str],
    progress: Progress | None = None,
) -> TransferReport:
    """Bring values and names from one store to another, each object verified as it is read.

    Args:
        source, target: objects and names of the two stores.
        addresses: values to bring, whatever they are called.
        names: names to bring, with the value each stands for now.
        progress: called with objects done, objects to do and bytes added so far.

    Raises:
        NotFound: the source has no such value or name.
        Damaged: an object of the source is not what was stored; what was sent until then is whole.
        Unavailable: the target could not be written; the same call again goes on from there.
    """
    (objects, source_names), (target_objects, target_names) = source, target
    stands_for = {version.name: version.address for version in source_names.all() if version.name in set(names)}
    records = _closure(objects, {*addresses, *stands_for.values()})
    missing = [record for record in records if not target_objects.has(record.address)]
    done = nbytes = 0

    def send(record: Record) -> int:
        return target_objects.write(record, encoded_of(objects, record) if record.filename else None)

    with ThreadPoolExecutor(target_objects.writes_at_once) as pool:
        # Trees after everything else, deepest first, so that the target never has a tree without its children.
        flat = [record for record in missing if record.filename]
        trees = [record for record in missing if not record.filename]
        for batch in (pool.map(send, flat), map(send, trees)):
            for added in batch:
                done, nbytes = done + 1, nbytes + added
                if progress:
                    progress(done, len(missing), nbytes)
    for name, address in sorted(stands_for.items()):
        target_names.give(name, address)
    return TransferReport(len(records), len(missing), nbytes, tuple(sorted(stands_for)))


def absent(objects: Objects, target: Objects, addresses: Iterable[str]) -> list[str]:
    """Return the objects that these values need and the target lacks."""
    return [record.address for record in _closure(objects, set(addresses)) if not target.has(record.address)]


def _closure(objects: Objects, roots: set[str]) -> list[Record]:
    """Return the records of the roots and of everything below them, children before parents."""
    found: dict[str, Record] = {}
    stack = [(address, False) for address in sorted(roots, reverse=True)]
    while stack:
        address, below_is_done = stack.pop()
        if address in found:
            continue
        record = objects.record(address)
        if below_is_done or not record.children:
            found[address] = record
        else:
            stack += [(address, True), *((child, False) for child in record.children.values())]
    return list(found.values())


def encoded_of(objects: Objects, record: Record) -> Encoded:
    """Return an object as it was when it was put: framing and verified buffers, in the order of its file."""
    content = objects.content(record)
    pieces: list[bytes | Buffer] = []
    framing, position = content.framing(), 0
    for (offset, _), data in zip(record.buffers, Reader(record, content).whole(), strict=True):
        before = offset - position
        pieces += [framing[:before], Buffer(data)]
        framing, position = framing[before:], offset + data.nbytes
    return Encoded(record.header, record.filename, (*pieces, framing))
