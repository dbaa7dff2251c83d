"""Opaque bytes: a file as it arrived, with its plain SHA-256 in the header."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smalti.canonical import Json
from smalti.store.values import ArrayInside, Buffer, Encoded

if TYPE_CHECKING:
    from smalti.store.reader import Reader

_LEAST_NBYTES = 1 << 20  # in less, an array that is stored twice costs little


class BlobCodec:
    """bytes, bytearray, memoryview (of a mapped file too); read back as bytes, those of a strided view in C order."""

    kind = "bytes"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bytes | bytearray | memoryview)

    def encode(self, value: Any) -> Encoded:
        return encode_blob(value)

    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> bytes:
        return bytes(buffers[0])

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> memoryview:
        return reader.read()


def encode_blob(value: bytes | bytearray | memoryview, arrays: tuple[ArrayInside, ...] = ()) -> Encoded:
    """Return the object of these bytes, and where arrays lie in them.

    Args:
        arrays: where others say that arrays lie; those that do not are left out. By default they are looked for.
    """
    data = memoryview(value)
    data = data.cast("B") if data.nbytes and data.c_contiguous else memoryview(data.tobytes())
    header: dict[str, Json] = {
        "kind": "bytes",
        "nbytes": data.nbytes,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return Encoded(header, "data.bin", (Buffer(data),), arrays=_arrays_in(data, arrays))


def _arrays_in(data: memoryview, said: tuple[ArrayInside, ...]) -> tuple[ArrayInside, ...]:
    if data.nbytes < _LEAST_NBYTES:
        return ()
    from smalti.codecs.containers import arrays_in, sound_arrays  # for which most bytes are too few

    return sound_arrays(said, data) if said else arrays_in(data)
