"""Hypothesis strategies for what a store holds: arrays, bytes, weights, JSON, trees of them, and names.

Those for tables are in ``smalti.testing.tables``.

>>> from hypothesis import given
>>> from smalti.testing.strategies import values
>>> @given(value=values())
... def test_my_function_keeps_every_value(value): ...
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from smalti.codecs import Weights

PLAIN_DTYPES: st.SearchStrategy[np.dtype[Any]] = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.unsigned_integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64))
    | hnp.complex_number_dtypes(endianness="?", sizes=(64, 128))
    | hnp.datetime64_dtypes(endianness="?")
    | hnp.timedelta64_dtypes(endianness="?")
    | hnp.byte_string_dtypes(min_len=1, max_len=5)
    | hnp.unicode_string_dtypes(endianness="?", min_len=1, max_len=5)
)
"""Every dtype that is data, in either byte order."""

WEIGHT_DTYPES = ("?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8")
"""The dtypes that safetensors holds."""


@st.composite
def arrays(draw: st.DrawFn, dtypes: st.SearchStrategy[np.dtype[Any]] = PLAIN_DTYPES) -> NDArray[Any]:
    """Arrays of 0 to 4 axes of 0 to 5, laid out in C or F order, strided, reversed, or read-only."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    array: NDArray[Any] = draw(hnp.arrays(draw(dtypes), shape))
    laid_out: NDArray[Any] = draw(st.sampled_from(LAYOUTS))(array)
    return laid_out


def _fortran(array: NDArray[Any]) -> NDArray[Any]:
    return np.array(array, order="F")


def _strided(array: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array


def _reversed(array: NDArray[Any]) -> NDArray[Any]:
    return np.array(array[::-1])[::-1] if array.ndim else array


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array = np.array(array)
    array.flags.writeable = False
    return array


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    return np.array(array, order="C")


LAYOUTS = (_plain, _fortran, _strided, _reversed, _read_only)
"""Functions that return an equal array, laid out differently in memory."""


@st.composite
def large_arrays(draw: st.DrawFn) -> NDArray[Any]:
    """Arrays of 64 to 768 KiB: many leaves, rows short and long; incompressible, all equal, or repeating."""
    dtype = np.dtype(draw(st.sampled_from(["u1", "u2", "f4", "f8", "c8"])))
    row_items = draw(st.sampled_from([1, 3, 256, 4096]))
    rows = draw(st.integers(64 * 1024, 768 * 1024)) // (row_items * dtype.itemsize)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    noise = rng.integers(0, 256, rows * row_items * dtype.itemsize, np.uint8)
    match draw(st.sampled_from(["noise", "equal", "repeating"])):
        case "equal":
            noise[:] = noise[:1]
        case "repeating":
            noise = np.resize(noise[: max(1, len(noise) // 4)], len(noise))
    return noise.view(dtype).reshape(rows, row_items)


@st.composite
def edits(draw: st.DrawFn, array: NDArray[Any]) -> NDArray[Any]:
    """Near-duplicates of ``array``, which has rows: some changed, inserted, removed or appended."""
    at = draw(st.integers(0, len(array)))
    count = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    nbytes = count * array.dtype.itemsize * int(np.prod(array.shape[1:]))
    fresh = rng.integers(0, 256, nbytes, np.uint8).view(array.dtype).reshape(count, *array.shape[1:])
    match draw(st.sampled_from(["change", "insert", "remove", "append"])):
        case "change":
            changed = array.copy()
            changed[at : at + count] = fresh[: len(changed[at : at + count])]
            return changed
        case "insert":
            return np.concatenate([array[:at], fresh, array[at:]])
        case "remove":
            return np.concatenate([array[:at], array[at + count :]])
        case _:
            return np.concatenate([array, fresh])


def weights() -> st.SearchStrategy[Weights]:
    """Named tensors of every dtype that safetensors holds."""
    dtypes = st.sampled_from(WEIGHT_DTYPES).map(np.dtype)
    return st.dictionaries(_KEYS, arrays(dtypes), max_size=4).map(Weights)


def values(max_leaves: int = 6) -> st.SearchStrategy[Any]:
    """What a store holds without further classes: arrays, numpy's scalars, bytes, weights, JSON, mappings of these."""
    objects = arrays() | scalars() | st.binary(max_size=100) | weights() | documents()
    members = st.recursive(
        objects | JSON, lambda inner: st.dictionaries(_KEYS, inner, max_size=4), max_leaves=max_leaves
    )
    return objects | trees(members)


def scalars() -> st.SearchStrategy[Any]:
    """Scalars of numpy, which are no arrays without axes; some are numbers or texts of Python too."""
    return PLAIN_DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, ())).map(lambda array: array[()])


def documents() -> st.SearchStrategy[Any]:
    """JSON that is no mapping: that would be a tree."""
    return JSON.filter(lambda value: not isinstance(value, dict))


def trees(members: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings of text to ``members``: arrays, bytes, weights, JSON and mappings where not said otherwise."""
    return st.dictionaries(_KEYS, members if members is not None else values(), max_size=4)


_TEXT = st.characters(codec="utf-8")  # leaves out half surrogate pairs, which are no text
_KEYS = st.text(_TEXT, max_size=12)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(_TEXT, max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(_KEYS, inner, max_size=3)
    ),
    max_leaves=5,
)
"""What JSON can write down, and tuples: a document comes back with the types it had."""


def names() -> st.SearchStrategy[str]:
    """Names people may give to values: segments joined by ``/``; lower case, since some file systems ignore case."""
    segment = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,10}", fullmatch=True)
    return st.lists(segment, min_size=1, max_size=3).map("/".join).map(str.lower)
