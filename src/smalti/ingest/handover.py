"""How a value that a confined process read reaches the process that stores it: as plain arrays, never as trust.

The folder holds ``content``, all buffers of the value one after the other, each on a boundary of 64 bytes, and
``description.json``, which says what they are in the headers that a store uses, so no parser of a foreign format runs
where it is read. Whoever reads takes every byte of both for hostile.
"""

from __future__ import annotations

import math
import mmap
import os
import re
import stat
from collections.abc import Mapping
from io import BufferedReader
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import canonical
from smalti.codecs import CODECS, BFloat16
from smalti.codecs.array import BFLOAT16
from smalti.errors import Refused
from smalti.store.segments import in_one
from smalti.store.values import Encoded, Tree

_DESCRIPTION, _CONTENT = "description.json", "content"
_ALIGNMENT = 64
_MOST_DESCRIPTION_NBYTES = 64 << 20
_MOST_CHILDREN = 1 << 16
_MOST_PARTS = 1 << 22  # batches of all columns of a table together
_MOST_LENGTH = 1 << 48
_MOST_AXES = 32
PLAIN_DTYPE = re.compile(r"\|[biu]1|<[iu][248]|<f[248]|<c(8|16)|\|S[1-9]\d{0,5}|<U[1-9]\d{0,5}|bfloat16")
_LAST_CODE_POINT = 0x10FFFF
# What the arrays of a class are: dtypes, and a letter for each axis; equal letters are equal lengths.
_FORMS: dict[str, dict[str, tuple[str, str]]] = {
    "scan": {
        "diffraction": ("<f4", "NHW"), "xcoords": ("<f8", "N"), "ycoords": ("<f8", "N"), "probeGuess": ("<c8", "PHW"),
        "objectGuess": ("<c8", "MK"), "scan_index": ("<i8", "N"), "bad_pixels": ("|b1", "HW"), "Y": ("<c8", "NHW"),
    },
    "product": {
        "probe_position_x_m": ("<f8", "N"), "probe_position_y_m": ("<f8", "N"),
        "probe_position_indexes": ("<i8", "N"), "probe": ("<c8 <c16", "CIHW"), "object": ("<c8 <c16", "LMK"),
        "object_layer_spacing_m": ("<f8", "S"), "loss_epochs": ("<i8", "E"), "loss_values": ("<f8", "E"),
        "opr_weights": ("<f8", "NC"), "probe_photon_counts": ("<f8", "N"),
        "raw_data/diffraction": ("|b1 |i1 |u1 <i2 <u2 <i4 <u4 <i8 <u8 <f2 <f4 <f8", "NYX"),
        "raw_data/xcoords": ("<f8", "N"), "raw_data/ycoords": ("<f8", "N"), "raw_data/scan_index": ("<i8", "N"),
        "raw_data/bad_pixels": ("|b1", "YX"),
    },
}  # fmt: skip
_TABLE_KEYS = {"kind", "columns", "metadata", "rows", "batches", "dictionaries", "bitmaps"}


def write(value: Any, folder: Path) -> None:
    """Write a scan, a product, an array, a mapping of arrays or an Arrow table into an empty folder.

    Raises:
        Refused: no store could keep it exactly.
    """
    encoded = CODECS.encode(value)
    with (folder / _CONTENT).open("xb") as content:

        def put(value: Encoded) -> dict[str, Any]:
            for buffer in value.buffers:
                content.write(in_one(buffer.data))
                content.write(bytes(-content.tell() % _ALIGNMENT))
            return {"header": value.header, "nbytes": [buffer.data.nbytes for buffer in value.buffers]}

        if isinstance(encoded, Tree):
            children = [[name, put(_object(name, child))] for name, child in encoded.children.items()]
            described = {"type": encoded.type, "attrs": dict(encoded.attrs), "children": children}
        else:
            described = put(encoded)
    (folder / _DESCRIPTION).write_bytes(canonical.text(described))


def _object(name: str, child: Any) -> Encoded:
    encoded = CODECS.encode(child)
    if isinstance(encoded, Tree):
        raise Refused(f"{name!r} is made of parts itself, and is not handed over; give arrays.")
    return encoded


def read(folder: Path, *, mapped: bool = True) -> Any:
    """Return the value in a folder that a process wrote which nobody trusts, and which has ended.

    What comes back is of exactly the type, dtype and shape that are described, and lies in the bytes that are there.

    Args:
        mapped: arrays lie in the file, which may be removed but must not be cut: where the writer left nobody behind.
            Else in memory.

    Raises:
        Refused: the folder holds anything but a value.
    """
    try:
        with _opened(folder / _DESCRIPTION, _MOST_DESCRIPTION_NBYTES) as file:
            described = canonical.loads(file.read())
        with _opened(folder / _CONTENT) as file:
            size = os.fstat(file.fileno()).st_size
            if mapped and size:
                content = memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
            else:
                content = memoryview(file.read(size))
        return _value(described, content)
    except Exception as error:  # whatever a parser or a constructor says to nonsense
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise Refused(f"what was handed over is no value ({why[:200]!a}); read the file again.") from error


