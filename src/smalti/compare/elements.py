"""The elements of an array one after another, read a piece at a time, wherever the array lies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.array import BFLOAT16, BFloat16, dtype_in_file
from smalti.codecs.dtype import array_from
from smalti.store.read.reader import Reader

PIECE_NBYTES = 8 << 20  # that are read and compared at once


class Elements(Protocol):
    """An array as it is compared.

    Attributes:
        spelled: its dtype as a person reads it; ``bfloat16`` is read as float32.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def spelled(self) -> str: ...
    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return elements ``start`` to ``stop`` in C order, (stop - start,)."""
        ...


class StoredElements:
    """Elements in a buffer of a stored object, verified leaf by leaf."""

    def __init__(self, reader: Reader, described: Mapping[str, Any], buffer: int = 0) -> None:
        self.shape: tuple[int, ...] = tuple(described["shape"])
        self._bfloat = described["dtype"] == BFLOAT16
        self._stored = dtype_in_file(described["dtype"])
        self.dtype = np.dtype(np.float32) if self._bfloat else self._stored
        self.spelled = BFLOAT16 if self._bfloat else spelled(self._stored)
        self._reader = reader
        self._buffer = buffer

    def read(self, start: int, stop: int) -> NDArray[Any]:
        size = self._stored.itemsize
        data = self._reader.read(self._buffer, start * size, stop * size) if size else memoryview(b"")
        found = array_from(data, self._stored, (stop - start,))
        return np.asarray(BFloat16(found)) if self._bfloat else found


class HeldElements:
    """Elements of an array in memory."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.shape = array.shape
        self.dtype = array.dtype
        self.spelled = spelled(array.dtype)
        self._flat = array.reshape(-1)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        return self._flat[start:stop]


def spelled(dtype: np.dtype[Any]) -> str:
    """Return a dtype as a person reads it.

    >>> spelled(np.dtype("<f4")), spelled(np.dtype([("x", "<f8"), ("name", "S4")]))
    ('float32', '{x: float64, name: bytes of 4}')
    """
    if dtype.names is not None:
        return "{" + ", ".join(f"{name}: {spelled(dtype[name])}" for name in dtype.names) + "}"
    if dtype.subdtype is not None:
        return f"{spelled(dtype.subdtype[0])} {dtype.subdtype[1]}"
    if dtype.kind == "S":
        return f"bytes of {dtype.itemsize}"
    if dtype.kind == "U":
        return f"text of {dtype.itemsize // 4}"
    return str(dtype.newbyteorder("="))


def row_size(shape: tuple[int, ...]) -> int:
    """Return how many elements a row has; an array without axes is one row of one element."""
    return math.prod(shape[1:])


def row_count(shape: tuple[int, ...]) -> int:
    """Return how many rows an array has."""
    return shape[0] if shape else 1


def rows_digests(elements: Elements, start: int, stop: int) -> list[bytes]:
    """Return the bytes of short rows, and the SHA-256 of the bytes of longer ones."""
    import hashlib

    size = row_size(elements.shape)
    nbytes = size * elements.dtype.itemsize
    at_once = max(1, PIECE_NBYTES // max(1, nbytes))
    found: list[bytes] = []
    for first in range(start, stop, at_once):
        last = min(stop, first + at_once)
        data = np.ascontiguousarray(elements.read(first * size, last * size)).tobytes()
        rows = (data[row * nbytes : (row + 1) * nbytes] for row in range(last - first))
        found += rows if nbytes <= 32 else (hashlib.sha256(row).digest() for row in rows)
    return found
