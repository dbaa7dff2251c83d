"""Pieces of files mapped side by side, so that they read as one without a copy, and without an open file each."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from smalti.errors import Damaged, Unavailable

Piece = tuple[Path, int, int]  # file, offset, nbytes

_MOST_MAPS = 2048  # of the 65530 that one process may have
_MAP_FIXED = 0x10  # not in Python's mmap module; the same on Linux and macOS
_MAP_NORESERVE = 0x4000 if sys.platform == "linux" else 0x40
_FAILED = ctypes.c_void_p(-1).value
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR}


def map_file_pieces(pieces: Sequence[Piece]) -> memoryview | None:
    """Return a read-only view of the pieces end to end, or None where pages or the system do not allow it.

    Every piece has to begin on a page of its file and, the last one apart, to be whole pages long. A single piece may
    begin anywhere. Python's own maps keep a descriptor each; these keep none.

    Raises:
        Damaged: a file is not there.
        Unavailable: the machine does not let it be read now.
    """
    if len(pieces) != 1:
        return _mapped(pieces)
    ((path, offset, nbytes),) = pieces
    before = offset % mmap.PAGESIZE
    whole = _mapped([(path, offset - before, before + nbytes)])
    return None if whole is None else whole[before:]


def _mapped(some: Sequence[Piece]) -> memoryview | None:
    page = mmap.PAGESIZE
    whole_pages = all(offset % page == 0 for _, offset, _ in some) and all(n % page == 0 for *_, n in some[:-1])
    if sys.platform not in {"linux", "darwin"} or not whole_pages or not 0 < len(some) <= _MOST_MAPS:
        return None
    total = sum(nbytes for *_, nbytes in some)
    # It owns the addresses: when it is freed, everything mapped into it goes too. No memory is set aside for it.
    region = mmap.mmap(-1, total, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(region))
    descriptors: dict[Path, int] = {}
    try:
        position = 0
        for path, offset, nbytes in some:
            if path not in descriptors:
                descriptors[path] = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            flags = mmap.MAP_SHARED | _MAP_FIXED
            at = _mmap()(base + position, nbytes, mmap.PROT_READ, flags, descriptors[path], offset)
            if at == _FAILED:
                return None
            position += nbytes
    except OSError as error:
        if error.errno in _NO_FILE:
            raise Damaged(f"{path} should hold stored content, but: {error.strerror}; restore it.") from error
        raise Unavailable(f"could not map {path}: {error.strerror}; try again.") from error
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)
    return memoryview(region)[:total].toreadonly()


@cache
def _mmap() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
    return libc.mmap
