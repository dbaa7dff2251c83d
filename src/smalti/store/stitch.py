"""Pieces of several files mapped side by side, so that they read as one without a copy. Linux only."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Sequence
from pathlib import Path

Piece = tuple[Path, int, int]  # file, offset, nbytes

_MOST_MAPS = 2048  # of the 65530 that one process may have
_MAP_FIXED = 0x10  # not in Python's mmap module
_FAILED = ctypes.c_void_p(-1).value


def map_side_by_side(pieces: Sequence[Piece]) -> memoryview | None:
    """Return a read-only view of the pieces end to end, or None where pages do not allow it.

    Every piece has to begin on a page of its file and, the last one apart, to be whole pages long.
    """
    page = mmap.PAGESIZE
    whole = all(offset % page == 0 for _, offset, _ in pieces) and all(nbytes % page == 0 for *_, nbytes in pieces[:-1])
    if sys.platform != "linux" or not whole or not 1 < len(pieces) <= _MOST_MAPS:
        return None
    total = sum(nbytes for *_, nbytes in pieces)
    region = mmap.mmap(-1, total)  # owns the addresses: when it is freed, everything mapped into it goes too
    base = ctypes.addressof(ctypes.c_char.from_buffer(region))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
    descriptors: dict[Path, int] = {}
    try:
        position = 0
        for path, offset, nbytes in pieces:
            if path not in descriptors:
                descriptors[path] = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            flags = mmap.MAP_SHARED | _MAP_FIXED
            at = libc.mmap(base + position, nbytes, mmap.PROT_READ, flags, descriptors[path], offset)
            if at == _FAILED:
                return None
            position += nbytes
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)
    return memoryview(region)[:total].toreadonly()
