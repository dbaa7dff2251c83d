"""Columns of Arrow tables as numpy arrays, sequences, or Python values, of which rows are taken by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused
from smalti.loaders.buffers import Buffers
from smalti.loaders.collate import Column, Ragged

if TYPE_CHECKING:
    import pyarrow as pa


class TableColumn(Protocol):
    """One column in memory."""

    def take(self, rows: NDArray[np.int64], buffers: Buffers) -> Column: ...
    def whole(self) -> Column: ...


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """Numbers, booleans, times, or lists of one fixed length: (N, ...)."""

    values: NDArray[Any]

    def take(self, rows: NDArray[np.int64], buffers: Buffers) -> Column:
        out = buffers.empty((len(rows), *self.values.shape[1:]), self.values.dtype)
        return np.take(self.values, rows, 0, out, "clip")

    def whole(self) -> Column:
        return self.values if self.values.flags.writeable else self.values.copy()  # who transforms it may write to it


@dataclass(frozen=True, slots=True)
class RaggedColumn:
    """Lists of numbers: ``values`` end to end, row i from ``offsets[i]`` to ``offsets[i + 1]``."""

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64], buffers: Buffers) -> Column:
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        before = np.cumsum(lengths) - lengths
        within = np.arange(int(lengths.sum())) - np.repeat(before, lengths)
        return Ragged(np.take(self.values, np.repeat(starts, lengths) + within, 0), lengths)

    def whole(self) -> Column:
        return Ragged(self.values, np.diff(self.offsets))


@dataclass(frozen=True, slots=True)
class ValueColumn:
    """Text, bytes, structures: whatever becomes a Python value."""

    values: Any  # pyarrow.ChunkedArray

    def take(self, rows: NDArray[np.int64], buffers: Buffers) -> Column:
        taken: list[Any] = self.values.take(rows).to_pylist()
        return taken

    def whole(self) -> Column:
        values: list[Any] = self.values.to_pylist()
        return values


def table_columns(table: pa.Table) -> dict[str, TableColumn]:
    """Return the columns of a table; one chunk of numbers without nulls is not copied.

    Raises:
        Refused: integers, booleans or lists have nulls: as numbers these would be others.
    """
    return {name: _column(name, table.column(name)) for name in table.column_names}


def _column(name: str, column: pa.ChunkedArray) -> TableColumn:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    dtype = column.type
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
        if not _is_number(dtype.value_type):
            return ValueColumn(column)
        _refuse_nulls(name, column)
        chunks = [_fixed(name, chunk.flatten(), ()) for chunk in column.chunks]
        lengths = [np.diff(chunk.offsets.to_numpy()).astype(np.int64) for chunk in column.chunks]
        empty = np.zeros(0, dtype.value_type.to_pandas_dtype())
        offsets = np.concatenate([[0], *lengths]).cumsum()
        return RaggedColumn(_joined(chunks, empty), offsets)
    shape: tuple[int, ...] = ()
    while pa.types.is_fixed_size_list(dtype):
        shape, dtype = (*shape, dtype.list_size), dtype.value_type
    if not (_is_number(dtype) or (not shape and (pa.types.is_timestamp(dtype) or pa.types.is_date(dtype)))):
        return ValueColumn(column)
    if shape or not pa.types.is_floating(dtype):
        _refuse_nulls(name, column)
    chunks = [_fixed(name, chunk, shape) for chunk in column.chunks]
    return NumberColumn(_joined(chunks, np.zeros((0, *shape), dtype.to_pandas_dtype())))


def _fixed(name: str, chunk: pa.Array, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return (N, *shape) of a chunk of numbers, or of lists of fixed lengths of them."""
    import pyarrow as pa

    count = len(chunk)
    for _ in shape:
        chunk = chunk.flatten()
        if chunk.null_count and not pa.types.is_floating(chunk.type):
            _refuse_nulls(name, chunk)
    if chunk.null_count and not pa.types.is_floating(chunk.type):
        _refuse_nulls(name, chunk)
    return np.asarray(chunk.to_numpy(zero_copy_only=False)).reshape(count, *shape)


def _joined(chunks: list[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks) if chunks else empty


def _is_number(dtype: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_boolean(dtype))


def _refuse_nulls(name: str, column: pa.ChunkedArray | pa.Array) -> None:
    if column.null_count:
        raise Refused(
            f"column {name!r} of {column.type} has {column.null_count} missing values; fill them, for example with "
            "pyarrow.compute.fill_null, or leave the column out."
        )
