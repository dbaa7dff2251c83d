"""Content in a bucket: fetched in the ranges asked for, large ones in parts, side by side."""

from __future__ import annotations

from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import numpy as np

from smalti.errors import Damaged
from smalti.store.record import Record
from smalti.store.s3_bucket import PART_NBYTES, PARTS_AT_ONCE, Bucket


class RangeContent:
    """One key's buffers, fetched in the ranges asked for; of what was fetched only the last small block is kept."""

    stays = False

    def __init__(self, bucket: Bucket, key: str, record: Record, file_nbytes: int | None = None) -> None:
        self.where = record.filename
        self._bucket = bucket
        self._key = key
        self._record = record
        self._file_nbytes = file_nbytes
        self._ends = list(accumulate(nbytes for _, nbytes in record.buffers))
        self._last = (0, memoryview(b""))  # where in the file it starts, the block

    def fetch(self, start: int, stop: int) -> memoryview:
        """Return bytes of the file.

        Raises:
            Damaged: it ends before, or is missing.
        """
        at, block = self._last
        if at <= start and stop <= at + len(block):
            return block[start - at : stop - at]
        block = self._bucket.read(self._key, start, stop)
        if len(block) != stop - start:
            raise Damaged(
                f"{self.where} of {self._record.address} is missing or cut short in {self._bucket.place}; "
                "put the same value again to repair it, or restore it from another store."
            )
        if len(block) <= PART_NBYTES:
            self._last = (start, block)
        return block

    def read(self, start: int, stop: int) -> memoryview:
        """Return bytes of the content; a large range is fetched in parts, side by side."""
        spans = self._spans(start, stop)
        parts = [(a, min(a + PART_NBYTES, b)) for a, b in spans for a in range(a, b, PART_NBYTES)]
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

    def framing(self) -> bytes:
        """Return what lies before, between and after the buffers."""
        if self._file_nbytes is None:
            found = self._bucket.head(self._key)
            self._file_nbytes = found["size"] if found else 0
        position, gaps = 0, []
        for offset, nbytes in [*self._record.buffers, (self._file_nbytes, 0)]:
            gaps.append((position, offset))
            position = offset + nbytes
        return b"".join(self.fetch(a, b) for a, b in gaps if a < b)

    def _spans(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the ranges of the file that hold a range of the content."""
        spans = []
        first = bisect_right(self._ends, start)
        for (offset, nbytes), end in zip(self._record.buffers[first:], self._ends[first:], strict=True):
            base = end - nbytes
            if stop > base:
                spans.append((offset + max(start - base, 0), offset + min(stop - base, nbytes)))
        return spans
