"""A file of content in a folder; nothing stays open between two reads."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smalti.errors import Damaged
from smalti.store.backends.base import Gone
from smalti.store.commit import machine_errors

_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO}


class LocalFile:
    """A file, read in ranges by ``pread``: one that was cut short is an error, never the end of the process."""

    reads_at_once = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self.location = path.name

    @property
    def nbytes(self) -> int:
        with self._opened() as descriptor:
            return os.fstat(descriptor).st_size

    def read(self, start: int, stop: int) -> memoryview:
        room = bytearray(max(0, stop - start))
        self.read_into(start, memoryview(room))
        return memoryview(room).toreadonly()

    def read_into(self, start: int, out: memoryview) -> None:
        if not len(out):
            return
        with self._opened() as descriptor:
            done = 0
            while done < len(out):
                some = os.preadv(descriptor, [out[done:]], start + done)
                if not some:
                    raise Damaged(f"{self.path} ends before the {start + len(out)} bytes that were stored; restore it.")
                done += some

    def forget(self) -> None:
        """Do nothing: each read asks the file."""

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with machine_errors(f"reading {self.path}"):
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError as error:
                if error.errno not in _NO_FILE:
                    raise
                raise Gone(f"{self.path} should hold stored content, but: {error.strerror}; restore it.") from error
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise Damaged(f"{self.path} should hold stored content, but is no file; restore it.")
                yield descriptor
            finally:
                os.close(descriptor)
