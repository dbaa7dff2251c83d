"""What HDF5 writes to a file, held back until all of it is known, then applied so that a kill leaves a readable file.

h5py works on a ``PendingWrites`` as on a file. Bytes behind the end that the superblock states belong to nobody yet:
they are written as they come, short ones that follow each other together. Bytes before it are what readers see: they
are kept in memory. ``apply`` then writes

1. behind the new end, all that is to be changed before it, and a checksum over that (the journal);
2. the changes in place: first the superblock, last the object header that says how many rows there are;
3. nothing more: the journal is cut off.

A process killed before 1 is complete has changed nothing that a reader looks at. One killed later leaves a journal
from which the next reader knows, and the next writer writes, what was to be written. A reader that knows no journals
finds the old rows or the new ones at every moment: rows lie in the file before anything says that they are there.
What the kernel has taken survives the process. It survives a power cut only once it was synced.

Source: HDF5 File Format Specification 3.0, II.A (superblock version 3) and IV.A.1 (object header version 2).
"""

from __future__ import annotations

import io
import os
import struct
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from blake3 import blake3

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SUPERBLOCK = struct.Struct("<8sBBBBQQQQI")  # version 3 with offsets of 8 bytes
_TRAILER = struct.Struct("<Q32s16s")  # size of the changes, their BLAKE3, what this is
_CHANGE = struct.Struct("<QQ")  # where, how many bytes; the bytes follow
_MAGIC = b"smalti changes 1"
_PAGE_NBYTES = 4096
_MOST_GATHERED = 512  # of the 1024 pieces that one call may write
_LONG_NBYTES = 128 * 1024  # not worth a copy
_GATHERED_NBYTES = 1024 * 1024  # written at once: the larger, the quicker the pages of the file are read again
_WORD = 0xFFFFFFFF

Change = tuple[int, bytes]  # where in the file, what


def stated_end(descriptor: int) -> int | None:
    """Return where the superblock says that the file ends; None where it is of another version than 3."""
    head = os.pread(descriptor, _SUPERBLOCK.size, 0)
    if len(head) < _SUPERBLOCK.size:
        return None
    signature, version, offsets, _, _, base, _, end, _, _ = _SUPERBLOCK.unpack(head)
    return int(end) if (signature, version, offsets, base) == (_SIGNATURE, 3, 8, 0) else None


def is_marked_open(descriptor: int) -> bool:
    """Tell whether the superblock says that a program has the file open for writing."""
    head = os.pread(descriptor, 12, 0)
    return len(head) == 12 and head[:8] == _SIGNATURE and head[8] == 3 and bool(head[11] & 1)


def unmarked(descriptor: int) -> list[Change]:
    """Return what makes HDF5 read a file that is marked so: a superblock without the mark. None where it is not."""
    head = os.pread(descriptor, _SUPERBLOCK.size, 0)
    if not is_marked_open(descriptor) or lookup3(head[:-4]) != int.from_bytes(head[-4:], "little"):
        return []
    plain = head[:11] + b"\0" + head[12:-4]
    return [(0, plain + lookup3(plain).to_bytes(4, "little"))]


def journal(descriptor: int) -> list[Change]:
    """Return the changes that a killed writer had begun to make; none where there are none, or not all of them."""
    nbytes = os.fstat(descriptor).st_size
    end = stated_end(descriptor)
    if end is not None and nbytes <= end:
        return []
    trailer = os.pread(descriptor, _TRAILER.size, max(0, nbytes - _TRAILER.size))
    if len(trailer) < _TRAILER.size:
        return []
    size, check, magic = _TRAILER.unpack(trailer)
    at = nbytes - _TRAILER.size - size
    if magic != _MAGIC or at < 0:
        return []
    content = os.pread(descriptor, size, at)
    return _changes(content) if _check(content, at) == check else []


def finish_changes(descriptor: int) -> None:
    """Make the changes that a killed writer had begun, and cut off what it left behind the end of the file."""
    _write_changes(descriptor, journal(descriptor))
    end = stated_end(descriptor)
    if end is not None and os.fstat(descriptor).st_size > end:
        os.ftruncate(descriptor, end)


