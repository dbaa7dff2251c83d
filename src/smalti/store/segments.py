"""Bytes that lie in several places of memory, used as if they were one: a part is copied only when it is joined."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate


class Segments:
    """Bytes in several places, in order; a slice is a view."""

    def __init__(self, pieces: Sequence[memoryview]) -> None:
        self.pieces = [piece for piece in pieces if len(piece)]
        self._ends = list(accumulate(map(len, self.pieces)))

    @property
    def nbytes(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __len__(self) -> int:
        return self.nbytes

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)

    def __getitem__(self, part: slice) -> Segments:
        """Return a part; only slices without a step."""
        start, stop, step = part.indices(self.nbytes)
        if step != 1:
            raise IndexError("bytes in several places have no slices with a step")
        pieces = []
        for number in range(bisect_right(self._ends, start), len(self.pieces)):
            base = self._ends[number] - len(self.pieces[number])
            if base >= stop:
                break
            pieces.append(self.pieces[number][max(0, start - base) : stop - base])
        return Segments(pieces)


def pieces_of(data: memoryview | Segments) -> list[memoryview]:
    """Return the places that bytes lie in, in order."""
    return data.pieces if isinstance(data, Segments) else [data]


def in_one(data: memoryview | Segments) -> memoryview:
    """Return bytes in one place: a view where they lie in one already, else a copy."""
    if not isinstance(data, Segments):
        return data
    return data.pieces[0] if len(data.pieces) == 1 else memoryview(bytes(data))
