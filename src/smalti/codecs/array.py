"""Arrays as ``.npy`` files whose data starts on a page; bfloat16 and the arrays of MLX among them.

Format: NEP 1, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html (version 1.0, or 3.0 where the
name of a field is not ASCII).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from smalti.canonical import Json
from smalti.codecs.dtype import array_from, bytes_of, canonical_array, check_truths, describe_dtype, dtype_of
from smalti.codecs.lazy_array import LazyArray
from smalti.errors import Damaged, Refused
from smalti.store.format.chunking import MAX_NBYTES
from smalti.store.read.reader import Reader
from smalti.store.segments import Segments
from smalti.store.values import Buffer, Encoded

BFLOAT16 = "bfloat16"
_PAGE_NBYTES = 4096
_MAGIC = b"\x93NUMPY"
_LONGEST_NPY_HEADER = 10_000  # numpy.load refuses a longer one
_MOST_AXES = 64  # numpy's own limit


@dataclass(frozen=True, eq=False, slots=True)
class BFloat16:
    """An array of bfloat16, which numpy has no dtype for; what an MLX array of that type comes back as.

    ``numpy.asarray`` gives float32, which holds every bfloat16 exactly;
    ``mlx.core.array(numpy.asarray(x.bits)).view(mlx.core.bfloat16)`` gives the MLX array back.

    Attributes:
        bits: uint16 of any shape, the upper half of each float32; lazy where the value was opened.
    """

    bits: NDArray[np.uint16] | LazyArray

    def __post_init__(self) -> None:
        if self.bits.dtype != np.uint16:
            raise Refused(f"the bits of a bfloat16 array are of dtype {self.bits.dtype}; give its uint16.")

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        wide = (np.asarray(self.bits).astype(np.uint32) << np.uint32(16)).view(np.float32)
        return np.array(wide, dtype, copy=copy)

    def _repr_html_(self) -> str:
        from smalti.notebook import shown

        return shown(self)


def is_array(value: Any) -> bool:
    """Tell whether a value is an array to a store: one of numpy (or a scalar), of MLX, of bfloat16, or a lazy one."""
    return isinstance(value, np.ndarray | np.generic | LazyArray | BFloat16) or _is_mlx(value)


def is_scalar(value: Any) -> bool:
    """Tell whether a value is a scalar of numpy, such as ``numpy.float64``, rather than an array without axes.

    Raises:
        Refused: it is a text or byte string that ends with zeros, which numpy takes off.
    """
    if not isinstance(value, np.generic):
        return False
    if isinstance(value, np.str_ | np.bytes_) and len(value) != len(np.asarray(value)[()]):
        raise Refused(
            f"{value!r} ends with zeros, which numpy takes off; store str(it), or bytes(it), which keep them."
        )
    return True


def plain_array(value: Any) -> tuple[NDArray[Any], Json]:
    """Return an array in the form that equal ones share, and how a header spells its dtype.

    Raises:
        Refused: it cannot be stored exactly.
    """
    if _is_mlx(value):
        value = _from_mlx(value)
    if isinstance(value, BFloat16):
        return canonical_array(np.asarray(value.bits)), BFLOAT16
    array = canonical_array(value if isinstance(value, np.ndarray) else np.asarray(value))
    return array, describe_dtype(array.dtype)


def array_of(dtype: Any, shape: Any, data: memoryview, scalar: bool = False) -> Any:
    """Return the array of that dtype, as ``plain_array`` spells it, and shape; nothing is copied.

    Args:
        scalar: return a numpy scalar, such as ``numpy.float64``, in place of an array without axes.

    Raises:
        Damaged: the data is not that of such an array.
    """
    lengths, in_file = _checked(dtype, shape, data.nbytes)
    array = array_from(data, in_file, lengths)
    check_truths(array)
    if scalar:
        return array[()]
    return BFloat16(array) if dtype == BFLOAT16 else array


class ArrayCodec:
    """numpy arrays and scalars of every dtype that is data, MLX arrays, bfloat16; equal values have equal bytes.

    What is normalised: byte order little endian, memory order C. Fields of a structure are packed, since what pads
    them is not data; every true is a 1; the ``metadata`` of a dtype is dropped, since numpy leaves it out of account
    too. bfloat16 lies in the file as uint16. A scalar lies there as an array without axes; ``"scalar": true`` in the
    header tells the two apart.
    """

    kind = "array"

    def accepts(self, value: Any) -> bool:
        return is_array(value)

    def encode(self, value: Any) -> Encoded:
        array, dtype = plain_array(value)
        encoded = encode_bytes(dtype, array.shape, bytes_of(array))
        return replace(encoded, header={**encoded.header, "scalar": True}) if is_scalar(value) else encoded

    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> Any:
        (data,) = buffers
        return array_of(header["dtype"], header["shape"], data, says_scalar(header, {"kind"}))

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> Any:
        if says_scalar(header, {"kind"}):
            return self.decode(header, reader.whole())
        ((_, nbytes),) = reader.record.buffers
        lazy = LazyArray(*_checked(header["dtype"], header["shape"], nbytes), reader)
        return BFloat16(lazy) if header["dtype"] == BFLOAT16 else lazy


def encode_bytes(dtype: Json, shape: tuple[int, ...], data: memoryview | Segments) -> Encoded:
    """Return the array of that dtype, as ``plain_array`` spells it, and shape whose bytes these are."""
    header: dict[str, Json] = {"kind": "array", "dtype": dtype, "shape": list(shape)}
    framing = npy_header(*described(header))
    return Encoded(header, "data.npy", (framing, Buffer(data, _row_nbytes(shape, dtype_in_file(dtype).itemsize))))


def described(header: Mapping[str, Any]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape of an array and its dtype in the file."""
    return tuple(header["shape"]), dtype_in_file(header["dtype"])


