"""Which of the arrays that are said to lie in bytes can lie there, as a store keeps arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from smalti.canonical import Json
from smalti.codecs.array import BFLOAT16, npy_header
from smalti.codecs.dtype import any_dtype_of, canonical_dtype, describe_dtype
from smalti.errors import Refused
from smalti.store.values import ArrayInside

LEAST_NBYTES = 64 * 1024  # of an array
MOST_ARRAYS, MOST_RUNS = 4096, 1 << 16  # of one file
MOST_AXES = 32
_LEAST_MEAN_RUN_NBYTES = 16 * 1024  # an array in smaller pieces costs more to find than it saves
_BLOCK_NBYTES = 1 << 20


def sound_arrays(said: Iterable[ArrayInside], data: memoryview) -> tuple[ArrayInside, ...]:
    """Return the arrays that can lie in ``data`` as is said, in the same order; runs that touch become one.

    Each has a dtype and a byte order as arrays are stored in, and exactly the bytes of its shape, inside ``data``. Of
    arrays that overlap none is returned. Nothing tells here whether the bytes are those of that array.
    """
    few = (array for array in islice(said, MOST_ARRAYS) if _is_possible(array, data.nbytes))
    joined = [replace(array, runs=tuple(_joined(array.runs))) for array in few]
    found, count = [], 0
    for array in joined:
        count += len(array.runs)
        if count > MOST_RUNS:
            break
        if _nbytes(array) >= _LEAST_MEAN_RUN_NBYTES * len(array.runs):
            found.append(array)
    overlapping = _overlapping(found)
    return tuple(
        replace(array, dtype=_spelled(array.dtype))
        for index, array in enumerate(found)
        if index not in overlapping and (_dtype(array.dtype).kind != "b" or _are_truths(array, data))
    )


def _is_possible(array: ArrayInside, size: int) -> bool:
    """Tell whether an array of that dtype and shape can be stored, and the runs are its bytes, inside so many."""
    numbers = (*array.shape, *(number for run in array.runs for number in run))
    if not all(type(number) is int and 0 <= number <= size for number in numbers) or len(array.shape) > MOST_AXES:
        return False
    try:
        dtype = _dtype(array.dtype)
        if array.dtype != BFLOAT16 and (canonical_dtype(dtype) != dtype or _holds_truths_within(dtype)):
            return False
        npy_header(array.shape, dtype)
    except (Refused, TypeError, ValueError, OverflowError, RecursionError):
        return False
    return LEAST_NBYTES <= math.prod(array.shape) * dtype.itemsize == _nbytes(array) and all(
        nbytes and offset + nbytes <= size for offset, nbytes in array.runs
    )


def _dtype(described: Json) -> np.dtype[Any]:
    return np.dtype("<u2") if described == BFLOAT16 else any_dtype_of(described)


def _spelled(described: Json) -> Json:
    """Return the one spelling of a dtype: ``|u1`` of ``<u1``."""
    return BFLOAT16 if described == BFLOAT16 else describe_dtype(_dtype(described))


def _holds_truths_within(dtype: np.dtype[Any]) -> bool:
    """Tell whether a structure holds booleans, which lie scattered: an array is stored with every true a 1."""
    if dtype.subdtype is not None:
        return dtype.base.kind == "b" or _holds_truths_within(dtype.base)
    fields = [dtype[name] for name in dtype.names or ()]
    return any(field.kind == "b" or _holds_truths_within(field) for field in fields)


def _are_truths(array: ArrayInside, data: memoryview) -> bool:
    """Tell whether every byte is 0 or 1."""
    return all(
        int(np.frombuffer(data[start : min(start + _BLOCK_NBYTES, offset + nbytes)], np.uint8).max()) <= 1
        for offset, nbytes in array.runs
        for start in range(offset, offset + nbytes, _BLOCK_NBYTES)
    )


def _nbytes(array: ArrayInside) -> int:
    return sum(nbytes for _, nbytes in array.runs)


def _joined(runs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the runs, those that follow one another without a gap as one."""
    begin = end = 0
    for offset, nbytes in runs:
        if offset != end and end > begin:
            yield begin, end - begin
        begin, end = (begin if offset == end and end > begin else offset), offset + nbytes
    if end > begin:
        yield begin, end - begin


def _overlapping(arrays: list[ArrayInside]) -> set[int]:
    """Return the indexes of arrays that share a byte with another, or with themselves."""
    found: set[int] = set()
    reached, owner = 0, 0
    for start, end, index in sorted((o, o + n, i) for i, array in enumerate(arrays) for o, n in array.runs):
        if start < reached:
            found |= {owner, index}
        if end > reached:
            reached, owner = end, index
    return found
