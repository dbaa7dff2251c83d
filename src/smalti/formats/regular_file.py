"""A regular file, opened without following links and without ever waiting for it, and its digest."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from smalti.contracts.violation import Violation, broken, shown
from smalti.errors import ContractBroken, NotFound, Unavailable

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a named pipe"}


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file for reading; a link, folder, pipe or device is refused.

    Raises:
        NotFound: there is no such file.
        ContractBroken: it is something else than a regular file.
        Unavailable: it may not be read.
    """
    try:
        mode = path.lstat().st_mode
        descriptor = os.open(path, _FLAGS) if stat.S_ISREG(mode) else None
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else errno.ENOENT  # ValueError: a NUL in the name
        if number in _ABSENT:
            raise NotFound(f"there is no file {shown(str(path))}; give the path of a file that exists.") from error
        raise Unavailable(
            f"{shown(str(path))} could not be opened: {os.strerror(number or 0)}; mend that first."
        ) from error
    if descriptor is None:
        raise _not_regular(path, mode)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):  # swapped between the look and the opening
            raise _not_regular(path, mode)
        yield file


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file, as 64 hexadecimal digits; raises as ``open_regular`` does."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _not_regular(path: Path, mode: int) -> ContractBroken:
    found = _KINDS.get(stat.S_IFMT(mode), "a device or socket")
    violation = Violation("file.not_regular", "the file", found, "a regular file", "give the file itself")
    return broken(path.name, [violation])