def says_scalar(header: Mapping[str, Any], others: Collection[str] = ()) -> bool:
    """Tell whether what describes an array says that it is a scalar.

    Args:
        others: the fields it has besides those of an array.

    Raises:
        Damaged: it has more than those of an array: no codec writes it, and the value would have another address.
    """
    scalar = "scalar" in header
    if header.keys() - {"scalar"} != {"dtype", "shape", *others} or (scalar and header["scalar"] is not True):
        raise Damaged(f"an array is described by {sorted(header)[:8]}, as no codec does; restore it.")
    if scalar and (header["shape"] != [] or header["dtype"] == BFLOAT16):
        raise Damaged(f"a scalar is described as of the shape {str(header['shape'])[:80]}; restore it.")
    return scalar


def _checked(dtype: Any, shape: Any, nbytes: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype in the file of an array of so many bytes; a header may say anything."""
    in_file = dtype_in_file(dtype)
    try:
        lengths = tuple(shape) if len(shape) <= _MOST_AXES else (-1,)
        fits = all(type(length) is int and length >= 0 for length in lengths)
        if fits and math.prod(lengths) * in_file.itemsize == nbytes:
            if not nbytes:
                np.ndarray(lengths, in_file)  # other axes may be too long, beside one of length 0
            return lengths, in_file
    except (TypeError, ValueError):
        pass
    raise Damaged(f"a header says {str(shape)[:80]} for the shape of {nbytes} bytes of {in_file}; restore it.")


def dtype_in_file(dtype: Any) -> np.dtype[Any]:
    """Return the numpy dtype of what a header describes; bfloat16 lies in the file as uint16."""
    return np.dtype("<u2") if dtype == BFLOAT16 else dtype_of(dtype)


def _is_mlx(value: Any) -> bool:
    return type(value).__module__ == "mlx.core" and type(value).__name__ == "array"


def _from_mlx(value: Any) -> NDArray[Any] | BFloat16:
    """Return an MLX array without importing mlx, which whoever made the array has done."""
    core = sys.modules["mlx.core"]
    return BFloat16(np.asarray(value.view(core.uint16))) if value.dtype == core.bfloat16 else np.asarray(value)


def _row_nbytes(shape: tuple[int, ...], itemsize: int) -> int:
    """Return the size of the largest block of trailing axes that fits one leaf: what counts as a row."""
    row = max(1, itemsize)
    if row > MAX_NBYTES:
        return 1
    for length in reversed(shape[1:]):
        if row * length > MAX_NBYTES or not length:
            break
        row *= length
    return row


def npy_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """Return the file's own header, padded with spaces so that large data starts on a page.

    Raises:
        Refused: the dtype has so many fields that numpy would not read the file.
    """
    descr = np.lib.format.dtype_to_descr(dtype)
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    magic, size_nbytes = (_MAGIC + b"\x01\x00", 2) if text.isascii() else (_MAGIC + b"\x03\x00", 4)
    encoded = text.encode()
    align = _PAGE_NBYTES if math.prod(shape) * dtype.itemsize >= _PAGE_NBYTES else 64
    total = -(-(len(magic) + size_nbytes + len(encoded) + 1) // align) * align
    if total > _LONGEST_NPY_HEADER:
        raise Refused(
            f"a structure of {len(dtype.names or ())} fields has too long a .npy header; store it as a table."
        )
    padded = encoded.ljust(total - len(magic) - size_nbytes - 1) + b"\n"
    return magic + len(padded).to_bytes(size_nbytes, "little") + padded
