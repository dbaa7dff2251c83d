"""A file of content in a bucket: ranges are fetched as they are asked for, large ones in parts, side by side."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from typing import Protocol

from smalti.errors import Damaged
from smalti.store.backends.s3.bucket import PART_NBYTES, PARTS_AT_ONCE, Bucket, Part
from smalti.store.format import seekable
from smalti.store.format.seekable import FRAME_NBYTES, SeekTable

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

    def __init__(self, bucket: Bucket, key: str, what: str) -> None:
        self._bucket = bucket
        self._key = key
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
                nbytes = seekable.table_nbytes(foot, end.key_nbytes, self._what)
                table = end.content[-nbytes:]
                if nbytes > len(table):
                    table = self._bucket.read_end(self._key, nbytes).content
                self._opened = seekable.parse_table(table, end.key_nbytes, self._what), end
            return self._opened


class S3File:
    """A file, read in ranges; of what was fetched only the last small block is kept."""

    path = None
    reads_at_once = PARTS_AT_ONCE

    def __init__(self, file: RemoteFile, location: str, missing: str) -> None:
        """``missing`` is the message where the file ends too early or is not there."""
        self.location = location
        self._file = file
        self._missing = missing
        self._last = (0, memoryview(b""))  # where in the file it starts, the block

    @property
    def nbytes(self) -> int:
        return self._file.nbytes

    def read(self, start: int, stop: int) -> memoryview:
        """Return bytes of the file.

        Raises:
            Damaged: it ends before, or is missing.
        """
        room = bytearray(max(0, stop - start))
        self.read_into(start, memoryview(room))
        return memoryview(room).toreadonly()

    def read_into(self, start: int, out: memoryview) -> None:
        """Fill ``out``; a large range is fetched in parts, side by side."""
        if not len(out):
            return
        stop = start + len(out)
        cuts = [start, *range(start - start % self._file.grain + PART_NBYTES, stop, PART_NBYTES), stop]

        def fill(part: tuple[int, int]) -> None:
            out[part[0] - start : part[1] - start] = self._fetch(*part)

        parts = list(pairwise(cuts))
        if len(parts) == 1:
            fill(parts[0])
            return
        with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
            list(pool.map(fill, parts))

    def forget(self) -> None:
        """Drop the block that is kept."""
        self._last = (0, memoryview(b""))

    def _fetch(self, start: int, stop: int) -> memoryview:
        at, block = self._last
        if not at <= start <= stop <= at + len(block):
            at, block = self._file.fetch(start, stop)
            if at + len(block) < stop:
                raise Damaged(self._missing)
            if len(block) <= PART_NBYTES:
                self._last = (at, block)
        return block[start - at : stop - at]
