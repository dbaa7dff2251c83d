"""Arrays that batches are read into, used again once nobody holds them any more."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_PER_KIND = 32
_FREE = 2  # references to an array in a list that nobody else holds: the list's, and the question's


class Buffers:
    """Uninitialised arrays; fresh memory costs as much as copying into it.

    An array is given out again only when no reference to it is left, views of it included, so what a consumer keeps is
    never written over.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[Any, ...], list[NDArray[Any]]] = {}
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array in C order whose content is whatever was there."""
        if dtype.hasobject:
            return np.empty(shape, dtype)
        with self._lock:
            held = self._held.setdefault((shape, dtype), [])
            for number in range(len(held)):
                if sys.getrefcount(held[number]) == _FREE:
                    return held[number]
            made = np.empty(shape, dtype)
            if len(held) < _MOST_PER_KIND:
                held.append(made)
            return made
