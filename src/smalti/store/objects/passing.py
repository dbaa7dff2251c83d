"""A large object on its way in, hashed block by block: each block is copied, hashed and handed on to be written."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from smalti import digest
from smalti.store.format import leaf_table
from smalti.store.format.record import Record
from smalti.store.objects.hashing import Bytes, finished
from smalti.store.segments import Segments
from smalti.store.threads import in_parallel, threads
from smalti.store.values import MIN_LEAF_NBYTES, Buffer, Encoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PASSING_NBYTES = 1024 * 1024  # stays in a cache from the copy over the hash to the write
_HASHING_AHEAD = 4  # blocks
_LEAD_NBYTES = 64  # before a block, so that whether a row of it may end a leaf can be told


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
        return finished(self._encoded, b"".join(self._entries), self._sha256.hexdigest() if self._sha256 else None)

    def _pass(self) -> Iterator[Bytes]:
        for piece in self._encoded.pieces:
            if not isinstance(piece, Buffer):
                yield piece
            elif piece.row_nbytes >= MIN_LEAF_NBYTES:
                yield from self._pass_long_rows(piece)
            else:
                yield from self._pass_short_rows(piece)

    def _pass_long_rows(self, buffer: Buffer) -> Iterator[Bytes]:
        assert self._sha256 is None, "it is of opaque bytes, whose rows are short"
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
        at, kept = 0, b""
        for data, before, seen in in_parallel(looked_at, range(0, buffer.data.nbytes, step)):
            block = data[before:]
            ends = seen
            if data[:before] != kept[-before:]:  # it was written to meanwhile; the cuts follow from what is kept
                begin = memoryview(kept[-before:] + bytes(block[:lead]))
                first = [at - before + end for end in candidate_ends(begin, buffer.row_nbytes) if end > before]
                ends = [*first, *(end for end in seen if end > at + lead)]
            at, kept = at + len(block), bytes(block[-lead:])
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
