"""The content of an object: its buffers end to end, from one file, or a near-duplicate put together from several."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from smalti.errors import Damaged, Unavailable
from smalti.store.backends.base import File
from smalti.store.format.recipe import DELTA, unpack_framing
from smalti.store.threads import in_parallel

if TYPE_CHECKING:
    from smalti.store.read.mapping import Piece

_COPIED_AT_ONCE_NBYTES = 4 * 1024 * 1024
_SMALL_NBYTES = 64 * 1024  # zeros are written first


class Content(Protocol):
    """The content of one object, without the file format's framing. Nothing is verified here."""

    @property
    def location(self) -> str:
        """The file or key, for messages."""

    @property
    def reads_at_once(self) -> int:
        """How many reads side by side pay; see :class:`File`."""

    def read_into(self, start: int, out: memoryview) -> None:
        """Fill ``out`` with the content from ``start`` on.

        Raises:
            Damaged: it is not there.
        """

    def map(self) -> list[memoryview] | None:
        """Return all of the content as views of the files, in order, or None where that would take a copy."""

    def framing(self) -> bytes:
        """Return the file's other bytes, in order."""

    def forget(self) -> None:
        """Fetch anew whatever is read from now on."""


def room(nbytes: int) -> memoryview:
    """Return memory to read content into.

    Raises:
        Unavailable: there is not so much.
    """
    if nbytes < _SMALL_NBYTES:
        return memoryview(bytearray(nbytes))
    import numpy as np  # it does not write zeros first; small content is read without

    try:
        return memoryview(np.empty(nbytes, np.uint8))  # type: ignore[arg-type]  # numpy arrays are buffers
    except (MemoryError, ValueError) as error:
        raise Unavailable(f"there is no memory for {nbytes} bytes; open the value and read it in parts.") from error


class InlineContent:
    """Content that lies in the record."""

    location = "metadata.json"
    reads_at_once = 1

    def __init__(self, file: bytes, buffers: Sequence[tuple[int, int]]) -> None:
        view = memoryview(file)
        pieces = [view[offset : offset + nbytes] for offset, nbytes in buffers]
        self._content = pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))
        ends = [0, *(offset + nbytes for offset, nbytes in buffers)]
        starts = [*(offset for offset, _ in buffers), len(file)]
        self._framing = b"".join(view[a:b] for a, b in zip(ends, starts, strict=True))

    def read_into(self, start: int, out: memoryview) -> None:
        out[:] = self._content[start : start + len(out)]

    def map(self) -> list[memoryview] | None:
        return [self._content]

    def framing(self) -> bytes:
        return self._framing

    def forget(self) -> None:
        """Do nothing: the record checks itself."""


