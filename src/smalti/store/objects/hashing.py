"""Hashing an object on its way in: what is hashed is what is written, because both are done from one private copy."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from smalti import digest
from smalti.errors import Refused
from smalti.store.format import leaf_table
from smalti.store.format.leaf_table import LeafTable
from smalti.store.format.recipe import Recipe, own_slices, pack_framing
from smalti.store.format.record import Record, address_of, canonical_header, may_be_inline
from smalti.store.segments import Segments, in_one
from smalti.store.threads import in_parallel
from smalti.store.values import MIN_LEAF_NBYTES, Buffer, Encoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Bytes = bytes | memoryview
Runs = tuple[tuple[int, int], ...]  # (offset, nbytes)
_BLOCK_NBYTES = 4 * 1024 * 1024


def copied(encoded: Encoded) -> Encoded:
    """Return a small object with its content in memory of our own, so that it cannot change any more."""
    pieces = (replace(p, data=memoryview(bytes(p.data))) if isinstance(p, Buffer) else p for p in encoded.pieces)
    return replace(encoded, pieces=tuple(pieces))


def record_of(encoded: Encoded) -> Record:
    """Cut and hash an object that is in memory; this is where its address is decided."""
    if not encoded.filename:
        from smalti.store.format.record import header_record

        return header_record(encoded.header, 0)
    return finished(encoded, _entries(encoded), hashlib.sha256() if encoded.sha256 else None)


def _entries(encoded: Encoded) -> bytes:
    buffers = encoded.buffers
    if len(buffers) == 1 and buffers[0].leaves:
        return leaf_table.entries_of(*buffers[0].leaves)
    if all(b.data.nbytes <= MIN_LEAF_NBYTES and b.row_nbytes < MIN_LEAF_NBYTES for b in buffers):
        some = ((in_one(b.data), b.data.nbytes) for b in buffers if b.data.nbytes)
        return b"".join(leaf_table.entry(digest.leaf_id(data), nbytes) for data, nbytes in some)
    from smalti.store.format.chunking import ids_of_all, leaf_sizes

    sizes = [leaf_sizes(buffer.data, buffer.row_nbytes) for buffer in buffers]
    ids = b"".join(some for some, _ in ids_of_all([(b.data, of) for b, of in zip(buffers, sizes, strict=True)]))
    import numpy as np

    return leaf_table.entries_of(ids, np.concatenate(sizes))


def finished(encoded: Encoded, entries: bytes, sha256: Any) -> Record:
    """Return the record of an object, given the entries of all its leaves.

    Args:
        sha256: of the content; one that has seen nothing yet is given the content of ``encoded``.
    """
    offset, spans, framing = 0, [], blake3()
    for piece in encoded.pieces:
        if isinstance(piece, Buffer):
            spans.append((offset, piece.data.nbytes))
            offset += piece.data.nbytes
        else:
            framing.update(piece)
            offset += len(piece)
    header = encoded.header
    if sha256 is not None:
        header = {**header, "sha256": sha256 if isinstance(sha256, str) else _sha256_of(encoded, sha256)}
    table = LeafTable.of(entries)
    plain, spelled = canonical_header(header)
    nbytes = sum(nbytes for _, nbytes in spans)
    return Record(
        address=address_of(header, spelled, table.top),
        header=header,
        plain_header=plain,
        canonical_header=spelled,
        nbytes=nbytes,
        filename=encoded.filename,
        buffers=tuple(spans),
        framing=framing.hexdigest(),
        table=table,
        content=b"".join(encoded.file) if may_be_inline(nbytes, offset) else b"",
    )


def _sha256_of(encoded: Encoded, sha256: Any) -> str:
    for buffer in encoded.buffers:
        for piece in buffer.data.pieces if isinstance(buffer.data, Segments) else [buffer.data]:
            sha256.update(piece)
    return str(sha256.hexdigest())


def record_around(encoded: Encoded, parts: Sequence[tuple[Runs, Record]]) -> Record:
    """Return the record of opaque bytes that are cut where the arrays in them are, so that both share their leaves.

    Args:
        parts: where each array lies, and its record.
    """
    import numpy as np

    (buffer,) = encoded.buffers
    assert isinstance(buffer.data, memoryview)
    data = buffer.data
    bounds = np.concatenate([[0], np.cumsum(_sizes_around(data, parts))]).tolist()

    def hashed(span: tuple[int, int]) -> tuple[memoryview, bytes]:
        low, high = span
        block = _copy_of(data[bounds[low] : bounds[high]])
        places = pairwise(at - bounds[low] for at in bounds[low : high + 1])
        return block, b"".join(leaf_table.entry(digest.leaf_id(block[a:b]), b - a) for a, b in places)

    sha256, entries = hashlib.sha256(), []
    for block, some in in_parallel(hashed, _spans(bounds)):
        sha256.update(block)
        entries.append(some)
    return finished(encoded, b"".join(entries), sha256.hexdigest())


def _sizes_around(data: memoryview, parts: Sequence[tuple[Runs, Record]]) -> NDArray[np.int64]:
    import numpy as np

    from smalti.store.format.chunking import leaf_sizes

    placed = []
    for runs, record in parts:
        start = 0
        for offset, nbytes in runs:
            placed.append((offset, nbytes, start, record))
            start += nbytes
    sizes, at = [], 0
    for offset, nbytes, start, record in sorted(placed, key=lambda one: one[0]):
        sizes.append(leaf_sizes(data[at:offset], 1))
        leaves = record.table.leaves(start, start + nbytes)
        fits = int(leaves.starts[0]) == start and int(leaves.sizes.sum()) == nbytes
        sizes.append(leaves.sizes if fits else leaf_sizes(data[offset : offset + nbytes], 1))
        at = offset + nbytes
    return np.concatenate([*sizes, leaf_sizes(data[at:], 1)])


def _copy_of(data: memoryview | Segments) -> memoryview:
    """Return content in memory of our own."""
    import numpy as np

    if isinstance(data, Segments):
        return memoryview(bytes(data))
    return memoryview(np.frombuffer(data, np.uint8).copy())  # type: ignore[arg-type]  # numpy arrays are buffers


@dataclass(frozen=True, slots=True)
class CheckedObject:
    """An object whose record is known, to be written: what is yielded is proven to be what was hashed."""

    record: Record
    encoded: Encoded

    def file(self) -> Iterable[Bytes]:
        """Return the pieces of the ordinary file, which can be gone through more than once.

        Raises:
            Refused: the content is not what was hashed: somebody wrote to it meanwhile.
        """
        spans: list[bytes | tuple[int, int]] = []
        base = 0
        for piece in self.encoded.pieces:
            if isinstance(piece, Buffer):
                spans.append((base, base + piece.data.nbytes))
                base += piece.data.nbytes
            else:
                spans.append(piece)
        return _Pieces(self, spans)

    def delta(self, recipe: Recipe) -> Iterable[Bytes]:
        """Return the pieces of ``delta.bin``: the framing, then the new leaves; raises as ``file`` does."""
        return _Pieces(self, [pack_framing(self.encoded), *own_slices(self.record, recipe)])

    def content(self, start: int, stop: int) -> Iterator[Bytes]:
        """Yield content, proven."""
        if start >= stop:
            return
        leaves = self.record.table.leaves(start, stop)
        ids, bounds = leaves.ids, [*leaves.starts.tolist(), stop]

        def checked(span: tuple[int, int]) -> memoryview:
            low, high = span
            data = _copy_of(_between(self.encoded.buffers, bounds[low], bounds[high]))
            found = b"".join(
                digest.leaf_id(data[a - bounds[low] : b - bounds[low]])
                for a, b in zip(bounds[low:high], bounds[low + 1 : high + 1], strict=True)
            )
            if found != ids[low:high].tobytes():
                raise Refused(
                    "the value was written to while it was stored; store a copy of it, or wait until it is done."
                )
            return data

        yield from in_parallel(checked, _spans(bounds))


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Pieces of a file: bytes, and content from one place to another."""

    of: CheckedObject
    spans: Sequence[bytes | tuple[int, int]]

    def __iter__(self) -> Iterator[Bytes]:
        for span in self.spans:
            if isinstance(span, bytes):
                yield span
            else:
                yield from self.of.content(*span)


def _spans(bounds: list[int]) -> Iterable[tuple[int, int]]:
    """Yield leaves some at a time, as many as make a block."""
    low, last = 0, len(bounds) - 1
    while low < last:
        high = min(last, max(low + 1, bisect_left(bounds, bounds[low] + _BLOCK_NBYTES, low)))
        yield low, high
        low = high


def _between(buffers: Sequence[Buffer], start: int, stop: int) -> memoryview | Segments:
    """Return a part of the content of several buffers."""
    base, parts = 0, []
    for data in (buffer.data for buffer in buffers):
        low, high = max(start - base, 0), min(stop - base, data.nbytes)
        if low < high:
            part = data[low:high]
            parts += part.pieces if isinstance(part, Segments) else [part]
        base += data.nbytes
    return parts[0] if len(parts) == 1 else Segments(parts)


def with_leaves(encoded: Encoded, ids: bytes, sizes: NDArray[np.int64]) -> Encoded:
    """Return an object of one buffer with its leaves."""
    known = replace(encoded.buffers[0], leaves=(ids, sizes))
    return replace(encoded, pieces=tuple(known if isinstance(p, Buffer) else p for p in encoded.pieces))
