"""Opaque bytes: a file as it arrived, with its plain SHA-256 in the header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smalti.canonical import Json
from smalti.errors import Damaged
from smalti.store.segments import Segments
from smalti.store.values import ArrayInside, Buffer, Encoded, Part

if TYPE_CHECKING:
    from smalti.store.read.reader import Reader

_LEAST_NBYTES = 1 << 20  # in less, an array that is stored twice costs little


class BlobCodec:
    """bytes, bytearray, memoryview (of a mapped file too); read back as bytes, those of a strided view in C order."""

    kind = "bytes"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bytes | bytearray | memoryview)

    def encode(self, value: Any) -> Encoded:
        return encode_blob(value)

    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> bytes:
        (data,) = buffers
        if header.keys() != {"kind", "nbytes", "sha256"} or header["nbytes"] != data.nbytes:
            raise Damaged(f"a header is not that of {data.nbytes} bytes; restore it.")
        return bytes(data)

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> memoryview:
        return reader.read()


def encode_blob(value: bytes | bytearray | memoryview, arrays: tuple[ArrayInside, ...] = ()) -> Encoded:
    """Return the object of these bytes, and the arrays that lie in them.

    Args:
        arrays: where others say that arrays lie; those that do not are left out. By default they are looked for.
    """
    data = memoryview(value)
    data = data.cast("B") if data.nbytes and data.c_contiguous else memoryview(data.tobytes())
    header: dict[str, Json] = {"kind": "bytes", "nbytes": data.nbytes}
    return Encoded(header, "data.bin", (Buffer(data),), sha256=True, parts=_parts_of(data, arrays))


def _parts_of(data: memoryview, said: tuple[ArrayInside, ...]) -> tuple[Part, ...]:
    if data.nbytes < _LEAST_NBYTES:
        return ()
    from smalti.codecs.array import encode_bytes  # for which most bytes are too few
    from smalti.codecs.containers import arrays_in, sound_arrays

    parts = []
    for array in sound_arrays(said, data) if said else arrays_in(data):
        pieces = [data[start : start + nbytes] for start, nbytes in array.runs]
        content = pieces[0] if len(pieces) == 1 else Segments(pieces)
        parts.append(Part(encode_bytes(array.dtype, array.shape, content), array.runs))
    return tuple(parts)