def _opened(path: Path, most: int | None = None) -> BufferedReader:
    """Open a regular file that no link leads to."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb")
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or (most is not None and found.st_size > most):
        file.close()
        raise ValueError(f"{path.name} is no regular file, or too large")
    return file


def _value(described: Any, content: memoryview) -> Any:
    if "header" in described:
        _require(described.keys() == {"header", "nbytes"}, "an object is a header and sizes")
        (buffers,) = _cut([described["nbytes"]], content)
        return _decoded(described["header"], buffers)
    _require(described.keys() == {"type", "attrs", "children"}, "a tree is a type, attributes and children")
    type_name, attrs, children = described["type"], described["attrs"], described["children"]
    _require(isinstance(attrs, dict) and len(children) <= _MOST_CHILDREN, "a tree has attributes, and few children")
    parts = _cut([child["nbytes"] for _, child in children], content)
    values = {name: _decoded(child["header"], part) for (name, child), part in zip(children, parts, strict=True)}
    _require(len(values) == len(children) and all(isinstance(name, str) for name in values), "names are texts")
    if type_name is not None:
        _require_form(_FORMS[type_name], values)
        _require_words(values, attrs)
    _require(not values.keys() & attrs.keys(), "no child has the name of an attribute")
    return CODECS.assemble(Tree(values, attrs, type_name))


def _require(holds: bool, wanted: str) -> None:
    if not holds:
        raise ValueError(wanted)


def _require_form(form: Mapping[str, tuple[str, str]], values: Mapping[str, Any]) -> None:
    """Raise ValueError unless the arrays are what a class says they are."""
    lengths: dict[str, int] = {}
    for name, array in values.items():
        dtypes, axes = form[name]
        _require(isinstance(array, np.ndarray) and array.dtype.str in dtypes.split(), f"{name} is {dtypes}")
        _require(array.ndim == len(axes), f"{name} has the axes {axes}")
        for axis, length in zip(axes, array.shape, strict=True):
            _require(lengths.setdefault(axis, length) == length, f"{name} has the axes {axes}")


def _require_words(values: Mapping[str, Any], attrs: Mapping[str, Any]) -> None:
    """Raise ValueError unless what is said in words of a class, and of the patterns of a product, is text."""
    _require(isinstance(attrs.get("contract", ""), str), "a contract is a text")
    said = attrs.get("raw_data", {})
    _require(isinstance(said, dict) and all(isinstance(word, str) for word in said.values()), "patterns have texts")
    _require(bool(said) == any(name.startswith("raw_data/") for name in values), "texts are said of patterns")


def _cut(sizes: list[Any], content: memoryview) -> list[list[memoryview]]:
    """Return the buffers of each object; together they must be all there is."""
    flat = [size for each in sizes for size in each]
    _require(all(type(size) is int and 0 <= size <= len(content) for size in flat), "sizes are numbers from 0")
    starts = list(accumulate((-(-size // _ALIGNMENT) * _ALIGNMENT for size in flat), initial=0))
    _require(starts[-1] == len(content), f"the sizes fill {len(content)} bytes")
    pieces = iter([content[start : start + size] for start, size in zip(starts, flat, strict=False)])
    return [[next(pieces) for _ in each] for each in sizes]


def _decoded(header: Any, buffers: list[memoryview]) -> Any:
    match header:
        case {"kind": "array", "dtype": str(dtype), "shape": list(shape)} if len(header) == 3:
            (buffer,) = buffers
            return _array(dtype, shape, buffer)
        case {"kind": "array", "dtype": str(dtype), "shape": [], "scalar": True} if len(header) == 4:
            (buffer,) = buffers
            return np.asarray(_array(dtype, [], buffer))[()]
        case {"kind": "table"} if header.keys() <= _TABLE_KEYS:
            return _table(header, buffers)
    raise ValueError("an object is an array or a table")


def _array(dtype: str, shape: list[Any], buffer: memoryview) -> NDArray[Any] | BFloat16:
    _require(PLAIN_DTYPE.fullmatch(dtype) is not None, "a dtype of plain numbers or text")
    _require(len(shape) <= _MOST_AXES and all(map(_is_length, shape)), "axes are lengths")
    itemsize = 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize
    _require(math.prod(shape) * itemsize == buffer.nbytes, "as many bytes as dtype and shape say")
    if dtype[1] == "b":
        _require(int(np.frombuffer(buffer, np.uint8).max(initial=0)) <= 1, "a truth is 0 or 1")
    if dtype[1] == "U":
        _require(int(np.frombuffer(buffer, "<u4").max(initial=0)) <= _LAST_CODE_POINT, "text is of characters")
    array: NDArray[Any] | BFloat16 = CODECS.decode({"kind": "array", "dtype": dtype, "shape": shape}, [buffer])
    return array


def _table(header: Mapping[str, Any], buffers: list[memoryview]) -> Any:
    columns, rows, batches, dictionaries = (header[k] for k in ("columns", "rows", "batches", "dictionaries"))
    _require(bool(columns) and len(columns) * len(batches) <= _MOST_PARTS, "a table has columns, and few batches")
    _require(all(map(_is_length, (rows, *batches, *dictionaries))), "rows are counted")
    _require(sum(batches) == rows, "the batches are all rows")
    table = CODECS.decode(header, buffers)
    table.validate(full=True)
    return table


def _is_length(number: Any) -> bool:
    return type(number) is int and 0 <= number <= _MOST_LENGTH
