"""Which values an array file holds, and which rows may be added to one without losing anything."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}  # a kind holds the kinds of lower rank
_INSTEAD = {
    "M": "its .astype('int64'), or byte strings of it, numpy.datetime_as_string(it).astype('S')",
    "m": "its .astype('int64')",
    "U": "byte strings, numpy.asarray(it).astype('S') or text.encode()",
    "T": "byte strings, numpy.char.encode(it.astype('U'))",
    "O": "numbers or byte strings of one type, numpy.asarray(it, dtype)",
}


def as_array(value: object) -> NDArray[Any]:
    """Return what is stored of a value: an array of bool, integers, floats, complex, byte strings or a structure.

    Nothing is copied where the value is an array already.

    Raises:
        TypeError: it is text, None, a time, or other Python objects; the message says what to store in its place.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError("a masked array cannot be stored with its mask; store value.filled(...), and the mask beside.")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"this {type(value).__name__} is no array: {error}; make its rows equally long.") from error
    if isinstance(value, bytes) and array[()] != value:
        raise TypeError("a byte string that ends with zero bytes would lose them; store numpy.frombuffer(value, 'u1').")
    if array.dtype.kind in _INSTEAD:
        raise TypeError(
            f"a value of type {type(value).__name__} (dtype {array.dtype}) cannot be stored as an array; "
            f"store {_INSTEAD[array.dtype.kind]}."
        )
    if not _is_kept(array.dtype):
        raise TypeError(
            f"HDF5 does not keep the dtype {array.dtype} as it is; store numbers that it has, or a view: "
            "it.view('u2') for numbers of 16 bits."
        )
    return array


def rows_like(value: object, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return rows to add to an array, in its dtype.

    Python numbers, and lists of them, become floats of the array's precision, as numpy makes them; everything else
    has to be held exactly.

    Args:
        dtype, shape: of the array that they are added to.

    Raises:
        TypeError: they are no rows of such an array, or would be changed.
    """
    array = as_array(value)
    if array.ndim == 0 or not shape:
        which = "a single value" if array.ndim == 0 else "anything to a single value"
        raise TypeError(f"cannot add {which}: an array is extended by rows; give [value].")
    if array.shape[1:] != shape[1:]:
        raise TypeError(f"rows of shape {array.shape[1:]} cannot be added to an array with rows of shape {shape[1:]}.")
    if array.dtype == dtype:
        return array
    rounded = not isinstance(value, np.ndarray | np.generic) and type(value) in (list, tuple) and _is_python(value)
    cast = _cast(array, dtype, rounded)
    if cast is None:
        raise TypeError(
            f"rows of dtype {array.dtype} cannot be added to an array of dtype {dtype} without being changed; "
            f"convert them yourself, rows.astype({dtype.str!r}), or write the array anew."
        )
    return cast


def _cast(array: NDArray[Any], dtype: np.dtype[Any], rounded: bool) -> NDArray[Any] | None:
    """Return an array in another dtype, None where that changes a value."""
    if array.dtype.kind == dtype.kind == "S":
        return array.astype(dtype) if np.array_equal(array.astype(dtype), array) else None
    ranks = _RANK.get(array.dtype.kind), _RANK.get(dtype.kind)
    if ranks[0] is None or ranks[1] is None or ranks[0] > ranks[1]:
        return None
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
        if rounded and dtype.kind in "fc" and array.dtype.kind in "fc":
            return cast if np.array_equal(np.isfinite(cast), np.isfinite(array)) else None
        back = cast.astype(array.dtype)  # and back again: comparing an integer with a float rounds the integer
        same = (cast == array) & (back == array)
        if array.dtype.kind in "fc":
            same |= np.isnan(array) & np.isnan(cast)
    return cast if bool(same.all()) else None


def _is_python(value: object) -> bool:
    """Tell whether a value consists of Python's own numbers, whose precision nobody chose."""
    if isinstance(value, list | tuple):
        return all(map(_is_python, value))
    return type(value) in (bool, int, float, complex)


@cache
def _is_kept(dtype: np.dtype[Any]) -> bool:
    """Tell whether HDF5 gives a dtype back."""
    from h5py import h5t

    try:
        return dtype.itemsize > 0 and bool(h5t.py_create(dtype, logical=True).dtype == dtype)
    except (TypeError, ValueError):
        return False
