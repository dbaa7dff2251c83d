"""Where a table is cut into record batches. The rule is part of every table's address: it may never change.

An Arrow file keeps, per batch, offsets that count from the batch's first row and bits packed from it. Were the table
one batch, a row inserted in the middle would change all that follows. So content decides where a batch ends: that of
one column, so that adding or changing another moves nothing. It is the first column that tells rows apart, one of
numbers that may be measurements (floats) or of nested values only if there is no other. A column tells rows apart
when at least a quarter of its first 65,536 keys are distinct. With k[i] the key of row i, all modulo 2**32:

    row i may end a batch  <=>  0x9E3779B1 * k[i] >= 2**32 - floor(2**32 / 2048)

A batch ends at the first such row that makes it 2,048 rows or more, at the latest at 16,384. Where no column tells
rows apart, k[i] is sum_j<32 2**j * r[i - j], with r[i] = mix(keys of all columns). Keys are:

    key of a value   = 0                            a null
                     = mix(little-endian words)     fixed width; words of 4 bytes, or 2 or 1 where that does not divide
                     = the bit; the index           boolean; dictionary
                     = mix(length, last 4 bytes, the last one first, 0 where there are fewer)    text, bytes
                     = mix(length, key of the last item, 0 where there is none)                  list, map
                     = mix(keys of the fields or items)                                          struct, fixed list
    mix(w[0], ..., w[m-1]) = sum_j 0x85EBCA6B**j * w[j]
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smalti.codecs.arrow.buffers import (
    boolean_rows,
    fixed_rows,
    has_bytes,
    has_offsets,
    offset_rows,
    valid_rows,
    value_bytes,
)

MAX_ROWS = 16384
_MIN_ROWS = 2048
_EXPECTED_GAP_ROWS = 2048
_HEAD_ROWS = 65536
_WINDOW_ROWS = 32
_GOLDEN = np.uint32(0x9E3779B1)
_PRIME = 0x85EBCA6B
_TAIL_NBYTES = 4

Keys = NDArray[np.uint32]


def batch_lengths(columns: Sequence[pa.ChunkedArray]) -> list[int]:
    """Return the rows of each batch of a table with these columns; a table without rows is one empty batch."""
    rows = len(columns[0]) if columns else 0
    return [rows] if rows <= _MIN_ROWS else _cut(_guide(columns))


def _guide(columns: Sequence[pa.ChunkedArray]) -> Keys:
    for column in sorted(columns, key=lambda column: not _may_identify(column.type)):
        head = _column_keys(column.slice(0, _HEAD_ROWS))
        if 4 * len(np.unique(head)) >= len(head):
            return _column_keys(column)
    keys = np.zeros(len(columns[0]), np.uint32)
    for column in reversed(columns):  # Horner's rule
        keys *= np.uint32(_PRIME)
        keys += _column_keys(column)
    shift = 1
    while shift < _WINDOW_ROWS:  # doubles the window each time, as in smalti.store.format.chunking
        keys[shift:] += keys[:-shift] << np.uint32(shift)
        shift *= 2
    return keys


def _may_identify(dtype: pa.DataType) -> bool:
    return not (pa.types.is_floating(dtype) or pa.types.is_nested(dtype))


def _column_keys(column: pa.ChunkedArray) -> Keys:
    return np.concatenate([row_keys(chunk) for chunk in column.chunks])


def _cut(keys: Keys) -> list[int]:
    lowest = np.uint32(2**32 - 2**32 // _EXPECTED_GAP_ROWS)
    ends: list[int] = (np.flatnonzero(keys * _GOLDEN >= lowest) + 1).tolist()
    lengths = []
    start = 0
    while start < len(keys):
        found = bisect_left(ends, start + _MIN_ROWS)
        end = min(ends[found] if found < len(ends) else len(keys), start + MAX_ROWS, len(keys))
        lengths.append(end - start)
        start = end
    return lengths


def row_keys(array: pa.Array) -> Keys:
    """Return (n,) uint32, the key of every row."""
    dtype, count = array.type, len(array)
    if pa.types.is_null(dtype):
        return np.zeros(count, np.uint32)
    if pa.types.is_dictionary(dtype):
        return row_keys(array.indices)
    if pa.types.is_boolean(dtype):
        keys = boolean_rows(array).astype(np.uint32)
    elif pa.types.is_struct(dtype):
        fields = [row_keys(array.field(i)) for i in range(dtype.num_fields)]
        keys = _mix(np.stack(fields, 1)) if fields else np.zeros(count, np.uint32)
    elif pa.types.is_fixed_size_list(dtype):
        size = dtype.list_size
        items = row_keys(array.values.slice(array.offset * size, count * size))
        keys = _mix(items.reshape(count, size))
    elif has_offsets(dtype):
        keys = _mix(np.stack(list(_variable_words(array)), 1))
    else:
        rows = fixed_rows(array)
        word = next(w for w in (4, 2, 1) if rows.shape[1] % w == 0)
        keys = _mix(rows.view(f"<u{word}"))
    if array.null_count:
        keys[~valid_rows(array)] = 0
    return keys


def _variable_words(array: pa.Array) -> Iterator[Keys]:
    offsets = offset_rows(array)
    lengths, ends = np.diff(offsets), offsets[1:]
    yield lengths.astype(np.uint32)
    values = value_bytes(array) if has_bytes(array.type) else row_keys(array.values)
    for back in range(1, _TAIL_NBYTES + 1 if has_bytes(array.type) else 2):
        there = lengths >= back
        words = np.zeros(len(array), np.uint32)
        words[there] = values[ends[there] - back]
        yield words


def _mix(words: NDArray[np.unsignedinteger]) -> Keys:
    """Return (n,) the weighted sums, modulo 2**32, of (n, k) words."""
    weights = np.array([pow(_PRIME, j, 2**32) for j in range(words.shape[1])], np.uint32)
    sums: Keys = np.einsum("ij,j->i", words.astype(np.uint32, copy=False), weights)
    return sums
