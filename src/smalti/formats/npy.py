"""One array in NumPy's own format; its header must account for every byte before memory is taken.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation, shown
from smalti.formats.content import Content
from smalti.formats.source import Source

MAGIC = b"\x93NUMPY"
_CHUNK_NBYTES = 1 << 20
_PLAIN_KINDS = "biufcUS"
_WANTED = "a whole .npy array"
_REMEDY = "write it again with numpy.save, without pickle"


def read(source: Source, _wanted: Collection[str] | None = None) -> Content:
    """Return the array of a bare .npy file, under the file's own name without its endings."""
    with source.mapped("the file", _WANTED):
        source.claim("the file", source.nbytes, _REMEDY)
        array = read_npy(source.file, source, "the file", source.nbytes)
    return Content({source.name.split(".")[0]: array})


def read_npy(opened: IO[bytes], source: Source, place: str, nbytes: int) -> NDArray[Any]:
    """Read one array from ``opened``, which holds ``nbytes`` in all."""
    shape, fortran_order, dtype = _header(opened)
    source.require(_header_breaches(shape, dtype, place, nbytes - opened.tell()))
    flat = np.empty(math.prod(shape), dtype)
    _fill(opened, flat.view(np.uint8).data)
    return flat.reshape(shape[::-1]).T if fortran_order else flat.reshape(shape)


def declared(opened: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type that the header of an array declares."""
    shape, _, dtype = _header(opened)
    return shape, dtype


def _header(opened: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(opened)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in header:
        raise ValueError(f"version {version} of the .npy format is for structured arrays")
    return header[version](opened)


def _header_breaches(shape: tuple[int, ...], dtype: np.dtype[Any], place: str, nbytes: int) -> Iterator[Violation]:
    if dtype.hasobject or dtype.kind not in _PLAIN_KINDS:
        found = "pickled Python objects" if dtype.hasobject else f"dtype {shown(str(dtype))}"
        yield Violation("member.dtype", place, found, "an array of plain numbers or text", _REMEDY)
    declared = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or declared != nbytes:
        found = f"{nbytes} bytes of data"
        wanted = f"{shown(str(declared))} bytes, as its header says ({dtype.str}, shape {shown(str(shape))})"
        yield Violation("member.size", place, found, wanted, "copy the file again from its source")


def _fill(opened: IO[bytes], target: memoryview) -> None:
    filled = 0
    while filled < len(target):
        chunk = opened.read(min(_CHUNK_NBYTES, len(target) - filled))
        if not chunk:
            raise EOFError(f"the data ends after {filled} of {len(target)} bytes")
        target[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
