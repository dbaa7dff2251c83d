"""A file as a value: how it is put into a store, and whether what was read back is what the file holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalti.store import Ref, Store
from smalti.tracking.work_file import WorkFile

CHUNK_NBYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class FileValue:
    """What a file holds.

    Attributes:
        put: puts it into a store.
        is_same: tells whether what ``store.open`` gives is what the file holds, bit by bit.
    """

    put: Callable[[Store], Ref]
    is_same: Callable[[Any], bool]


def bytes_value(path: Path) -> FileValue:
    """Return a file as its bytes, which are mapped and never all in memory.

    Raises:
        Refused: it is no regular file, or, when it is compared, was written to meanwhile.
        Unavailable: it may not be read.
    """
    file = WorkFile(path)

    def is_same(back: Any) -> bool:
        file.check_unchanged()
        return same_bytes(file.data, memoryview(back))

    return FileValue(lambda store: store.put(file.data), is_same)


def same_bytes(one: memoryview, other: memoryview) -> bool:
    """Compare two flat buffers, a few megabytes at a time."""
    if one.nbytes != other.nbytes:
        return False
    return all(
        bytes(one[at : at + CHUNK_NBYTES]) == bytes(other[at : at + CHUNK_NBYTES])
        for at in range(0, one.nbytes, CHUNK_NBYTES)
    )
