"""The folder that a sandbox works in: private, on disk, held while its process lives, removed for those that died."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from smalti.errors import Unavailable

_PREFIX, _LOCK = "smalti-sandbox-", "held"
_DAY_S = 24 * 3600
_ON_DISK = Path("/var/tmp")  # by convention for what is large; /tmp may be in memory


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """Yield a new folder below ``parent``, which is made if need be, and remove it in the end.

    Args:
        parent: by default the folder that ``TMPDIR`` names, else ``/var/tmp``.

    Raises:
        Unavailable: there can be none.
    """
    with ExitStack() as held:
        with machine_made("a folder to read foreign files in"):
            parent = (parent or folder_for_large_files()).absolute()
            parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(parent)
            made = tempfile.TemporaryDirectory("", _PREFIX, parent, ignore_cleanup_errors=True)
            folder = Path(held.enter_context(made))
            lock = held.enter_context((folder / _LOCK).open("xb"))
            with suppress(OSError):  # a file system without locks: nobody will remove the folder then
                fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed, or this process dies
        yield folder


@contextmanager
def machine_made(what: str) -> Iterator[None]:
    """Turn an error of the machine while it makes something into one sentence; imports nothing, as all wait for it.

    Raises:
        Unavailable: with the machine's reason and the place concerned.
    """
    try:
        yield
    except OSError as error:
        where = f" at {error.filename}" if error.filename else ""
        reason = os.strerror(error.errno) if error.errno else str(error)
        told = f"{what} could not be made: {reason}{where}; free some space, or let TMPDIR name another folder."
        raise Unavailable(told) from error


def folder_for_large_files() -> Path:
    """Return where temporary files may be as large as scans: what ``TMPDIR`` names, else a folder on disk."""
    if not os.environ.get("TMPDIR") and _ON_DISK.is_dir() and os.access(_ON_DISK, os.W_OK | os.X_OK):
        return _ON_DISK
    return Path(tempfile.gettempdir())


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of this user that were not touched for a day and that no living process holds."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it goes away meanwhile
            found = folder.lstat()
            ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if ours and time.time() - found.st_mtime > _DAY_S and not _is_held(folder / _LOCK):
                shutil.rmtree(folder, ignore_errors=True)


def _is_held(path: Path) -> bool:
    """Tell whether a process holds the lock; also where nobody can tell."""
    try:
        with path.open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:  # its process died before it made one
        return False
    except OSError:
        return True
    return False
