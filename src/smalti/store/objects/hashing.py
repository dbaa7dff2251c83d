"""Hashing an object on its way in: what is hashed is what is written, because both are done from one private copy."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
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
from smalti.store.threads import in_parallel, threads
from smalti.store.values import MIN_LEAF_NBYTES, Buffer, Encoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Bytes = bytes | memoryview
Runs = tuple[tuple[int, int], ...]  # (offset, nbytes)
_BLOCK_NBYTES = 4 * 1024 * 1024
_PASSING_NBYTES = 1024 * 1024  # stays in a cache from the copy over the hash to the write
_HASHING_AHEAD = 4  # blocks
_LEAD_NBYTES = 64  # before a block, so that whether a row of it may end a leaf can be told


def copied(encoded: Encoded) -> Encoded:
    """Return a small object with its content in memory of our own, so that it cannot change any more."""
    pieces = (replace(p, data=memoryview(bytes(p.data))) if isinstance(p, Buffer) else p for p in encoded.pieces)
    return replace(encoded, pieces=tuple(pieces))


def record_of(encoded: Encoded) -> Record:
    """Cut and hash an object that is in memory; this is where its address is decided."""
    if not encoded.filename:
        from smalti.store.format.record import header_record

        return header_record(encoded.header, 0)
    record = _finish(encoded, _entries(encoded), hashlib.sha256() if encoded.sha256 else None)
    file_nbytes = sum(len(piece) if isinstance(piece, bytes) else piece.data.nbytes for piece in encoded.pieces)
    if may_be_inline(record.nbytes, file_nbytes):
        return replace(record, content=b"".join(encoded.file))
    return record


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


def _finish(encoded: Encoded, entries: bytes, sha256: Any) -> Record:
    """Return the record, given the entries of all leaves.

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
    _, spelled = canonical_header(header)
    return Record(
        address=address_of(header, spelled, table.top),
        header=header,
        canonical_header=spelled,
        nbytes=sum(nbytes for _, nbytes in spans),
        filename=encoded.filename,
        buffers=tuple(spans),
        framing=framing.hexdigest(),
        table=table,
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
    return _finish(encoded, b"".join(entries), sha256.hexdigest())


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


class PassingObject:
    """A large object that is hashed block by block while it passes by."""

    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded
        self._entries: list[bytes] = []
        self._pieces = self._pass()
        self._rooms = _Rooms()
        self._copies = self._keeps = True
        self._sha256 = _OrderedSha256() if encoded.sha256 else None

    def first(self, nbytes: int) -> list[Bytes]:
        """Return the first pieces of the file, of so many bytes or more, hashed."""
        found: list[Bytes] = []
        for piece in self._pieces:
            found.append(piece)
            nbytes -= len(piece)
            if nbytes <= 0:
                break
        return found

    def rest(self, *, copies: bool = True) -> Iterator[Bytes]:
        """Yield the other pieces; each is good until the next.

        Args:
            copies: whether the pieces are to be written; without, they are hashed where they lie.
        """
        self._copies, self._keeps = copies, False
        yield from self._pieces

    @property
    def ids(self) -> bytes:
        """The ids of the leaves that have passed."""
        return b"".join(leaf_id for entries in self._entries for leaf_id, _ in leaf_table.parsed(entries))

    def record(self) -> Record:
        """Return the record, once everything has passed."""
        return _finish(self._encoded, b"".join(self._entries), self._sha256.hexdigest() if self._sha256 else None)

    def _pass(self) -> Iterator[Bytes]:
        for piece in self._encoded.pieces:
            if not isinstance(piece, Buffer):
                yield piece
            elif piece.row_nbytes >= MIN_LEAF_NBYTES:
                yield from self._pass_long_rows(piece)
            else:
                yield from self._pass_short_rows(piece)

    def _pass_long_rows(self, buffer: Buffer) -> Iterator[Bytes]:
        row = buffer.row_nbytes
        step = max(1, _PASSING_NBYTES // row) * row

        def hashed(at: int) -> tuple[memoryview, bytes]:
            data = self._taken(buffer.data[at : at + step])
            rows = range(0, len(data), row)
            return data, b"".join(leaf_table.entry(digest.leaf_id(data[i : i + row]), row) for i in rows)

        for data, entries in in_parallel(hashed, range(0, buffer.data.nbytes, step)):
            self._entries.append(entries)
            keeps = self._keeps
            yield data
            if not keeps:
                self._rooms.release(data)

    def _pass_short_rows(self, buffer: Buffer) -> Iterator[Bytes]:
        from smalti.store.format.chunking import candidate_ends

        cutter = _Cutter(buffer.data.nbytes, buffer.row_nbytes)
        lead = -(-_LEAD_NBYTES // buffer.row_nbytes) * buffer.row_nbytes
        step = _PASSING_NBYTES // buffer.row_nbytes * buffer.row_nbytes

        def looked_at(at: int) -> tuple[memoryview, int, list[int]]:
            before = min(lead, at)
            data = self._taken(buffer.data[at - before : at + step])
            ends = [at - before + end for end in candidate_ends(data, buffer.row_nbytes) if end > before]
            return data, before, ends

        hashing: deque[tuple[Future[bytes], memoryview | None]] = deque()
        for data, before, ends in in_parallel(looked_at, range(0, buffer.data.nbytes, step)):
            block = data[before:]
            hashing.append((threads().submit(_entries_of, cutter.add(block, ends)), None if self._keeps else data))
            of_all = self._sha256.update(block) if self._sha256 else None
            yield block
            if of_all:
                of_all.result()
            if len(hashing) > _HASHING_AHEAD:
                future, done = hashing.popleft()
                self._entries.append(future.result())
                hashing[0][0].result()  # of the leaf that goes on in the next block
                if done is not None:
                    self._rooms.release(done)
        self._entries += [future.result() for future, _ in hashing]
        self._entries.append(_entries_of(cutter.finish()))

    def _taken(self, data: memoryview | Segments) -> memoryview:
        """Return content in memory of our own, unless it is not to be written."""
        if isinstance(data, Segments):
            return memoryview(bytes(data))
        return self._rooms.copy_of(data) if self._copies else data


class _Rooms:
    """Memory for copies, used again: fresh memory costs as much as the copy."""

    def __init__(self) -> None:
        self._free: list[NDArray[np.uint8]] = []
        self._ours: set[int] = set()

    def copy_of(self, data: memoryview) -> memoryview:
        import numpy as np

        from smalti.store.format.chunking import MAX_NBYTES

        try:
            room = self._free.pop()
        except IndexError:
            room = np.empty(_PASSING_NBYTES + _LEAD_NBYTES + MAX_NBYTES, np.uint8)
            self._ours.add(id(room))
        room[: len(data)] = np.frombuffer(data, np.uint8)
        return memoryview(room)[: len(data)]  # type: ignore[arg-type]  # numpy arrays are buffers

    def release(self, copy: memoryview) -> None:
        """Let the memory of a copy be used again; what is none of ours is left alone."""
        if id(copy.obj) in self._ours:
            self._free.append(copy.obj)  # type: ignore[arg-type]


def _copy_of(data: memoryview | Segments) -> memoryview:
    """Return content in memory of our own."""
    import numpy as np

    if isinstance(data, Segments):
        return memoryview(bytes(data))
    return memoryview(np.frombuffer(data, np.uint8).copy())  # type: ignore[arg-type]  # numpy arrays are buffers


def _entries_of(leaves: Sequence[Sequence[memoryview]]) -> bytes:
    return b"".join(
        leaf_table.entry(digest.leaf_id(parts[0] if len(parts) == 1 else b"".join(parts)), sum(map(len, parts)))
        for parts in leaves
    )


class _Cutter:
    """Cuts content that comes block by block at the ends it allows, as ``chunking.leaf_sizes`` does."""

    def __init__(self, nbytes: int, row_nbytes: int) -> None:
        from smalti.store.format.chunking import MAX_NBYTES

        self._nbytes = nbytes
        self._longest = MAX_NBYTES // row_nbytes * row_nbytes
        self._start = 0  # of the leaf that is not complete yet
        self._end = 0  # of what has come
        self._blocks: deque[tuple[int, memoryview]] = deque()
        self._ends: list[int] = []

    def add(self, data: memoryview, ends: list[int]) -> list[list[memoryview]]:
        """Return the leaves that are complete now, each as pieces of blocks."""
        self._blocks.append((self._end, data))
        self._end += len(data)
        at = bisect_left(self._ends, self._start + MIN_LEAF_NBYTES)
        self._ends = self._ends[at:] + ends
        leaves = []
        while True:
            at = bisect_left(self._ends, self._start + MIN_LEAF_NBYTES)
            stop = min(
                self._ends[at] if at < len(self._ends) else self._nbytes, self._start + self._longest, self._nbytes
            )
            if stop > self._end or self._start >= self._nbytes or (stop == self._nbytes and self._end < self._nbytes):
                break
            leaves.append(self._between(self._start, stop))
            self._start = stop
        while self._blocks and self._blocks[0][0] + len(self._blocks[0][1]) <= self._start:
            self._blocks.popleft()
        return leaves

    def finish(self) -> list[list[memoryview]]:
        """Return what is left as the last leaf."""
        return [self._between(self._start, self._nbytes)] if self._start < self._nbytes else []

    def _between(self, start: int, stop: int) -> list[memoryview]:
        parts = []
        for base, data in self._blocks:
            low, high = max(start - base, 0), min(stop - base, len(data))
            if low < high:
                parts.append(data[low:high])
        return parts


class _OrderedSha256:
    """A SHA-256 that is computed in a thread of its own, of pieces in the order in which they are given."""

    def __init__(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._thread = ThreadPoolExecutor(1)
        self._digest = hashlib.sha256()

    def update(self, data: Bytes) -> Future[None]:
        return self._thread.submit(self._digest.update, data)

    def hexdigest(self) -> str:
        self._thread.shutdown()
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class CheckedObject:
    """An object whose record is known, to be written: what is yielded is proven to be what was hashed."""

    record: Record
    encoded: Encoded

    def file(self) -> Iterator[Bytes]:
        """Yield the ordinary file.

        Raises:
            Refused: the content is not what was hashed: somebody wrote to it meanwhile.
        """
        base = 0
        for piece in self.encoded.pieces:
            if isinstance(piece, Buffer):
                yield from self._content(base, base + piece.data.nbytes)
                base += piece.data.nbytes
            else:
                yield piece

    def delta(self, recipe: Recipe) -> Iterator[Bytes]:
        """Yield what goes into ``delta.bin``: the framing, then the new leaves; raises as ``file`` does."""
        yield pack_framing(self.encoded)
        for start, stop in own_slices(self.record, recipe):
            yield from self._content(start, stop)

    def _content(self, start: int, stop: int) -> Iterator[Bytes]:
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