class PendingWrites(io.RawIOBase):
    """A file for ``h5py.File`` whose changes become visible when ``apply`` is called, or never.

    An error of the machine is kept until then: HDF5 does not get over one in the middle of its work.

    Args:
        descriptor: of the file; it stays open.
        visible_nbytes: how many bytes at its beginning a reader looks at: 0 for a file that nobody knows of yet.
        changes: what is to be read in place of what lies there.
    """

    def __init__(self, descriptor: int, visible_nbytes: int, changes: Sequence[Change] = ()) -> None:
        self._descriptor = descriptor
        self._visible_nbytes = visible_nbytes
        self._held = list(changes)
        self._size_before = self._end = os.fstat(descriptor).st_size
        self._at = 0
        self._error: OSError | None = None
        self._gathered: list[bytes | memoryview] = []
        self._gathered_at = self._gathered_nbytes = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        target = memoryview(buffer).cast("B")
        done = 0
        self._write_gathered()
        try:
            while done < len(target) and (more := os.preadv(self._descriptor, [target[done:]], self._at + done)):
                done += more
        except OSError as error:
            self._note(error)
        target[done:] = bytes(len(target) - done)  # the file may end before the space that HDF5 has given out
        for start, content in self._held:
            low, high = max(start, self._at), min(start + len(content), self._at + len(target))
            if low < high:
                target[low - self._at : high - self._at] = content[low - start : high - start]
        self._at += len(target)
        return len(target)

    def write(self, content: memoryview) -> int:  # type: ignore[override]
        data = memoryview(content).cast("B")
        held = max(0, min(len(data), self._visible_nbytes - self._at))
        if held:
            self._held.append((self._at, bytes(data[:held])))
        if held < len(data):
            self._gather(data[held:], self._at + held)
        self._at += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def _gather(self, content: memoryview, at: int) -> None:
        """Write bytes behind the end together with those that follow: HDF5 writes block by block."""
        if at != self._gathered_at + self._gathered_nbytes:
            self._write_gathered()
        if not self._gathered:
            self._gathered_at = at
        is_long = len(content) >= _LONG_NBYTES
        self._gathered.append(content if is_long else bytes(content))  # it is h5py's, and valid only now
        self._gathered_nbytes += len(content)
        if is_long or self._gathered_nbytes >= _GATHERED_NBYTES or len(self._gathered) == _MOST_GATHERED:
            self._write_gathered()

    def _write_gathered(self) -> None:
        gathered, self._gathered, self._gathered_nbytes = self._gathered, [], 0
        if gathered and self._error is None:
            try:
                _write_all(self._descriptor, gathered, self._gathered_at)
            except OSError as error:
                self._note(error)

    def truncate(self, size: int | None = None) -> int:
        self._end = self._at if size is None else size
        return self._end

    def flush(self) -> None:
        """Nothing: what is held back stays so."""

    def apply(self, last: int | None = None) -> None:
        """Make the changes visible, when h5py has closed the file.

        Args:
            last: where the object header lies that is written last.

        Raises:
            OSError: the machine did not let them be made; a reader finds what was there before, or, where the changes
                had been begun, what was to be.
        """
        changes = self._in_order(last)
        self._write_gathered()
        try:
            if self._error:
                raise self._error
            if changes:
                _write(self._descriptor, memoryview(_journal(changes, self._end)), self._end)
        except OSError:
            self.discard()
            raise
        _write_changes(self._descriptor, changes)
        os.ftruncate(self._descriptor, self._end)

    def discard(self) -> None:
        """Forget the changes and cut off what was written behind the end."""
        self._gathered, self._gathered_nbytes = [], 0
        if os.fstat(self._descriptor).st_size > self._size_before:
            os.ftruncate(self._descriptor, self._size_before)

    def _note(self, error: OSError) -> None:
        """Keep an error without its traceback, which would keep what HDF5 has open, and that this file, for ever."""
        self._error = self._error or error.with_traceback(None)

    def _in_order(self, last: int | None) -> list[Change]:
        """Return what differs from what lies there, the superblock first and the header at ``last`` at the end."""
        spans = _joined([(start, start + len(content)) for start, content in self._held])
        found: dict[bool, list[Change]] = {False: [], True: []}
        header = range(last, last + self._header_nbytes(last)) if last is not None else range(0)
        for start, stop in _cut(spans, (_SUPERBLOCK.size, header.start, header.stop)):
            after = bytearray(stop - start)
            self.seek(start)
            self.readinto(memoryview(after))
            before = os.pread(self._descriptor, stop - start, start).ljust(stop - start, b"\0")
            if before != after:
                differs = np.flatnonzero(np.frombuffer(before, "u1") != np.frombuffer(after, "u1"))
                low, high = int(differs[0]), int(differs[-1]) + 1
                found[start in header].append((start + low, bytes(after[low:high])))
        return found[False] + found[True]

    def _header_nbytes(self, at: int) -> int:
        """Return the size of the object header there; 0 where there is none of version 2."""
        head = bytearray(40)
        self.seek(at)
        self.readinto(memoryview(head))
        if head[:5] != b"OHDR\x02":
            return 0
        flags = head[5]
        begin = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        return begin + width + int.from_bytes(head[begin : begin + width], "little") + 4


