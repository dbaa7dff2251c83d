"""Arrays that batches are read into, used again once nobody holds them any more."""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_PER_KIND = 32
_FREE = 2  # references to memory in a list that nobody else holds: the list's, and the question's
_HUGE_PAGE_NBYTES = 2 * 1024 * 1024
_HUGE_FROM_NBYTES = 1024 * 1024
_NUMPY_ASKS_FROM_NBYTES = 4 * 1024 * 1024  # for huge pages, where Linux has them


class Buffers:
    """Uninitialised arrays; fresh memory costs as much as copying into it.

    An array is given out again only when no reference to its memory is left, views of it included, so what a consumer
    keeps is never written over. From 1 MiB on it begins where a huge page may.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[Any, ...], list[NDArray[np.uint8]]] = {}
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array in C order whose content is whatever was there."""
        if dtype.hasobject:
            return np.empty(shape, dtype)
        with self._lock:
            held = self._held.setdefault((shape, dtype), [])
            for number in range(len(held)):
                if sys.getrefcount(held[number]) == _FREE:
                    return np.ndarray(shape, dtype, held[number])
            made = _memory(math.prod(shape) * dtype.itemsize)
            if len(held) < _MOST_PER_KIND:
                held.append(made)
            return np.ndarray(shape, dtype, made)


def _memory(nbytes: int) -> NDArray[np.uint8]:
    if nbytes < _HUGE_FROM_NBYTES:
        return np.empty(nbytes, np.uint8)
    memory = np.empty(max(_NUMPY_ASKS_FROM_NBYTES, nbytes + _HUGE_PAGE_NBYTES), np.uint8)
    start = -memory.ctypes.data % _HUGE_PAGE_NBYTES
    buffer = memoryview(memory)  # type: ignore[arg-type]  # numpy arrays are buffers
    return np.frombuffer(buffer[start : start + nbytes], np.uint8)  # of a buffer, so that views refer to it, not beyond
