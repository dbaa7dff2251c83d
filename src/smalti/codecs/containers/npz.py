"""The arrays in an NPZ archive that are stored as they are, not compressed.

Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.7 (local header) and 4.3.12.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from itertools import islice
from typing import IO, cast

from smalti.codecs.containers.npy import npy_array
from smalti.codecs.containers.sound import MOST_ARRAYS
from smalti.store.values import ArrayInside

_LOCAL_HEADER = struct.Struct("<26xHH")  # at its end the lengths of name and extra field
_ENCRYPTED = 0x1
_USUAL_ENTRY_NBYTES = 256


def npz_arrays(data: memoryview) -> Iterator[ArrayInside]:
    """Yield the arrays of the members that are stored.

    Raises:
        Exception: of many kinds, where the table of contents is broken.
    """
    with zipfile.ZipFile(cast(IO[bytes], _Bytes(data, MOST_ARRAYS * _USUAL_ENTRY_NBYTES))) as archive:
        for member in islice(archive.infolist(), MOST_ARRAYS):
            start = _content_offset(data, member.header_offset) if _is_stored_array(member) else None
            if start is not None and (array := npy_array(data, start, member.file_size)):
                yield array


def _is_stored_array(member: zipfile.ZipInfo) -> bool:
    stored = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & _ENCRYPTED
    return stored and member.filename.endswith(".npy")


def _content_offset(data: memoryview, at: int) -> int | None:
    """Return where the content begins of the member whose local header is there; None where none can be."""
    if not 0 <= at <= len(data) - _LOCAL_HEADER.size:
        return None
    name_nbytes, extra_nbytes = _LOCAL_HEADER.unpack_from(data, at)
    return at + _LOCAL_HEADER.size + int(name_nbytes) + int(extra_nbytes)


class _Bytes:
    """Bytes as a file that zipfile reads a table of contents from; it is never given more at once than that may be."""

    def __init__(self, data: memoryview, most: int) -> None:
        self._data, self._most, self._at = data, most, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        if at < 0:
            raise OSError("before the start of the bytes")  # as of a file: zipfile looks for its end in shorter ones
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def read(self, nbytes: int = -1) -> bytes:
        end = len(self._data) if nbytes < 0 else min(self._at + nbytes, len(self._data))
        if end - self._at > self._most:
            raise ValueError(f"a table of contents of more than {self._most} bytes")
        read = bytes(self._data[self._at : end])
        self._at += len(read)
        return read
