"""Content in local files: one ordinary file, mapped, or a near-duplicate stitched from pieces of several."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.errors import Damaged
from smalti.store.backend import Content
from smalti.store.commit import machine_errors
from smalti.store.recipe import DELTA, unpack_framing
from smalti.store.threads import in_parallel

if TYPE_CHECKING:
    from smalti.store.stitch import Piece

_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO}
_RESIDENT_NBYTES = 64 * 1024 * 1024
_COPIED_AT_ONCE_NBYTES = 8 * 1024 * 1024


def map_file(path: Path) -> memoryview:
    """Map a file read-only.

    Raises:
        Damaged: there is no such file, or something else in its place.
        Unavailable: the machine does not let it be read now.
    """
    with machine_errors(f"reading {path}"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            raise Damaged(f"{path} should hold stored content, but: {error.strerror}; restore it.") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Damaged(f"{path} should hold stored content, but is no file; restore it.")
            if os.fstat(descriptor).st_size == 0:  # an empty file cannot be mapped
                return memoryview(b"")
            return memoryview(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ))
        finally:
            os.close(descriptor)


class FileContent:
    """One file: buffers at known offsets, framing around them."""

    stays = True

    def __init__(self, path: Path, buffers: Sequence[tuple[int, int]], what: str) -> None:
        self.where = path.name
        self._path = path
        self._buffers = buffers
        self._ends = list(accumulate(nbytes for _, nbytes in buffers))
        self._file = map_file(path)
        self._resident_nbytes = 0
        expected = max((offset + nbytes for offset, nbytes in buffers), default=0)
        if len(self._file) < expected:
            raise Damaged(f"{path} of {what} has {len(self._file)} bytes, at least {expected} were stored.")

    def read(self, start: int, stop: int) -> memoryview:
        """Return bytes of the content; a view unless they span two buffers that do not touch."""
        first = bisect_right(self._ends, start)
        if stop - start < self._buffers[first][1]:
            self._let_go(stop - start)
        pieces = []
        for number in range(first, len(self._ends)):
            (offset, nbytes), end = self._buffers[number], self._ends[number]
            base = end - nbytes
            pieces.append((offset + max(start - base, 0), offset + min(stop - base, nbytes)))
            if stop <= end:
                break
        if all(a[1] == b[0] for a, b in pairwise(pieces)):
            return self._file[pieces[0][0] : pieces[-1][1]] if pieces else memoryview(b"")
        return memoryview(b"".join(self._file[a:b] for a, b in pieces))

    def forget(self) -> None:
        """Do nothing: a map stays."""

    def view(self) -> memoryview | None:
        """Return the content of the only buffer."""
        if len(self._buffers) != 1:
            return None
        offset, nbytes = self._buffers[0]
        return self._file[offset : offset + nbytes]

    def fill(self, start: int, out: memoryview) -> bool:
        """Read from the file; unlike pages of the map, what was read leaves nothing in this process's memory."""
        place = self.place(start, start + len(out))
        if place is None:
            return False
        _, offset, nbytes = place
        with machine_errors(f"reading {self._path}"):
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                done = 0
                while done < nbytes:
                    some = os.preadv(descriptor, [out[done:]], offset + done)
                    if not some:
                        raise Damaged(f"{self._path} ends before the {offset + nbytes} bytes that were stored.")
                    done += some
            finally:
                os.close(descriptor)
        return True

    def copy_cached(self, start: int, out: memoryview) -> bool:
        """Copy content that the machine has in memory; False where it would have to be read, or that cannot be told."""
        place = self.place(start, start + len(out)) if hasattr(os, "RWF_NOWAIT") else None
        if place is None:
            return False
        _, offset, nbytes = place
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            done = 0
            while done < nbytes and (more := os.preadv(descriptor, [out[done:]], offset + done, os.RWF_NOWAIT)):
                done += more
            return done == nbytes
        except OSError:  # it would have to wait, or the file system cannot tell
            return False
        finally:
            os.close(descriptor)

    def _let_go(self, nbytes: int) -> None:
        """Keep slice after slice of a large file from filling this process's memory; views on them stay as they are."""
        self._resident_nbytes += nbytes
        if self._resident_nbytes > _RESIDENT_NBYTES:
            self._resident_nbytes = nbytes
            assert isinstance(self._file.obj, mmap.mmap)
            self._file.obj.madvise(mmap.MADV_DONTNEED)  # its pages come back from the file when they are used

    def place(self, start: int, stop: int) -> Piece | None:
        """Return where in the file some content lies, or None when it is not in one piece."""
        first = bisect_right(self._ends, start)
        offset, nbytes = self._buffers[first]
        base = self._ends[first] - nbytes
        return (self._path, offset + start - base, stop - start) if stop <= self._ends[first] else None

    def framing(self) -> bytes:
        """Return what lies before, between and after the buffers."""
        pieces, position = [], 0
        for offset, nbytes in self._buffers:
            pieces.append(self._file[position:offset])
            position = offset + nbytes
        return b"".join([*pieces, self._file[position:]])