def fits_a_page(descriptor: int, header_at: int) -> bool:
    """Tell whether an object header of version 2 lies in one page, so that readers find all of a change or nothing."""
    nbytes = PendingWrites(descriptor, 0)._header_nbytes(header_at)
    return nbytes > 0 and header_at // _PAGE_NBYTES == (header_at + nbytes - 1) // _PAGE_NBYTES


def lookup3(data: bytes) -> int:
    """Return the checksum of HDF5's metadata. Source: ``hashlittle`` of lookup3.c, B. Jenkins, 2006, public domain.

    >>> hex(lookup3(b"Four score and seven years ago"))
    '0x17770551'
    """
    a = b = c = (0xDEADBEEF + len(data)) & _WORD
    if not data:
        return c
    words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
    words += [0] * (-len(words) % 3)
    for i in range(0, len(words), 3):
        a, b, c = ((x + y) & _WORD for x, y in zip((a, b, c), words[i : i + 3], strict=True))
        if i + 3 == len(words):
            break
        for turn in (4, 6, 8, 16, 19, 4):  # the three take turns
            a, b, c = b, (c + b) & _WORD, ((a - c) & _WORD) ^ _turned(c, turn)
    for turn in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _turned(b, turn)) & _WORD
        a, b, c = b, c, a
    return b


def _turned(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _WORD


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return where a byte lies in any of the spans, in order, as spans that do not touch."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], stop)
        else:
            joined.append((start, stop))
    return joined


def _cut(spans: list[tuple[int, int]], places: tuple[int, ...]) -> list[tuple[int, int]]:
    cuts = sorted({place for start, stop in spans for place in (start, stop)} | set(places))
    pieces: list[tuple[int, int]] = []
    for start, stop in spans:
        inside = cuts[bisect_left(cuts, start) : bisect_left(cuts, stop) + 1]
        pieces += pairwise(inside)
    return pieces


def _journal(changes: list[Change], at: int) -> bytes:
    content = b"".join(_CHANGE.pack(start, len(data)) + data for start, data in changes)
    return content + _TRAILER.pack(len(content), _check(content, at), _MAGIC)


def _check(content: bytes, at: int) -> bytes:
    """Return a checksum of a journal and its place: what looks like one among the rows of an array is none."""
    return blake3(at.to_bytes(8, "little") + content).digest()


def _changes(content: bytes) -> list[Change]:
    changes, at = [], 0
    while at < len(content):
        start, nbytes = _CHANGE.unpack_from(content, at)
        at += _CHANGE.size
        changes.append((start, content[at : at + nbytes]))
        at += nbytes
    return changes


def _write_changes(descriptor: int, changes: Sequence[Change]) -> None:
    for start, content in changes:
        _write(descriptor, memoryview(content), start)


def _write_all(descriptor: int, pieces: Sequence[bytes | memoryview], at: int) -> None:
    done = os.pwritev(descriptor, pieces, at)
    for piece in pieces:
        if done < len(piece):
            _write(descriptor, memoryview(piece)[done:], at + done)
        at, done = at + len(piece), max(0, done - len(piece))


def _write(descriptor: int, content: memoryview, at: int) -> None:
    while content:
        done = os.pwrite(descriptor, content, at)
        content, at = content[done:], at + done
