"""A stored array of which only the rows that are asked for are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from smalti.codecs.dtype import array_from, bytes_of
from smalti.store.read.reader import Reader

_CHUNK_NBYTES = 1024 * 1024


class LazyArray:
    """A stored array of which nothing is read until it is indexed; what is read is verified.

    An index of the first axis (a number, a slice, numbers or a mask) reads the leaves from the first to the last row
    it touches; one that begins with an ellipsis or names a field reads everything, as ``numpy.asarray`` does.
    What slices and ``numpy.asarray`` give are read-only views of what was read: copy them to write.
    ``dask.array.from_array`` takes a lazy array as it is.

    Attributes:
        shape: as numpy's.
        dtype: as numpy's, little endian.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], reader: Reader) -> None:
        self.shape = shape
        self.dtype = dtype
        self._reader = reader
        self._known: NDArray[Any] | None = None  # the whole, once every leaf of a view was verified

    def __reduce__(self) -> tuple[type[LazyArray], tuple[Any, ...]]:
        """Return what a process that is spawned opens it with: the place of the store and the address, no content."""
        return LazyArray, (self.shape, self.dtype, self._reader)

    def __repr__(self) -> str:
        return f"LazyArray(shape={self.shape}, dtype={self.dtype}, {self._reader.record.address[:19]}...)"

    def _repr_html_(self) -> str:
        from smalti.notebook import shown

        return shown(self)

    @property
    def digest(self) -> str:
        """The address of the stored array, ``sha256:<hex>``."""
        return self._reader.record.address

    @property
    def mapped(self) -> bool:
        """Whether the content is in memory or mapped from a file, so that taking rows fetches nothing."""
        return self._reader.view(np.zeros(0, np.int64), 0) is not None

    @property
    def verified(self) -> NDArray[Any] | None:
        """The whole as a read-only view, once ``take`` has verified every leaf of a file on this machine; else None."""
        return self._known

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of a block worth reading at once: whole rows, about 1 MiB."""
        if not self.shape:
            return ()
        row_nbytes = max(1, self.nbytes // max(1, self.shape[0]))
        return (min(max(1, _CHUNK_NBYTES // row_nbytes), self.shape[0]), *self.shape[1:])

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        """Return the rows, one after another, read a block at a time."""
        starts = range(0, len(self), max(1, self.chunks[0]))
        return (row for start in starts for row in self[start : start + starts.step])

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        first = next((i for i, item in enumerate(keys) if item is not None), None)
        if first is None or not self.nbytes or not self.shape:
            return np.asarray(self)[key]
        wanted = _wanted_rows(keys[first], len(self))
        if wanted is None:
            return np.asarray(self)[key]
        rows, among_them = wanted
        row_nbytes = self.nbytes // len(self)
        data = self._reader.read(0, rows.start * row_nbytes, rows.stop * row_nbytes)
        block = array_from(data, self.dtype, (len(rows), *self.shape[1:]))
        return block[(*keys[:first], among_them, *keys[first + 1 :])]

    def take(self, rows: ArrayLike, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return rows by their numbers, in the order given, reading and verifying only the leaves that they lie in.

        A leaf of a file on this machine is hashed the first time only: what becomes of it afterwards shows, and a file
        that is cut short then ends the process, as with ``Store.get``. This is the quick way to rows that lie apart.

        Args:
            rows: (B,) numbers from 0 to N - 1.
            out: (B, ...) of the array's dtype, C order, to write to; made where it is not given.

        Raises:
            IndexError: a number is out of range.
            Damaged: a leaf is not what was stored.
        """
        wanted = np.asarray(rows, np.int64)
        if len(wanted) and wanted.view(np.uint64).max() >= len(self):  # below 0 is far above
            raise IndexError(
                f"rows {wanted.min()} to {wanted.max()} were asked for; there are rows 0 to {len(self) - 1}"
            )
        if out is None:
            out = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        if self._known is not None:
            return np.take(self._known, wanted, 0, out, "clip")
        row_nbytes = self.nbytes // max(1, len(self))
        if not row_nbytes or not len(wanted):
            return out
        view = self._reader.view(wanted * row_nbytes, row_nbytes)
        if view is not None:
            whole = array_from(view, self.dtype, self.shape)
            if self._reader.all_known:
                self._known = whole
            return np.take(whole, wanted, 0, out, "clip")
        order = np.argsort(wanted, kind="stable")
        apart = np.flatnonzero(np.diff(wanted[order]) > max(1, _CHUNK_NBYTES // row_nbytes // 8)) + 1
        for places in np.split(order, apart):
            out[places] = self[wanted[places]]
        return out

    def read_into(self, start: int, out: NDArray[Any]) -> None:
        """Fill ``out`` with the rows from ``start`` on, verified; no file is mapped: the way to read all in turn.

        Args:
            out: (B, ...) of the array's dtype, C order.

        Raises:
            IndexError: there are not so many rows.
            Damaged: a leaf is not what was stored.
        """
        if not 0 <= start <= start + len(out) <= len(self):
            raise IndexError(f"rows {start} to {start + len(out)} were asked for; there are {len(self)}")
        if out.nbytes:
            row_nbytes = self.nbytes // len(self)
            self._reader.read_into(start * row_nbytes, bytes_of(out))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(array_from(self._reader.read(), self.dtype, self.shape), dtype, copy=copy)


def _wanted_rows(index: Any, count: int) -> tuple[range, Any] | None:
    """Return the rows, of ``count``, from the first to the last that an index touches, and the same index among them.

    None where that takes the whole: to read it, or to have numpy say what is wrong.
    """
    if isinstance(index, slice):
        return _span(range(*index.indices(count))), slice(None, None, index.step)
    if isinstance(index, str | EllipsisType):
        return None
    if isinstance(index, int | np.integer) and not isinstance(index, bool):
        row = int(index) + (count if index < 0 else 0)
        return (range(row, row + 1), 0) if 0 <= row < count else None
    empty = isinstance(index, list | tuple) and not index  # to numpy that is no number, not no float
    rows = np.asarray(index, np.intp if empty else None)
    if rows.dtype.kind == "b" and rows.ndim and len(rows) == count:
        span = _span(np.flatnonzero(rows.reshape(count, -1).any(axis=1)))
        return span, rows[span.start : span.stop]
    if rows.dtype.kind in "iu" and ((-count <= rows) & (rows < count)).all():
        rows = np.where(rows < 0, rows + count, rows).astype(np.intp)
        span = _span(rows.reshape(-1))
        return span, rows - span.start
    return None


def _span(rows: range | NDArray[np.intp]) -> range:
    return range(int(min(rows)), int(max(rows)) + 1) if len(rows) else range(0)
