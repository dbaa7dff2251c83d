"""One Arrow array as canonical buffers, and back: equal arrays have equal buffers, however they came to be.

The buffers lie depth first, as in an Arrow IPC file. Canonical means: offsets begin at 0; what a null hides is
zero (of fixed width) or empty (text, lists), and below a null parent nothing is null; a validity bitmap without
nulls is empty; bits after the last row are 0.
Format: https://arrow.apache.org/docs/format/Columnar.html#physical-memory-layout
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smalti.store.format.chunking import MAX_NBYTES
from smalti.store.values import Buffer

Rows = NDArray[np.bool_]
_EMPTY = Buffer(memoryview(b""))


def buffer_count(dtype: pa.DataType) -> int:
    """Return how many buffers an array of this type has, its children's included."""
    if pa.types.is_null(dtype):
        return 0
    own = 1 if pa.types.is_struct(dtype) or pa.types.is_fixed_size_list(dtype) else 3 if has_bytes(dtype) else 2
    return own + sum(buffer_count(dtype.field(i).type) for i in range(dtype.num_fields))


def bitmaps(dtype: pa.DataType) -> list[bool]:
    """Return of each buffer of an array of this type whether it is a validity bitmap, which is empty without nulls."""
    if pa.types.is_null(dtype):
        return []
    if pa.types.is_dictionary(dtype):
        return bitmaps(dtype.index_type)
    below = [is_bitmap for i in range(dtype.num_fields) for is_bitmap in bitmaps(dtype.field(i).type)]
    return [True, *[False] * (buffer_count(dtype) - len(below) - 1), *below]


def flatten(array: pa.Array, hidden: Rows | None = None) -> Iterator[Buffer]:
    """Yield the canonical buffers of an array.

    Args:
        array: of a type that ``schema.describe_field`` describes; a dictionary array yields its indices.
        hidden: (len(array),) rows below a null parent, whose own nulls and values do not count.
    """
    dtype, count = array.type, len(array)
    if pa.types.is_null(dtype):
        return
    if pa.types.is_dictionary(dtype):
        yield from flatten(array.indices, hidden)
        return
    dead = _either(hidden, None if array.null_count == 0 else ~valid_rows(array))
    yield _validity(array, hidden)
    if pa.types.is_struct(dtype):
        for i in range(dtype.num_fields):
            yield from flatten(array.field(i), dead)
    elif pa.types.is_fixed_size_list(dtype):
        size = dtype.list_size
        below = None if dead is None else np.repeat(dead, size)
        yield from flatten(array.values.slice(array.offset * size, count * size), below)
    elif pa.types.is_boolean(dtype):
        bits = boolean_rows(array)
        yield _buffer(np.packbits(bits if dead is None else bits & ~dead, bitorder="little"))
    elif has_offsets(dtype):
        yield from _flatten_variable(array, dead)
    else:
        width = dtype.byte_width
        data = fixed_rows(array)
        if dead is not None and dead.any():
            data = data.copy()
            data[dead] = 0
        yield _buffer(data, width if 0 < width <= MAX_NBYTES else 1)


def _flatten_variable(array: pa.Array, dead: Rows | None) -> Iterator[Buffer]:
    offsets = offset_rows(array)
    lengths = np.diff(offsets)
    start, stop = int(offsets[0]), int(offsets[-1])
    if dead is not None and lengths[dead].any():
        kept = ~np.repeat(dead, lengths)
        lengths[dead] = 0
    else:
        kept = None
    canonical = np.zeros_like(offsets)
    np.cumsum(lengths, out=canonical[1:])
    yield _buffer(canonical, offsets.itemsize)
    if has_bytes(array.type):
        data = value_bytes(array)[start:stop]
        yield _buffer(data if kept is None else data[kept])
    else:
        child = array.values.slice(start, stop - start)
        yield from flatten(child if kept is None else child.filter(pa.array(kept)))