class FileContent:
    """One file: buffers at known offsets, framing around them."""

    def __init__(self, file: File, buffers: Sequence[tuple[int, int]]) -> None:
        self.file = file
        self._buffers = buffers
        self._ends = list(accumulate(nbytes for _, nbytes in buffers))

    @property
    def location(self) -> str:
        return self.file.location

    @property
    def reads_at_once(self) -> int:
        return self.file.reads_at_once

    def read_into(self, start: int, out: memoryview) -> None:
        done = 0
        for offset, nbytes in self.places(start, start + len(out)):
            self.file.read_into(offset, out[done : done + nbytes])
            done += nbytes

    def places(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return where in the file some content lies: offset and nbytes of each piece.

        Raises:
            Damaged: the content ends before.
        """
        places: list[tuple[int, int]] = []
        for number in range(bisect_right(self._ends, start), len(self._ends)):
            if start >= stop:
                break
            (offset, nbytes), end = self._buffers[number], self._ends[number]
            last = min(stop, end)
            places.append((offset + start - (end - nbytes), last - start))
            start = last
        if start < stop:
            raise Damaged(f"{self.location} holds {self._ends[-1] if self._ends else 0} bytes of content, not {stop}.")
        return places

    def map(self) -> list[memoryview] | None:
        end = max((offset + nbytes for offset, nbytes in self._buffers), default=0)
        if (path := self.file.path) is None or not end:
            return None
        if self.file.nbytes < end:
            raise Damaged(f"{path} has {self.file.nbytes} bytes, at least {end} were stored.")
        from smalti.store.read.mapping import map_file_pieces  # small content is read without

        whole = map_file_pieces([(path, 0, end)])
        return None if whole is None else [whole[offset : offset + nbytes] for offset, nbytes in self._buffers]

    def framing(self) -> bytes:
        position, gaps = 0, []
        for offset, nbytes in [*self._buffers, (self.file.nbytes, 0)]:
            gaps.append((position, offset))
            position = offset + nbytes
        if any(a > b for a, b in gaps):
            raise Damaged(f"{self.location} has {self.file.nbytes} bytes, more were stored.")
        return b"".join(self.file.read(a, b) for a, b in gaps if a < b)

    def forget(self) -> None:
        self.file.forget()


class StitchedContent:
    """A near-duplicate: runs of other objects' content and of its own new leaves."""

    def __init__(self, framing_nbytes: int, delta: FileContent, pieces: Sequence[tuple[FileContent, int, int]]) -> None:
        """Take the packed framing's size, the file with the new leaves, and where the content lies, in order."""
        self._framing_nbytes = framing_nbytes
        self._delta = delta
        self._pieces = [(content, start) for content, start, _ in pieces]
        self._ends = list(accumulate(nbytes for *_, nbytes in pieces))

    @property
    def location(self) -> str:
        return self._delta.location

    @property
    def reads_at_once(self) -> int:
        return self._delta.reads_at_once

    def read_into(self, start: int, out: memoryview) -> None:
        jobs = []
        for content, at, low, high in self.runs(start, start + len(out)):
            for cut in range(low, high, _COPIED_AT_ONCE_NBYTES):
                last = min(cut + _COPIED_AT_ONCE_NBYTES, high)
                jobs.append((content, at + cut - low, out[cut - start : last - start]))

        def fill(job: tuple[FileContent, int, memoryview]) -> None:
            job[0].read_into(job[1], job[2])

        if len(out) <= _COPIED_AT_ONCE_NBYTES:
            for job in jobs:
                fill(job)
        else:
            list(in_parallel(fill, jobs))

    def runs(self, start: int, stop: int) -> list[tuple[FileContent, int, int, int]]:
        """Return what holds some content: whose, where in that, and from where to where in this.

        Raises:
            Damaged: the content ends before.
        """
        found = []
        for number in range(bisect_right(self._ends, start), len(self._pieces)):
            if start >= stop:
                break
            content, offset = self._pieces[number]
            base = self._ends[number - 1] if number else 0
            last = min(stop, self._ends[number])
            found.append((content, offset + start - base, start, last))
            start = last
        if start < stop:
            raise Damaged(f"{self.location} and its sources hold {start} bytes of content, not {stop}; restore it.")
        return found

    def map(self) -> list[memoryview] | None:
        """Return the pieces mapped side by side, where their pages allow it: nothing is copied then."""
        pieces: list[Piece] = []
        for content, at, low, high in self.runs(0, self._ends[-1]) if self._ends else ():
            path, places = content.file.path, content.places(at, at + high - low)
            if path is None or len(places) != 1:
                return None
            if content.file.nbytes < sum(places[0]):
                raise Damaged(f"{path} has {content.file.nbytes} bytes, at least {sum(places[0])} were stored.")
            pieces.append((path, *places[0]))
        from smalti.store.read.mapping import map_file_pieces

        whole = map_file_pieces(pieces)
        return None if whole is None else [whole]

    def framing(self) -> bytes:
        """Return the file format's own bytes, kept before the new leaves."""
        packed = self._delta.framing()
        if len(packed) != self._framing_nbytes:
            raise Damaged(f"{DELTA} has {len(packed)} bytes beside its leaves, not {self._framing_nbytes}; restore it.")
        return unpack_framing(packed)

    def forget(self) -> None:
        for content in {id(content): content for content, _ in [*self._pieces, (self._delta, 0)]}.values():
            content.forget()
