"""Which numpy dtypes are data, the form that equal arrays share, and how a header spells a dtype."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import canonical
from smalti.canonical import Json
from smalti.errors import Damaged, Refused

_KINDS = "biufcmMSUV"
# How numpy spells those that are not structures; much else that it takes for a dtype is no data.
_PLAIN = re.compile(
    r"\|[bui]1|[|][SV]\d{1,10}|<(?:[ui][248]|f[248]|c8|c16|U\d{1,10}|[mM]8(?:\[\d{0,18}(?:[YMWDhms]|[munpfa]s)\])?)"
)


def canonical_array(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in the form that equal ones share: C order, little endian, packed, every true a 1.

    Raises:
        Refused: it is more than an array, or its dtype is no data.
    """
    if type(array) not in (np.ndarray, np.memmap):
        raise Refused(
            f"a {type(array).__name__} would come back as a plain array; store numpy.asarray(it), and what it says "
            "besides, such as a mask or a unit, beside it."
        )
    array = np.asarray(array, canonical_dtype(array.dtype), order="C")
    if any(truths.max(initial=0) > 1 for truths in _booleans(array)):
        array = array.copy()
        for truths in _booleans(array):
            np.minimum(truths, 1, out=truths)
    return array


def _booleans(array: NDArray[Any]) -> Iterator[NDArray[np.uint8]]:
    """Yield views of the bytes of all booleans: numpy takes any byte but 0 for true."""
    if array.dtype.kind == "b":
        yield array.view(np.uint8)
    for name in array.dtype.names or ():
        yield from _booleans(array[name])


def canonical_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that equal values share: little endian, fields packed.

    Raises:
        Refused: it holds Python objects, or differs from machine to machine, or its fields overlap.
    """
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return np.dtype((canonical_dtype(base), shape))
    if dtype.names is not None:
        fields = {name: dtype.fields[name] for name in dtype.names}  # type: ignore[index]
        ends = sorted((place[1], place[1] + place[0].itemsize) for place in fields.values())
        if (
            not fields
            or any(a[1] > b[0] for a, b in pairwise(ends))
            or any(len(place) > 2 for place in fields.values())
        ):
            raise Refused(f"an array of dtype {dtype} cannot be stored: its fields overlap, have titles, or are none.")
        return np.dtype([(name, canonical_dtype(place[0])) for name, place in fields.items()])
    if dtype.kind not in _KINDS or dtype.isbuiltin == 2 or dtype in (np.longdouble, np.clongdouble):
        raise Refused(
            f"an array of dtype {dtype} cannot be stored exactly on every machine; convert it to "
            "bool, integers, floats up to 64 bit, complex, datetime64, timedelta64, fixed-size text or a structure."
        )
    return dtype.newbyteorder("<")


def describe_dtype(dtype: np.dtype[Any]) -> Json:
    """Return numpy's own spelling: a string, or for a structure a list of [name, dtype] or [name, dtype, shape]."""
    if dtype.names is None:
        return dtype.str
    described: list[Json] = []
    for name in dtype.names:
        field = dtype[name]
        base, shape = field.subdtype if field.subdtype is not None else (field, ())
        described.append([name, describe_dtype(base), *([list(shape)] if shape else [])])
    return described


def dtype_of(described: Any) -> np.dtype[Any]:
    """Return the dtype that ``describe_dtype`` described.

    Raises:
        Damaged: it describes none; what comes from another store may hold anything.
    """
    if type(described) is str and (plain := _plain_dtype(described)) is not None:
        return plain
    try:
        dtype = _structure_of(described)
        if canonical.dumps(describe_dtype(canonical_dtype(dtype))) == canonical.dumps(described):
            return dtype
    except (Refused, TypeError, ValueError, LookupError, OverflowError, RecursionError):
        pass
    raise Damaged(f"a header says {str(described)[:80]!r} where it has the dtype of an array; restore it.")


def any_dtype_of(described: Any) -> np.dtype[Any]:
    """Return the same of any spelling that numpy knows; it may be no data, and numpy says of some that it is none."""
    if isinstance(described, str):
        return np.dtype(described)
    fields = [(name, any_dtype_of(base), *(tuple(shape) for shape in more)) for name, base, *more in described]
    return np.dtype(fields)


@cache
def _plain_dtype(described: str) -> np.dtype[Any] | None:
    try:
        dtype = np.dtype(described) if _PLAIN.fullmatch(described) else None
    except (TypeError, ValueError, OverflowError):
        return None
    return dtype if dtype is not None and dtype.str == described else None


def _structure_of(described: Any) -> np.dtype[Any]:
    if not isinstance(described, list):
        raise TypeError("a structure is a list of fields")
    fields = [(name, _field_dtype(base), *(tuple(shape) for shape in more)) for name, base, *more in described]
    return np.dtype(fields)


def _field_dtype(described: Any) -> np.dtype[Any]:
    if isinstance(described, str):
        plain = _plain_dtype(described)
        if plain is None:
            raise ValueError("it is no dtype")
        return plain
    return _structure_of(described)


def check_truths(array: NDArray[Any]) -> None:
    """Pass an array whose booleans are all 0 or 1, as those of every array that was stored are.

    Raises:
        Damaged: one is another byte.
    """
    if any(truths.max(initial=0) > 1 for truths in _booleans(array)):
        raise Damaged("an array holds booleans that are neither 0 nor 1, which no store writes; restore it.")


def bytes_of(array: NDArray[Any]) -> memoryview:
    """Return the bytes of an array in C order, as a view."""
    return memoryview(array.reshape(-1).view(np.uint8) if array.nbytes else b"")  # type: ignore[arg-type]


def array_from(data: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the array of those bytes, as a view."""
    return np.ndarray(shape, dtype, data if math.prod(shape) * dtype.itemsize else b"")
