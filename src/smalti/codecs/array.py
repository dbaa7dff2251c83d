"""Arrays as ``.npy`` files whose data starts on a page, and a lazy array that reads rows on demand.

Format: NEP 1, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html (version 1.0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from smalti.canonical import Json
from smalti.errors import Refused
from smalti.store.leaves import MAX_NBYTES
from smalti.store.reader import Reader
from smalti.store.values import Buffer, Encoded

_KINDS = "biufcmMSU"
_PAGE_NBYTES = 4096
_MAGIC = b"\x93NUMPY\x01\x00"


class LazyArray:
    """A stored array of which nothing is read until it is indexed; what is read is verified.

    Indexing along the first axis reads only the leaves that hold the rows asked for; the result is a
    read-only view of the mapped file. ``numpy.asarray`` reads everything.
    """

    def __init__(self, header: Mapping[str, Json], reader: Reader) -> None:
        self.shape, self.dtype = _describe(header)
        self._reader = reader

    def __repr__(self) -> str:
        return f"LazyArray(shape={self.shape}, dtype={self.dtype}, {self._reader.record.address[:19]}...)"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a 0-d array has no length")
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        first, *rest = key if isinstance(key, tuple) else (key,)
        rows = self._rows(first)
        if rows is None:
            return np.asarray(self)[key]
        row_nbytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        data = self._reader.read(0, rows.start * row_nbytes, rows.stop * row_nbytes)
        block = np.frombuffer(data, self.dtype).reshape(len(rows), *self.shape[1:])
        if not isinstance(first, slice):
            return block[(0, *rest)]
        return block[(slice(None, None, first.step), *rest)]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        whole = np.frombuffer(self._reader.read(), self.dtype).reshape(self.shape)
        return np.array(whole, dtype, copy=copy)

    def _rows(self, index: Any) -> range | None:
        """Return the contiguous rows that a first index touches, or None where only the whole array will do."""
        if not self.shape or not self.nbytes:
            return None
        if isinstance(index, slice):
            rows = range(*index.indices(self.shape[0]))
            return range(rows[0], rows[-1] + 1) if len(rows) and rows.step > 0 else None
        if isinstance(index, int | np.integer) and not isinstance(index, bool):
            row = int(index) + (self.shape[0] if index < 0 else 0)
            return range(row, row + 1) if 0 <= row < self.shape[0] else None
        return None


class ArrayCodec:
    """numpy arrays and numpy scalars of every plain dtype; equal values have equal bytes."""

    kind = "array"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, np.ndarray | np.generic | LazyArray)

    def encode(self, value: Any) -> Encoded:
        if isinstance(value, np.ma.MaskedArray):
            raise Refused("a masked array cannot be stored as one; store its data and its mask as two arrays.")
        array = np.asarray(value)
        if array.dtype.kind not in _KINDS or array.dtype == np.longdouble or array.dtype == np.clongdouble:
            raise Refused(
                f"an array of dtype {array.dtype} cannot be stored exactly on every machine; convert it to "
                "bool, integers, floats up to 64 bit, complex, datetime64, timedelta64 or fixed-size text."
            )
        array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        header: dict[str, Json] = {"kind": "array", "dtype": array.dtype.str, "shape": list(array.shape)}
        data = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]  # numpy arrays are buffers
        return Encoded(header, "data.npy", (_npy_header(array), Buffer(data, _row_nbytes(array))))

    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> NDArray[Any]:
        shape, dtype = _describe(header)
        return np.frombuffer(buffers[0], dtype, count=math.prod(shape)).reshape(shape)

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> LazyArray:
        return LazyArray(header, reader)


def _describe(header: Mapping[str, Json]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    shape = header["shape"]
    assert isinstance(shape, list)
    return tuple(int(n) for n in shape), np.dtype(str(header["dtype"]))  # type: ignore[arg-type]


def _row_nbytes(array: NDArray[Any]) -> int:
    """Return the size of the largest block of trailing axes that fits one leaf: what counts as a row."""
    row = max(1, array.dtype.itemsize)
    for length in reversed(array.shape[1:]):
        if row * length > MAX_NBYTES or not length:
            break
        row *= length
    return row


def _npy_header(array: NDArray[Any]) -> bytes:
    """Return the file's own header, padded with spaces so that large data starts on a page."""
    text = f"{{'descr': {array.dtype.str!r}, 'fortran_order': False, 'shape': {array.shape!r}, }}".encode()
    align = _PAGE_NBYTES if array.nbytes >= _PAGE_NBYTES else 64
    total = -(-(len(_MAGIC) + 2 + len(text) + 1) // align) * align
    padded = text.ljust(total - len(_MAGIC) - 3) + b"\n"
    return _MAGIC + len(padded).to_bytes(2, "little") + padded