class StitchedContent:
    """A near-duplicate: runs of other objects' content and of its own new leaves."""

    def __init__(self, framing_nbytes: int, delta: Content, pieces: Sequence[tuple[Content, int, int]]) -> None:
        """Take the packed framing's size, the file with the new leaves, and where the content lies, in order."""
        self.where = delta.where
        self.stays = all(content.stays for content, _, _ in pieces)
        self._framing_nbytes = framing_nbytes
        self._delta = delta
        self._pieces = [(content, start) for content, start, _ in pieces]
        self._ends = list(accumulate(nbytes for *_, nbytes in pieces))

    def read(self, start: int, stop: int) -> memoryview:
        """Return bytes of the content: a view where they lie in one piece, else one fresh copy."""
        if start >= stop:
            return memoryview(b"")
        first = bisect_right(self._ends, start)
        if stop <= self._ends[first]:
            return self._piece(first, start, stop)
        if stop - start > _COPIED_AT_ONCE_NBYTES and (mapped := self._mapped(start, stop)) is not None:
            return mapped
        import numpy as np  # it takes long to import: small objects are never stitched

        whole = np.empty(stop - start, np.uint8)
        jobs = []
        for number in range(first, len(self._pieces)):
            base = self._ends[number - 1] if number else 0
            low, high = max(start, base), min(stop, self._ends[number])
            jobs += [
                (number, at, min(at + _COPIED_AT_ONCE_NBYTES, high)) for at in range(low, high, _COPIED_AT_ONCE_NBYTES)
            ]
            if stop <= self._ends[number]:
                break

        def copy(job: tuple[int, int, int]) -> None:
            number, low, high = job
            whole[low - start : high - start] = np.frombuffer(self._piece(number, low, high), np.uint8)

        if len(whole) <= _COPIED_AT_ONCE_NBYTES:
            for job in jobs:
                copy(job)
        else:
            list(in_parallel(copy, jobs))
        whole.flags.writeable = False
        return memoryview(whole)  # type: ignore[arg-type]  # numpy arrays are buffers

    def forget(self) -> None:
        """Let all pieces be fetched anew."""
        self._delta.forget()
        for content, _ in self._pieces:
            content.forget()

    def view(self) -> memoryview | None:
        """Return the pieces mapped side by side, where their pages allow it."""
        return self._mapped(0, self._ends[-1]) if len(self._pieces) > 1 else None

    def fill(self, start: int, out: memoryview) -> bool:
        """Return False: the pieces lie in several files."""
        return False

    def copy_cached(self, start: int, out: memoryview) -> bool:
        """Copy content that the machine has in memory; False where it would have to be read, or that cannot be told."""
        done = 0
        for number in range(bisect_right(self._ends, start), len(self._pieces)):
            content, offset = self._pieces[number]
            at, part = start + done, out[done : self._ends[number] - start]
            base = self._ends[number - 1] if number else 0
            if not isinstance(content, FileContent) or not content.copy_cached(offset + at - base, part):
                return False
            done += len(part)
            if done == len(out):
                break
        return done == len(out)

    def framing(self) -> bytes:
        """Return the file format's own bytes, kept before the new leaves."""
        packed = self._delta.framing()
        if len(packed) != self._framing_nbytes:
            raise Damaged(f"{DELTA} has {len(packed)} bytes beside its leaves, not {self._framing_nbytes}; restore it.")
        return unpack_framing(packed)

    def _mapped(self, start: int, stop: int) -> memoryview | None:
        """Return the pieces mapped side by side, where their pages allow it: nothing is copied then."""
        places = []
        for number in range(bisect_right(self._ends, start), len(self._pieces)):
            content, offset = self._pieces[number]
            base = self._ends[number - 1] if number else 0
            low, high = max(start, base), min(stop, self._ends[number])
            place = (
                content.place(offset + low - base, offset + high - base) if isinstance(content, FileContent) else None
            )
            if place is None:
                return None
            places.append(place)
            if stop <= self._ends[number]:
                break
        from smalti.store.stitch import map_side_by_side

        return map_side_by_side(places)

    def _piece(self, number: int, start: int, stop: int) -> memoryview:
        content, offset = self._pieces[number]
        base = self._ends[number - 1] if number else 0
        return content.read(offset + start - base, offset + stop - base)
