"""Opaque bytes: a file as it arrived, with its plain SHA-256 in the header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smalti.canonical import Json
from smalti.store.values import Buffer, Encoded

if TYPE_CHECKING:
    from smalti.store.read.reader import Reader


class BlobCodec:
    """bytes, bytearray, memoryview (of a mapped file too); read back as bytes, those of a strided view in C order."""

    kind = "bytes"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bytes | bytearray | memoryview)

    def encode(self, value: Any) -> Encoded:
        data = memoryview(value)
        data = data.cast("B") if data.nbytes and data.c_contiguous else memoryview(data.tobytes())
        header: dict[str, Json] = {"kind": "bytes", "nbytes": data.nbytes}
        return Encoded(header, "data.bin", (Buffer(data),), sha256=True)

    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> bytes:
        return bytes(buffers[0])

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> memoryview:
        return reader.read()
