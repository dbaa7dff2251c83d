"""Files compressed in frames of 1 MiB that are read one by one; ``zstd -d`` gives the ordinary file.

This is the Zstandard Seekable Format 0.1.0 (facebook/zstd, contrib/seekable_format): zstd frames, and a skippable frame
with a table of their sizes at the end. The table's own checksums would be of the file, which leaves have already; so a
skippable frame before it holds the first eight bytes of the BLAKE3 digest of each compressed frame. Thus no damage goes
unnoticed, not even one that decompresses to the same bytes, and none reaches the decompressor.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from smalti.errors import Damaged
from smalti.store.threads import in_parallel

if TYPE_CHECKING:
    import pyarrow

SUFFIX = ".zst"
FRAME_NBYTES = 1024 * 1024
_LEAST_NBYTES = 64 * 1024  # a smaller file is one request either way
_LEAST_SAVED_SHARE = 0.1
_SAMPLED_FRAMES = 8
_CHECK_NBYTES = 8
_CHECKS = 0x184D2A50
_TABLE = 0x184D2A5E
_SEEKABLE = 0x8F92EAB1
_HEAD = struct.Struct("<II")  # magic number, size of what follows
_FOOT = struct.Struct("<IBI")  # number of frames, descriptor, magic number
FOOT_NBYTES = _FOOT.size

Piece = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: where it lies in the compressed file, how much of the file it holds, and its check."""

    start: int
    stop: int
    nbytes: int
    check: bytes


