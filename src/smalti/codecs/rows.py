"""Arrays that come as blocks of rows: written and hashed as they come, so that they may be larger than memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from smalti.canonical import Json
from smalti.codecs.array import ArrayCodec, array_of, described, npy_header
from smalti.errors import Refused
from smalti.store.format.chunking import LeafStream
from smalti.store.segments import in_one
from smalti.store.values import Buffer, Encoded

_MOST_ROWS = 2**62  # the longest number that the file's header may have to hold


def encode_rows(codec: ArrayCodec, blocks: Iterable[Any], file: Path) -> Encoded:
    """Write an array to ``file``, which must not exist, block by block; it is the same value as the array in one piece.

    Args:
        blocks: arrays (N_i, ...) of one dtype.

    Raises:
        Refused: there is no block, or one does not go with those before it, or its dtype cannot be stored exactly.
    """
    first: Encoded | None = None
    count = 0
    with file.open("xb") as out:
        for number, block in enumerate(blocks):
            encoded = codec.encode(block)
            _check(number, encoded, first)
            if first is None:
                first, stream = encoded, LeafStream(encoded.buffers[0].row_nbytes)
                room = len(npy_header(*described(_header(first, _MOST_ROWS))))
                out.seek(room)
            rows = in_one(encoded.buffers[0].data)
            out.write(rows)
            stream.add(rows)
            count += _shape(encoded)[0]
        if first is None:
            raise Refused("an array of no blocks has neither shape nor dtype; give one block at least, without rows.")
        header = _header(first, count)
        framing = npy_header(*described(header))
        out.seek(0)
        out.write(framing)
    if len(framing) != room:  # a small array's header is not padded to a page
        return codec.encode(array_of(header["dtype"], header["shape"], memoryview(file.read_bytes())[room:]))
    with file.open("rb") as written:
        data = memoryview(mmap.mmap(written.fileno(), 0, access=mmap.ACCESS_READ))[room:]
    content = Buffer(data, first.buffers[0].row_nbytes, stream.leaves())
    return Encoded(header, first.filename, (framing, content), spooled=file)


def _header(block: Encoded, rows: int) -> dict[str, Json]:
    return {**block.header, "shape": [rows, *_shape(block)[1:]]}


def _shape(block: Encoded) -> tuple[int, ...]:
    return described(block.header)[0]


def _check(number: int, block: Encoded, first: Encoded | None) -> None:
    shape = _shape(block)
    if not shape:
        raise Refused(f"block {number} is a single value; blocks are arrays of rows, of shape (N, ...).")
    if first and (block.header["dtype"], shape[1:]) != (first.header["dtype"], _shape(first)[1:]):
        raise Refused(
            f"block {number} has rows of {block.header['dtype']} {shape[1:]}, those before it of "
            f"{first.header['dtype']} {_shape(first)[1:]}; give blocks that differ in their number of rows only."
        )
