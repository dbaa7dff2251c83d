"""Whether an object of another store is what its header says: nothing in it is trusted, and none is handed out.

Content that was verified leaf by leaf is what was put; that whoever put it meant well, nobody has proven. So types are
built from a header only where they are ones that a codec writes, sizes have to fit, and the file around the content
has to be the one that belongs to it: other tools read that, and not the header.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smalti.errors import Damaged, Refused

_WRONG = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError, struct.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Object:
    """An object as it came: header, content, the other bytes of its file, and where in that each buffer begins."""

    header: Mapping[str, Any]
    buffers: Sequence[memoryview]
    framing: bytes
    offsets: list[int]


def check_header(header: Mapping[str, Any], sizes: Sequence[int]) -> None:
    """Pass a header that describes content in buffers of these sizes.

    Raises:
        Damaged: it does not, or no value can be made of it.
        Refused: it is of a kind that this version does not know.
    """
    check = _kind(header)[0]
    try:
        if unknown := header.keys() - _FIELDS.get(header["kind"], header.keys()):
            raise ValueError(f"it says {sorted(unknown)[0]!r}")
        check(header, list(sizes))
    except _WRONG as error:
        raise Damaged(f"its header describes no {header['kind']} in {len(sizes)} buffers: {error}") from error


def check_object(header: Mapping[str, Any], buffers: Sequence[memoryview], framing: bytes, offsets: list[int]) -> None:
    """Pass an object whose content and file are what its header says.

    Args:
        buffers: its content, verified.
        framing: the other bytes of its file.
        offsets: where in the file each buffer begins.

    Raises:
        Damaged: they are not.
        Refused: it is of a kind that this version does not know.
    """
    check_header(header, [len(buffer) for buffer in buffers])
    try:
        _kind(header)[1](_Object(header, buffers, framing, offsets))
    except _WRONG as error:
        raise Damaged(f"its file is not that of the {header['kind']} in its header: {error}") from error


def _array_header(header: Mapping[str, Any], sizes: list[int]) -> None:
    from smalti.codecs.array import says_scalar

    (nbytes,) = sizes
    says_scalar(header, {"kind"})
    _check_array(header["dtype"], header["shape"], nbytes)


def _check_array(dtype: Any, shape: Any, nbytes: int) -> None:
    import numpy as np

    from smalti.codecs.array import dtype_in_file

    if not isinstance(shape, list) or any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"the shape {shape!r}")
    if math.prod(shape) * dtype_in_file(dtype).itemsize != nbytes:
        raise ValueError(f"{dtype!r} of shape {shape} in {nbytes} bytes")
    np.broadcast_to(np.empty((), dtype_in_file(dtype)), shape)  # raises where no array can have that shape


def _array_file(one: _Object) -> None:
    from smalti.codecs.array import described, npy_header

    _check_framing(one, npy_header(*described(one.header)))


def _weights_header(header: Mapping[str, Any], sizes: list[int]) -> None:
    from smalti.codecs.array import says_scalar
    from smalti.codecs.weights import in_file_order

    for name, nbytes in zip(in_file_order(header["tensors"]), sizes, strict=True):
        described = header["tensors"][name]
        says_scalar(described)
        _check_array(described["dtype"], described["shape"], nbytes)


def _weights_file(one: _Object) -> None:
    from smalti.codecs.weights import WeightsCodec

    codec = WeightsCodec()
    _check_framing(one, codec.encode(codec.decode(one.header, list(one.buffers))).pieces[0])


def _check_framing(one: _Object, wanted: object) -> None:
    if one.framing != wanted or (one.offsets and one.offsets[0] != len(one.framing)):
        raise ValueError("it begins otherwise")


def _bytes_header(header: Mapping[str, Any], sizes: list[int]) -> None:
    (nbytes,) = sizes
    if header["nbytes"] != nbytes or len(bytes.fromhex(header["sha256"])) != 32:
        raise ValueError(f"{header['nbytes']!r} bytes of the SHA-256 {header['sha256']!r}")


def _bytes_file(one: _Object) -> None:
    if one.framing:
        raise ValueError(f"there are {len(one.framing)} bytes more in it")


def _json_header(header: Mapping[str, Any], sizes: list[int]) -> None:
    if sizes or "value" not in header:
        raise ValueError("a document has a value and no content")


def _json_file(_: _Object) -> None:
    """A document has no file."""


def _table_header(header: Mapping[str, Any], sizes: list[int]) -> None:
    from smalti.codecs.table import check_bitmaps, layout_of

    _, layout = layout_of(header)
    check_bitmaps(header, layout, sizes)


def _table_file(one: _Object) -> None:
    """Read the table as we do and the file as Arrow does; both have to be sound, and the same."""
    import pyarrow as pa

    from smalti.codecs.arrow.file import columns_of, pieces_of
    from smalti.codecs.table import layout_of, value_of
    from smalti.store.values import Buffer

    schema, layout = layout_of(one.header)
    columns = columns_of(layout, one.buffers)
    for column in columns:
        column.validate(full=True)
    value_of(one.header, schema, columns, range(one.header["rows"]))
    read = pa.ipc.open_file(pa.BufferReader(_joined(one))).read_all()
    read.validate(full=True)
    again, pieces = pieces_of(read, layout.schema)
    contents = [bytes(piece.data) for piece in pieces if isinstance(piece, Buffer)]
    if again != layout or contents != list(one.buffers) or not read.schema.equals(layout.schema, check_metadata=True):
        raise ValueError("Arrow reads another table")


def _joined(one: _Object) -> bytes:
    parts: list[bytes | memoryview] = []
    position = used = 0
    for offset, buffer in zip(one.offsets, one.buffers, strict=True):
        parts += [one.framing[used : used + offset - position], buffer]
        used, position = used + offset - position, offset + len(buffer)
    return b"".join([*parts, one.framing[used:]])


_FIELDS = {  # of kinds that a header describes to the last: of each value there is one header
    "array": {"kind", "dtype", "shape", "scalar"},
    "bytes": {"kind", "nbytes", "sha256"},
    "weights": {"kind", "tensors"},
    "json": {"kind", "value"},
}
_HeaderCheck = Callable[[Mapping[str, Any], list[int]], None]
_FileCheck = Callable[[_Object], None]
_CHECKS: dict[str, tuple[_HeaderCheck, _FileCheck]] = {
    "array": (_array_header, _array_file),
    "table": (_table_header, _table_file),
    "bytes": (_bytes_header, _bytes_file),
    "weights": (_weights_header, _weights_file),
    "json": (_json_header, _json_file),
}


def _kind(header: Mapping[str, Any]) -> tuple[_HeaderCheck, _FileCheck]:
    if header["kind"] not in _CHECKS:
        raise Refused(f"it has the kind {header['kind']!r}; this version knows {sorted(_CHECKS)}.")
    return _CHECKS[header["kind"]]
