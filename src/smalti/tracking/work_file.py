"""One file of the user's: read whole and still, and replaced in one step."""

from __future__ import annotations

import errno
import mmap
import os
import re
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from smalti.errors import Refused
from smalti.store.commit import machine_errors, unique_name

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAPPED_NBYTES = 1024 * 1024  # below, reading is quicker
_PART = re.compile(r"\.smalti-[0-9a-f]{32}\.part")
_SLOWEST_WRITE_SECONDS = 3600.0


class Look(NamedTuple):
    """What of a file changes when it is written to, replaced or renamed; times in ns since 1970."""

    nbytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def look_of(status: os.stat_result) -> Look:
    """Return how a file looks."""
    return Look(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def is_executable(status: os.stat_result) -> bool:
    """Tell whether its owner may execute a file."""
    return bool(status.st_mode & stat.S_IXUSR)


class WorkFile:
    """An ordinary file that is being read; a link, pipe or device is refused."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        with machine_errors(f"reading {path}"):
            try:
                descriptor = os.open(path, _FLAGS)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
                raise Refused(f"{path} is a symbolic link; put what it leads to in its place.") from error
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise Refused(f"{path} is no ordinary file; move it away.")
                self.look = look_of(status)
                self.data = self._read(descriptor)
            finally:
                os.close(descriptor)

    def _read(self, descriptor: int) -> memoryview:
        if self.look.nbytes >= _MAPPED_NBYTES:
            return memoryview(mmap.mmap(descriptor, self.look.nbytes, access=mmap.ACCESS_READ))
        most = self.look.nbytes + 1  # so that reading less says where it ends, and reading all that it is longer
        data = os.read(descriptor, most)
        while len(data) < self.look.nbytes and (more := os.read(descriptor, most - len(data))):
            data += more
        return memoryview(data)

    def check_unchanged(self) -> None:
        """Make sure that what was read is one state of the file.

        Raises:
            Refused: it was written to meanwhile.
        """
        with machine_errors(f"reading {self._path}"):
            now = look_of(os.stat(self._path, follow_symlinks=False))  # noqa: PTH116, this runs for every file
        if now != self.look or self.data.nbytes != self.look.nbytes:
            raise Refused(f"{self._path} was written to while it was read; wait until it is finished and put it again.")


def is_part(name: str) -> bool:
    """Tell whether a file is what an interrupted ``replace_file`` left behind."""
    return _PART.fullmatch(name) is not None


def replace_file(path: Path, content: bytes | memoryview, executable: bool = False) -> None:
    """Write a file beside and move it into place in one step; a link there is replaced, not followed."""
    with machine_errors(f"writing {path}"):
        part = f"{path.parent}/.smalti-{unique_name()}.part"
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
            try:
                _write(descriptor, content)
                if executable:
                    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
                    os.fchmod(descriptor, mode | (mode & 0o444) >> 2)
            finally:
                os.close(descriptor)
            os.replace(part, path)  # noqa: PTH105, this runs for every file
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(part)  # noqa: PTH108, as above
            raise


def _write(descriptor: int, content: bytes | memoryview) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def remove_parts(folder: Path, names: Iterable[str]) -> None:
    """Remove what interrupted writes left behind, but not what is perhaps being written now."""
    for name in names:
        path = folder / name
        with suppress(FileNotFoundError):
            if is_part(path.name) and time.time() - path.stat().st_mtime > _SLOWEST_WRITE_SECONDS:
                path.unlink()
