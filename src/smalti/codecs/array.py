"""Arrays as ``.npy`` files whose data starts on a page, and a lazy array that reads rows on demand.

Format: NEP 1, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html (version 1.0, or 3.0 where the
name of a field is not ASCII).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from smalti.canonical import Json
from smalti.errors import Refused
from smalti.store.leaves import MAX_NBYTES
from smalti.store.reader import Reader
from smalti.store.values import Buffer, Encoded

_KINDS = "biufcmMSUV"
_BFLOAT16 = "bfloat16"
_PAGE_NBYTES = 4096
_CHUNK_NBYTES = 1024 * 1024
_MAGIC = b"\x93NUMPY"
_LONGEST_NPY_HEADER = 10_000  # numpy.load refuses a longer one


class LazyArray:
    """A stored array of which nothing is read until it is indexed; what is read is verified.

    Indexing along the first axis reads only the leaves that hold the rows asked for; the result is a
    read-only view of the mapped file. ``numpy.asarray`` reads everything. ``dask.array.from_array`` takes it as it is.
    """

    def __init__(self, header: Mapping[str, Json], reader: Reader) -> None:
        self.shape, self.dtype = _described(header)
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

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of a block worth reading at once: whole rows, about 1 MiB."""
        if not self.shape:
            return ()
        row_nbytes = max(1, self.nbytes // max(1, self.shape[0]))
        return (min(max(1, _CHUNK_NBYTES // row_nbytes), self.shape[0]), *self.shape[1:])

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a 0-d array has no length")
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        first, *rest = key if isinstance(key, tuple) and key else (key,)
        rows = self._rows(first)
        if rows is None:
            return np.asarray(self)[key]
        row_nbytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        data = self._reader.read(0, rows.start * row_nbytes, rows.stop * row_nbytes)
        block = _array_from(data, self.dtype, (len(rows), *self.shape[1:]))
        if not isinstance(first, slice):
            return block[(0, *rest)]
        return block[(slice(None, None, first.step), *rest)]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        whole = _array_from(self._reader.read(), self.dtype, self.shape)
        return np.array(whole, dtype, copy=copy)

    def _rows(self, index: Any) -> range | None:
        """Return the contiguous rows that a first index touches, or None where only the whole array will do."""
        if not self.shape or not self.nbytes:
            return None
        if isinstance(index, slice):
            rows = range(*index.indices(self.shape[0]))
            return range(min(rows), max(rows) + 1) if rows else range(0)
        if isinstance(index, int | np.integer) and not isinstance(index, bool):
            row = int(index) + (self.shape[0] if index < 0 else 0)
            return range(row, row + 1) if 0 <= row < self.shape[0] else None
        return None


@dataclass(frozen=True, eq=False, slots=True)
class BFloat16:
    """An array of bfloat16, which numpy has no dtype for; what an MLX array of that type comes back as.

    ``numpy.asarray`` gives float32, which holds every bfloat16 exactly; ``mlx.core.array(x.bits).view(bfloat16)``
    gives the MLX array back.

    Attributes:
        bits: uint16 of any shape, the upper half of each float32.
    """

    bits: NDArray[np.uint16]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        wide = (np.asarray(self.bits, np.uint32) << np.uint32(16)).view(np.float32)
        return np.array(wide, dtype, copy=copy)


class ArrayCodec:
    """numpy arrays and scalars of every dtype that is data, MLX arrays, bfloat16; equal values have equal bytes.

    Byte order becomes little endian and memory order C. The fields of a structured dtype are packed: what pads them
    is not data. bfloat16 lies in the file as uint16.
    """

    kind = "array"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, np.ndarray | np.generic | LazyArray | BFloat16) or _is_mlx(value)

    def encode(self, value: Any) -> Encoded:
        masked = sys.modules.get("numpy.ma")  # importing it costs more than a small put
        if masked and isinstance(value, masked.MaskedArray):
            raise Refused("a masked array cannot be stored as one; store its data and its mask as two arrays.")
        if _is_mlx(value):
            value = _from_mlx(value)
        array = np.asarray(value.bits if isinstance(value, BFloat16) else value)
        array = np.asarray(array, canonical_dtype(array.dtype), order="C")
        described = _BFLOAT16 if isinstance(value, BFloat16) else _describe_dtype(array.dtype)
        header: dict[str, Json] = {"kind": "array", "dtype": described, "shape": list(array.shape)}
        data = memoryview(array.reshape(-1).view(np.uint8) if array.nbytes else b"")  # type: ignore[arg-type]
        return Encoded(header, "data.npy", (_npy_header(array), Buffer(data, _row_nbytes(array))))

    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> NDArray[Any] | BFloat16:
        shape, dtype = _described(header)
        array = _array_from(buffers[0], dtype, shape)
        return BFloat16(array) if header["dtype"] == _BFLOAT16 else array

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> LazyArray | BFloat16:
        if header["dtype"] == _BFLOAT16:
            return BFloat16(np.asarray(LazyArray({**header, "dtype": "<u2"}, reader)))
        return LazyArray(header, reader)


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


def _describe_dtype(dtype: np.dtype[Any]) -> Json:
    """Return numpy's own spelling: a string, or for a structure a list of [name, dtype] or [name, dtype, shape]."""
    if dtype.names is None:
        return dtype.str
    described: list[Json] = []
    for name in dtype.names:
        field = dtype[name]
        base, shape = field.subdtype if field.subdtype is not None else (field, ())
        described.append([name, _describe_dtype(base), *([list(shape)] if shape else [])])
    return described


def _dtype_of(described: Any) -> np.dtype[Any]:
    if described == _BFLOAT16:
        return np.dtype("<u2")
    if isinstance(described, str):
        return np.dtype(described)
    return np.dtype([(name, _dtype_of(base), *(tuple(shape) for shape in more)) for name, base, *more in described])


def _described(header: Mapping[str, Json]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    shape = header["shape"]
    assert isinstance(shape, list)
    return tuple(int(n) for n in shape), _dtype_of(header["dtype"])  # type: ignore[arg-type]


def _array_from(data: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.ndarray(shape, dtype, data if data.nbytes else b"")


def _is_mlx(value: Any) -> bool:
    return type(value).__module__ == "mlx.core" and type(value).__name__ == "array"


def _from_mlx(value: Any) -> NDArray[Any] | BFloat16:
    """Return an MLX array without importing mlx, which whoever made the array has done."""
    core = sys.modules["mlx.core"]
    return BFloat16(np.asarray(value.view(core.uint16))) if value.dtype == core.bfloat16 else np.asarray(value)


def _row_nbytes(array: NDArray[Any]) -> int:
    """Return the size of the largest block of trailing axes that fits one leaf: what counts as a row."""
    row = max(1, array.dtype.itemsize)
    if row > MAX_NBYTES:
        return 1
    for length in reversed(array.shape[1:]):
        if row * length > MAX_NBYTES or not length:
            break
        row *= length
    return row


def _npy_header(array: NDArray[Any]) -> bytes:
    """Return the file's own header, padded with spaces so that large data starts on a page."""
    descr = np.lib.format.dtype_to_descr(array.dtype)
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {array.shape!r}, }}"
    magic, size_nbytes = (_MAGIC + b"\x01\x00", 2) if text.isascii() else (_MAGIC + b"\x03\x00", 4)
    encoded = text.encode()
    align = _PAGE_NBYTES if array.nbytes >= _PAGE_NBYTES else 64
    total = -(-(len(magic) + size_nbytes + len(encoded) + 1) // align) * align
    if total > _LONGEST_NPY_HEADER:
        raise Refused(
            f"a structure of {len(array.dtype.names or ())} fields has too long a .npy header; store it as a table."
        )
    padded = encoded.ljust(total - len(magic) - size_nbytes - 1) + b"\n"
    return magic + len(padded).to_bytes(size_nbytes, "little") + padded
