"""Whether an HDF5 file is still open for writing: by the flags in its superblock, and by the lock on it.

Layout: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, section Disk Format: Level 0A.
"""

from __future__ import annotations

import fcntl
from contextlib import suppress
from io import BufferedReader

from smalti.formats.source import Source

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LARGEST_USER_BLOCK_NBYTES = 1 << 20
_WRITING, _WRITING_SWMR = 0x1, 0x4
_VERSION_WITH_FLAGS = 3


def require_closed(source: Source) -> None:
    """Raise ContractBroken where a writer has not closed the file; leaves ``source`` at its start.

    A writer marks a file only from version 3 of the superblock on (``libver="latest"``, SWMR). It locks every file, but
    the lock is seen only here, not on a copy nor on every file system. Where neither shows, data that did not reach
    the disk are found as damage or as chunks that are not there.
    """
    flags = _flags(source)
    source.file.seek(0)
    if flags & (_WRITING | _WRITING_SWMR) or _is_locked(source):
        found = f"a file that a{' SWMR' if flags & _WRITING_SWMR else ''} writer has not closed"
        remedy = "try again once the writer has closed it; if it died, clear its mark with h5clear -s"
        raise source.refuse("hdf5.open_for_writing", "the file", found, "a closed file", remedy)


def _flags(source: Source) -> int:
    """Return the file consistency flags, 0 where there are none."""
    at = 0
    while at < min(source.nbytes, _LARGEST_USER_BLOCK_NBYTES):
        source.file.seek(at)
        head = source.file.read(12)
        if head.startswith(SIGNATURE):
            return head[11] if len(head) == 12 and head[8] == _VERSION_WITH_FLAGS else 0
        at = 2 * at or 512
    return 0


def _is_locked(source: Source) -> bool:
    if not isinstance(source.file, BufferedReader):
        return False
    with suppress(OSError):
        try:
            fcntl.flock(source.file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(source.file, fcntl.LOCK_UN)
    return False
