"""Reading an object's content: mapped, never copied, and verified leaf by leaf before it is handed out."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
from blake3 import blake3

from smalti.digest import LEAF_ID_NBYTES
from smalti.errors import Damaged
from smalti.store.leaves import first_difference, leaf_ids
from smalti.store.record import Record


def map_file(path: Path) -> memoryview:
    """Map a file read-only.

    Raises:
        Damaged: the file is missing or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise Damaged(f"{path} should hold stored content but cannot be opened: {error.strerror}.") from error
    try:
        if os.fstat(descriptor).st_size == 0:  # an empty file cannot be mapped
            return memoryview(b"")
        return memoryview(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ))
    finally:
        os.close(descriptor)


class Reader:
    """The content of one object; ``read`` verifies the leaves it touches, each only once."""

    def __init__(self, record: Record, path: Path) -> None:
        self.record = record
        self._path = path
        self._file = map_file(path)
        expected = max((offset + nbytes for offset, nbytes in record.buffers), default=0)
        if len(self._file) < expected:
            raise Damaged(f"{path} of {record.address} has {len(self._file)} bytes, at least {expected} were stored.")
        ends = np.cumsum(record.leaf_sizes, dtype=np.int64)
        starts = np.cumsum([0] + [nbytes for _, nbytes in record.buffers])
        self._first_leaf = np.searchsorted(ends, starts, "right")  # of each buffer, and one past the last
        self._leaf_ends = [
            ends[a:b] - start for a, b, start in zip(self._first_leaf, self._first_leaf[1:], starts, strict=False)
        ]
        self._verified = np.zeros(len(ends), bool)

    def read(self, buffer: int = 0, start: int = 0, stop: int | None = None) -> memoryview:
        """Return bytes ``start`` to ``stop`` of a buffer, verified, as a view of the mapped file.

        Raises:
            Damaged: a leaf in that range is not what was stored; the message names object, file and place.
        """
        offset, nbytes = self.record.buffers[buffer]
        stop = nbytes if stop is None else stop
        if start < stop:
            ends = self._leaf_ends[buffer]
            low, high = (int(np.searchsorted(ends, at, "right")) for at in (start, stop - 1))
            self._verify(buffer, low, high + 1)
        return self._file[offset + start : offset + stop]

    def whole(self) -> list[memoryview]:
        """Return every buffer, verified."""
        return [self.read(i) for i in range(len(self.record.buffers))]

    def framing_is_sound(self) -> bool:
        """Tell whether the bytes of the file outside the buffers are those that were written."""
        framing = blake3()
        position = 0
        for offset, nbytes in self.record.buffers:
            framing.update(self._file[position:offset])
            position = offset + nbytes
        framing.update(self._file[position:])
        return framing.hexdigest() == self.record.framing

    def _verify(self, buffer: int, low: int, high: int) -> None:
        """Verify leaves ``low`` to ``high`` (numbered within the buffer) from the first one not yet verified."""
        base = int(self._first_leaf[buffer])
        unknown = np.flatnonzero(~self._verified[base + low : base + high])
        if not len(unknown):
            return
        low += int(unknown[0])
        offset, _ = self.record.buffers[buffer]
        sizes = self.record.leaf_sizes[base + low : base + high]
        start = offset + int(self._leaf_ends[buffer][low]) - int(sizes[0])
        found = leaf_ids(self._file[start : start + int(sizes.sum(dtype=np.int64))], sizes)
        wanted = self.record.leaf_ids[LEAF_ID_NBYTES * (base + low) : LEAF_ID_NBYTES * (base + high)]
        wrong = first_difference(wanted, found)
        if wrong is not None:
            start += int(sizes[:wrong].sum(dtype=np.int64))
            raise Damaged(
                f"{self._path.name} of {self.record.address} is damaged in the {sizes[wrong]} bytes from {start}; "
                "put the same value again to repair it, or restore it from another store."
            )
        self._verified[base + low : base + high] = True
