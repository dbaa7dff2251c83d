"""Making files durable: written beside, synced, made read-only, then moved into place in one step.

The order is the promise: data synced before it is visible, the folder synced before it is acknowledged, and
nothing visible ever opened for writing again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from smalti.errors import SmaltiError, Unavailable

_READ_ONLY = 0o444
_EXISTS = {errno.EEXIST, errno.ENOTEMPTY}


@contextlib.contextmanager
def machine_errors(doing: str) -> Iterator[None]:
    """Turn an error of the machine (full, read-only, not permitted, locked) into one sentence.

    Raises:
        Unavailable: with the machine's reason and the file concerned.
    """
    try:
        yield
    except SmaltiError:
        raise
    except sqlite3.Error as error:
        raise Unavailable(f"could not finish {doing}: the index says {error}; mend that and try again.") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        where = f" at {error.filename}" if error.filename else ""
        raise Unavailable(
            f"could not finish {doing}: {reason}{where}; nothing was changed, free or mend it and try again."
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, each made durable in its own parent."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o750)
    sync_folder(folder.parent)


def write_file(path: Path, pieces: Iterable[bytes | memoryview]) -> int:
    """Create ``path``, which must not exist, with the given content, synced and read-only; return its size."""
    written = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        for piece in pieces:
            left = memoryview(piece).cast("B")
            while left:
                count = os.write(descriptor, left)
                written += count
                left = left[count:]
        os.fchmod(descriptor, _READ_ONLY)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return written


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other thread or process is in here with the same lock file; dying lets it go."""
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def staged_folder(staging: Path) -> Iterator[Path]:
    """Give a fresh private folder below ``staging``; whatever is left of it afterwards is removed."""
    folder = staging / uuid.uuid4().hex
    make_folder(staging)
    folder.mkdir(mode=0o750)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish_folder(folder: Path, target: Path) -> bool:
    """Move a finished folder to ``target`` and make that durable; return False when ``target`` exists already.

    The move is atomic and never replaces: a folder that is not empty cannot be renamed over.
    """
    sync_folder(folder)
    make_folder(target.parent)
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in _EXISTS:
            raise
        sync_folder(target.parent)  # whoever made it may have died before doing so
        return False
    sync_folder(target.parent)
    return True


def publish_file(path: Path, content: bytes, staging: Path) -> bool:
    """Create the file ``path`` whole and durable; return False when it exists already."""
    make_folder(path.parent)
    with staged_folder(staging) as folder:
        write_file(folder / path.name, [content])
        try:
            os.link(folder / path.name, path)
            created = True
        except FileExistsError:
            created = False
    sync_folder(path.parent)  # whoever made it may have died before doing so
    return created


def create_file(path: Path, pieces: Iterable[bytes | memoryview]) -> bool:
    """Create a file of the user's, whole and synced; return False when there is one already."""
    beside = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        write_file(beside, pieces)
        beside.chmod(0o644)
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        return True
    finally:
        beside.unlink(missing_ok=True)
