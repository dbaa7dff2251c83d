"""One writer at a time among the arrays of a folder, in any thread or process; a writer that dies lets the others in.

The lock is on the folder itself (``flock``), so that it leaves no file behind and goes with the process. A file system
that cannot lock folders, as some network file systems cannot, is refused rather than written without a lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from smalti.errors import Unavailable

_CANNOT_LOCK = {errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}
_held: set[int] = set()


@contextlib.contextmanager
def writing_alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else writes arrays of a folder.

    Raises:
        Unavailable: the file system cannot lock folders.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    _held.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _CANNOT_LOCK:
                raise
            raise Unavailable(
                f"the file system of {folder} cannot lock folders, so two writers could spoil an array; "
                "keep the directory on a local disk."
            ) from error
        yield
    finally:
        _held.discard(descriptor)
        with contextlib.suppress(OSError):  # a forked child may have a copy of it, which closing would leave locked
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _forget_locks_of_the_parent() -> None:
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_locks_of_the_parent)
