"""Content in a bucket: fetched in the ranges asked for, large ones in parts, side by side; compressed or as it is."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np

from smalti.errors import Damaged
from smalti.store import seekable
from smalti.store.s3_bucket import PART_NBYTES, PARTS_AT_ONCE, Bucket, Part
from smalti.store.seekable import FRAME_NBYTES, SeekTable

_FETCHES = 3  # of what fails its check, until it is called damaged
_END_NBYTES = 128 * 1024  # holds the table of 8 GiB, and many a compressed file whole


class RemoteFile(Protocol):
    """A file that a key holds."""

    @property
    def nbytes(self) -> int:
        """Its size, however the key holds it."""

    @property
    def grain(self) -> int:
        """A multiple of this is where a part begins best."""

    def fetch(self, start: int, stop: int) -> tuple[int, memoryview]:
        """Return bytes ``start`` to ``stop``, perhaps with some around them, and where the first of them lies."""


class PlainFile:
    """A key that holds a file as it is."""

    grain = 1

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._nbytes = -1

    @property
    def nbytes(self) -> int:
        if self._nbytes < 0:
            found = self._bucket.head(self._key)
            self._nbytes = found["size"] if found else 0
        return self._nbytes

    def fetch(self, start: int, stop: int) -> tuple[int, memoryview]:
        part = self._bucket.read(self._key, start, stop)
        self._nbytes = part.key_nbytes
        return start, part.content


class FramedFile:
    """A key that holds a file compressed in frames, of which those that are needed are fetched."""

    grain = FRAME_NBYTES

    def __init__(self, bucket: Bucket, key: str, content_nbytes: int, what: str) -> None:
        self._bucket = bucket
        self._key = key
        self._most_nbytes = seekable.most_nbytes(content_nbytes)
        self._what = what
        self._lock = threading.Lock()
        self._opened: tuple[SeekTable, Part] | None = None

    @property
    def nbytes(self) -> int:
        for _ in range(_FETCHES - 1):
            with suppress(Damaged):
                return self._open()[0].nbytes
        return self._open()[0].nbytes

    def fetch(self, start: int, stop: int) -> tuple[int, memoryview]:
        """Frames carry checks: what fails them is fetched again, with the table, before it is called damaged."""
        for _ in range(_FETCHES - 1):
            with suppress(Damaged):
                return self._fetch(start, stop)
            with self._lock:
                self._opened = None
        return self._fetch(start, stop)

    def _fetch(self, start: int, stop: int) -> tuple[int, memoryview]:
        table, end = self._open()
        frames = table.frames(start, stop)
        if not frames:
            return start, memoryview(b"")
        low, high, held = frames[0].start, frames[-1].stop, end.key_nbytes - len(end.content)
        if low >= held:
            compressed = end.content[low - held : high - held]
        else:
            compressed = self._bucket.read(self._key, low, high).content
        return start - start % FRAME_NBYTES, seekable.decompress(compressed, frames, self._what)

    def _open(self) -> tuple[SeekTable, Part]:
        """Return the table, and the end of the key that was fetched with it."""
        with self._lock:
            if self._opened is None:
                end = self._bucket.read_end(self._key, _END_NBYTES)
                foot = end.content[-seekable.FOOT_NBYTES :]
                nbytes = seekable.table_nbytes(foot, self._most_nbytes, self._what)
                table = end.content[-nbytes:]
                if nbytes > len(table):
                    table = self._bucket.read_end(self._key, nbytes).content
                self._opened = seekable.parse_table(table, end.key_nbytes, self._what), end
            return self._opened


class RangeContent:
    """One file's buffers, fetched in the ranges asked for; of what was fetched only the last small block is kept."""

    stays = False

    def __init__(self, file: RemoteFile, where: str, buffers: Sequence[tuple[int, int]], missing: str) -> None:
        """``missing`` is the message where the file ends too early or is not there."""
        self.where = where
        self._file = file
        self._buffers = buffers
        self._missing = missing
        self._ends = list(accumulate(nbytes for _, nbytes in buffers))
        self._last = (0, memoryview(b""))  # where in the file it starts, the block

    def fetch(self, start: int, stop: int) -> memoryview:
        """Return bytes of the file.

        Raises:
            Damaged: it ends before, or is missing.
        """
        at, block = self._last
        if not at <= start <= stop <= at + len(block):
            at, block = self._file.fetch(start, stop)
            if at + len(block) < stop:
                raise Damaged(self._missing)
            if len(block) <= PART_NBYTES:
                self._last = (at, block)
        return block[start - at : stop - at]

    def read(self, start: int, stop: int) -> memoryview:
        """Return bytes of the content; a large range is fetched in parts, side by side."""
        parts = [part for span in self._spans(start, stop) for part in self._parts(*span)]
        if len(parts) <= 1:
            return self.fetch(*parts[0]) if parts else memoryview(b"")
        whole = np.empty(stop - start, np.uint8)
        places = accumulate((b - a for a, b in parts), initial=0)

        def fill(place: int, part: tuple[int, int]) -> None:
            whole[place : place + part[1] - part[0]] = np.frombuffer(self.fetch(*part), np.uint8)

        with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
            list(pool.map(fill, places, parts))
        whole.flags.writeable = False
        return memoryview(whole)  # type: ignore[arg-type]  # numpy arrays are buffers

    def view(self) -> memoryview | None:
        """Return None: what is far away cannot be looked at without fetching it."""
        return None

    def fill(self, start: int, out: memoryview) -> bool:
        """Return False: a range is fetched in parts, by ``read``."""
        return False

    def forget(self) -> None:
        """Drop the block that is kept."""
        self._last = (0, memoryview(b""))

    def framing(self) -> bytes:
        """Return what lies before, between and after the buffers."""
        position, gaps = 0, []
        for offset, nbytes in [*self._buffers, (self._file.nbytes, 0)]:
            gaps.append((position, offset))
            position = offset + nbytes
        return b"".join(self.fetch(a, b) for a, b in gaps if a < b)

    def _spans(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the ranges of the file that hold a range of the content."""
        spans = []
        first = bisect_right(self._ends, start)
        for (offset, nbytes), end in zip(self._buffers[first:], self._ends[first:], strict=True):
            base = end - nbytes
            if stop > base:
                spans.append((offset + max(start - base, 0), offset + min(stop - base, nbytes)))
        return spans

    def _parts(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Cut a range of the file into what is fetched at once."""
        cuts = [start, *range(start - start % self._file.grain + PART_NBYTES, stop, PART_NBYTES), stop]
        return list(pairwise(cuts))