@dataclass(frozen=True, slots=True)
class SeekTable:
    """Where the frames of a compressed file lie.

    Attributes:
        ends: (F,) int64, where each frame ends in the compressed file; the checks follow the last, then the table.
        checks: of the frames, end to end.
        nbytes: size of the file, of which every frame but the last holds ``FRAME_NBYTES``.
    """

    ends: NDArray[np.int64]
    checks: bytes
    nbytes: int

    def frames(self, start: int, stop: int) -> list[Frame]:
        """Return the frames that hold bytes ``start`` to ``stop`` of the file."""
        numbers = range(start // FRAME_NBYTES, min(-(-stop // FRAME_NBYTES), len(self.ends)))
        return [
            Frame(
                start=int(self.ends[n - 1]) if n else 0,
                stop=int(self.ends[n]),
                nbytes=min(FRAME_NBYTES, self.nbytes - n * FRAME_NBYTES),
                check=self.checks[n * _CHECK_NBYTES : (n + 1) * _CHECK_NBYTES],
            )
            for n in numbers
        ]

    def dump(self) -> bytes:
        """Return the end of the compressed file: two skippable frames, the checks and this table."""
        checks = _HEAD.pack(_CHECKS, len(self.checks)) + self.checks
        sizes = np.zeros((len(self.ends) + 1, 2), "<u4")  # the checks are a frame too, which holds nothing of the file
        sizes[:, 0] = *np.diff(self.ends, prepend=0), len(checks)
        sizes[:-2, 1] = FRAME_NBYTES
        sizes[-2:-1, 1] = self.nbytes - (len(self.ends) - 1) * FRAME_NBYTES
        head = _HEAD.pack(_TABLE, sizes.nbytes + FOOT_NBYTES)
        return checks + head + sizes.tobytes() + _FOOT.pack(len(sizes), 0, _SEEKABLE)


def table_nbytes(foot: Piece, compressed_nbytes: int, what: str) -> int:
    """Return how many bytes of a compressed file follow its frames, given the last ``FOOT_NBYTES`` of them.

    Args:
        compressed_nbytes: the compressed file has so many.
        what: file and object, for messages.

    Raises:
        Damaged: no such file ends so.
    """
    entries, descriptor, magic = _FOOT.unpack(foot) if len(foot) == FOOT_NBYTES else (0, 0, 0)
    if magic != _SEEKABLE or descriptor or not 1 < entries <= compressed_nbytes // 8:
        raise _damaged(what)
    return int(2 * _HEAD.size + _CHECK_NBYTES * (entries - 1) + 8 * entries + FOOT_NBYTES)


def parse_table(end: Piece, compressed_nbytes: int, what: str) -> SeekTable:
    """Return the table from the end of a compressed file, as long as ``table_nbytes`` says.

    Raises:
        Damaged: it is not what ``compress`` wrote.
    """
    frames = (len(end) - 2 * _HEAD.size - 8 - FOOT_NBYTES) // (_CHECK_NBYTES + 8)
    checks = bytes(end[_HEAD.size : _HEAD.size + _CHECK_NBYTES * frames])
    sizes = np.frombuffer(end, "<u4", 2 * frames, 2 * _HEAD.size + len(checks)).reshape(-1, 2).astype(np.int64)
    table = SeekTable(np.cumsum(sizes[:, 0]), checks, int(sizes[:, 1].sum()))
    rest = table.nbytes - (frames - 1) * FRAME_NBYTES
    if not 0 < rest <= FRAME_NBYTES or table.dump() != end or table.ends[-1] + len(end) != compressed_nbytes:
        raise _damaged(what)
    return table


def pays(pieces: Iterable[Piece], nbytes: int) -> bool:
    """Tell whether compression saves a tenth, from the first eight frames of a file of ``nbytes`` bytes."""
    if nbytes < _LEAST_NBYTES:
        return False
    frames = list(islice(_frames(pieces), _SAMPLED_FRAMES))
    compressed = sum(map(len, in_parallel(_compress, frames)))
    return compressed <= (1 - _LEAST_SAVED_SHARE) * sum(map(len, frames))


class Compressed:
    """A file compressed as it is gone through, more than once where that is needed: its frames, then their table."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        sizes: list[int] = []
        checks = b""
        nbytes = 0

        def measured() -> Iterator[Piece]:
            nonlocal nbytes
            for frame in _frames(self._pieces):
                nbytes += len(frame)
                yield frame

        for frame in in_parallel(_compress, measured()):
            sizes.append(len(frame))
            checks += _check(frame)
            yield frame
        yield SeekTable(np.cumsum(sizes, dtype=np.int64), checks, nbytes).dump()


def _frames(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Cut a file that comes in pieces into frames."""
    rest: list[Piece] = []
    have = 0
    for piece in pieces:
        left = memoryview(piece)
        while have + len(left) >= FRAME_NBYTES:
            taken = FRAME_NBYTES - have
            yield left[:taken] if not rest else b"".join([*rest, left[:taken]])
            left, rest, have = left[taken:], [], 0
        if len(left):
            rest.append(left)
            have += len(left)
    if rest:
        yield b"".join(rest)


def decompress(compressed: Piece, frames: Sequence[Frame], what: str) -> memoryview:
    """Return what consecutive frames hold, given their bytes.

    Raises:
        Damaged: a frame is not what ``compress`` wrote.
    """
    whole = np.empty(sum(frame.nbytes for frame in frames), np.uint8)
    at = 0
    for frame in frames:
        some = memoryview(compressed)[frame.start - frames[0].start : frame.stop - frames[0].start]
        if _check(some) != frame.check:
            raise _damaged(what)
        try:
            whole[at : at + frame.nbytes] = np.frombuffer(_codec().decompress(some, frame.nbytes), np.uint8)
        except OSError:  # pyarrow's, about zstd
            raise _damaged(what) from None
        at += frame.nbytes
    whole.flags.writeable = False
    return memoryview(whole)  # type: ignore[arg-type]  # numpy arrays are buffers


def _compress(frame: Piece) -> bytes:
    compressed: bytes = _codec().compress(frame, asbytes=True)
    return compressed


def _check(frame: Piece) -> bytes:
    return blake3(frame).digest(_CHECK_NBYTES)


@cache
def _codec() -> pyarrow.Codec:
    import pyarrow  # slow to import, and not every store needs it

    return pyarrow.Codec("zstd", compression_level=1)


def _damaged(what: str) -> Damaged:
    return Damaged(f"{what} cannot be decompressed; put the same value again to repair it, or restore it.")