def assemble(dtype: pa.DataType, count: int, buffers: Iterator[memoryview], dictionary: pa.Array = None) -> pa.Array:
    """Return the array of ``count`` rows whose canonical buffers come next; nothing is copied.

    Args:
        dictionary: the values of a dictionary array, which are kept apart.
    """
    if count < 0:
        raise ValueError(f"there cannot be {count} rows")
    if pa.types.is_null(dtype):
        return pa.nulls(count)
    if pa.types.is_dictionary(dtype):
        indices = assemble(dtype.index_type, count, buffers)
        return pa.DictionaryArray.from_arrays(indices, dictionary, ordered=dtype.ordered, safe=False)
    bitmap = next(buffers)
    own = [pa.py_buffer(bitmap) if bitmap.nbytes else None]
    children: list[pa.Array] = []
    if pa.types.is_struct(dtype):
        children = [assemble(dtype.field(i).type, count, buffers) for i in range(dtype.num_fields)]
    elif pa.types.is_fixed_size_list(dtype):
        children = [assemble(dtype.value_type, count * dtype.list_size, buffers)]
    elif has_offsets(dtype):
        offsets = np.frombuffer(next(buffers), offset_dtype(dtype))
        own.append(pa.py_buffer(offsets))
        if has_bytes(dtype):
            own.append(pa.py_buffer(next(buffers)))
        else:
            children = [assemble(dtype.field(0).type, int(offsets[-1]), buffers)]
    else:
        own.append(pa.py_buffer(next(buffers)))
    return pa.Array.from_buffers(dtype, count, own, children=children or None)


def has_bytes(dtype: pa.DataType) -> bool:
    """Tell whether the rows are texts or byte strings of any length."""
    large = pa.types.is_large_string(dtype) or pa.types.is_large_binary(dtype)
    return bool(large or pa.types.is_string(dtype) or pa.types.is_binary(dtype))


def has_offsets(dtype: pa.DataType) -> bool:
    """Tell whether the rows have a length of their own: texts, byte strings, lists, maps."""
    lists = pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_map(dtype)
    return bool(lists or has_bytes(dtype))


def offset_dtype(dtype: pa.DataType) -> str:
    """Return the numpy dtype of the offsets of such a type."""
    large = pa.types.is_large_string(dtype) or pa.types.is_large_binary(dtype) or pa.types.is_large_list(dtype)
    return "<i8" if large else "<i4"


def valid_rows(array: pa.Array) -> Rows:
    """Return (n,) which rows are not null."""
    rows: Rows = array.is_valid().to_numpy(zero_copy_only=False)
    return rows


def boolean_rows(array: pa.Array) -> Rows:
    """Return (n,) the bits of a boolean array; those of nulls are whatever they are."""
    packed = np.frombuffer(array.buffers()[1], np.uint8) if len(array) else np.zeros(0, np.uint8)
    bits = np.unpackbits(packed, count=array.offset + len(array), bitorder="little")
    return bits[array.offset :].view(np.bool_)


def fixed_rows(array: pa.Array) -> NDArray[np.uint8]:
    """Return (n, width) the bytes of a fixed-width array, as a view."""
    width = array.type.byte_width
    size = len(array) * width
    if not size:
        return np.zeros((len(array), width), np.uint8)
    return np.frombuffer(array.buffers()[1], np.uint8, size, array.offset * width).reshape(-1, width)


def offset_rows(array: pa.Array) -> NDArray[Any]:
    """Return (n + 1,) where each row begins and ends in the values, as a view."""
    dtype = np.dtype(offset_dtype(array.type))
    if not len(array):
        return np.zeros(1, dtype)
    return np.frombuffer(array.buffers()[1], dtype, len(array) + 1, array.offset * dtype.itemsize)


def value_bytes(array: pa.Array) -> NDArray[np.uint8]:
    """Return all bytes the offsets of an array of texts or byte strings point into, as a view."""
    data = array.buffers()[2]
    return np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)


def _validity(array: pa.Array, hidden: Rows | None) -> Buffer:
    if array.null_count == 0:
        return _EMPTY
    shown = valid_rows(array)
    if hidden is not None:
        shown = shown | hidden
    return _EMPTY if shown.all() else _buffer(np.packbits(shown, bitorder="little"))


def _buffer(array: NDArray[Any], row_nbytes: int = 1) -> Buffer:
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return Buffer(memoryview(flat), row_nbytes)  # type: ignore[arg-type]  # numpy arrays are buffers


def _either(a: Rows | None, b: Rows | None) -> Rows | None:
    return b if a is None else a if b is None else a | b
