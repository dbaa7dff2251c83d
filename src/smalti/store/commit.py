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
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from smalti.errors import SmaltiError, Unavailable

_READ_ONLY = 0o444
_FEW_PATHS = 32  # syncing a whole file system waits for what others have written there, too
_EXISTS = {errno.EEXIST, errno.ENOTEMPTY}
_CANNOT_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
_AT_FDCWD, _RENAME_EXCHANGE, _RENAME_SWAP = -100, 2, 2  # linux/fcntl.h, linux/fs.h, macOS sys/stdio.h


def unique_name() -> str:
    """Return a name that nobody else comes upon, of 32 hexadecimal digits."""
    return os.urandom(16).hex()


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


def sync(path: str | Path) -> None:
    """Make a file's content, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def sync_command() -> str:
    """Return what makes a file durable here: on macOS fsync leaves what it was given in the disk's own cache."""
    return "F_FULLFSYNC" if sys.platform == "darwin" else "fsync"


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":
        with contextlib.suppress(OSError):  # a file system that does not know it
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, each made durable in its own parent."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    sync(folder.parent)


def make_folders(folders: Iterable[Path]) -> None:
    """Create folders that lie side by side, and make that durable together."""
    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        make_folder(missing[0].parent)
        for folder in missing:
            folder.mkdir(exist_ok=True)
        sync(missing[0].parent)


def write_file(path: str | Path, pieces: Iterable[bytes | memoryview], *, synced: bool = True) -> int:
    """Create ``path``, which must not exist, with the given content, read-only and synced; return its size.

    Not ``synced``, it is durable only after ``sync_together``.
    """
    written = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _READ_ONLY)  # as far as the umask allows
    try:
        for piece in pieces:
            left = memoryview(piece).cast("B")
            while left:
                count = os.write(descriptor, left)
                written += count
                left = left[count:]
        if synced:
            _sync(descriptor)
    finally:
        os.close(descriptor)
    return written


def sync_together(paths: Sequence[str | Path]) -> None:
    """Make files and folders of one file system durable; many of them by syncing all of it at once, where it can be."""
    if len(paths) <= _FEW_PATHS or not syncfs_tells_errors():
        for path in paths:
            sync(path)
    else:
        sync_file_system(paths[0])


def sync_file_system(path: str | Path) -> None:
    """Make all that was written to the file system of ``path`` durable."""
    if sys.platform != "linux":
        os.sync()
        return
    import ctypes  # not every process needs it

    descriptor = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    finally:
        os.close(descriptor)


@cache
def syncfs_tells_errors() -> bool:
    """Tell whether ``syncfs`` is there and reports what could not be written: Linux 5.8 and later."""
    numbers = os.uname().release.split(".")
    return sys.platform == "linux" and [int(number) for number in numbers[:2]] >= [5, 8]


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other thread or process is in here with the same lock file; dying lets it go."""
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other thread or process is in here with the same folder; dying lets it go."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def staged_folder(staging: Path) -> Iterator[Path]:
    """Give a fresh private folder below ``staging``; whatever is left of it afterwards is removed."""
    folder = staging / unique_name()
    make_folder(staging)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def spool(staging: Path | None) -> Iterator[Path]:
    """Give the path of a private file to write; it is removed afterwards unless it was moved away.

    Args:
        staging: the folder to write it in; None: that of the machine for temporary files.
    """
    if staging is None:
        with tempfile.TemporaryDirectory(prefix="smalti-") as folder:
            yield Path(folder) / "spool"
        return
    make_folder(staging)
    path = staging / unique_name()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def publish_folder(folder: Path, target: Path) -> bool:
    """Move a finished folder to ``target`` and make that durable; return False when ``target`` exists already.

    The move is atomic and never replaces: a folder that is not empty cannot be renamed over.
    """
    sync(folder)
    make_folder(target.parent)
    moved = move_folder(folder, target)
    sync(target.parent)  # also where it was there: whoever made it may have died before doing so
    return moved


def move_folder(folder: str | Path, target: str | Path) -> bool:
    """Move a synced folder to ``target``, whose parent has to be synced afterwards; False when that exists already."""
    try:
        os.rename(folder, target)  # noqa: PTH104, this runs for every object
    except OSError as error:
        if error.errno not in _EXISTS:
            raise
        return False
    return True


def exchange_folders(one: Path, other: Path) -> None:
    """Let two folders of one file system take each other's names; their parents have to be synced afterwards.

    On Linux and macOS that is one step, where the file system can do it. Elsewhere there is nothing at ``other`` for
    the time that one rename takes.
    """
    if not _exchanged_in_one_step(one, other):
        aside = one.with_name(f"{one.name}.{unique_name()}")
        other.rename(aside)
        one.rename(other)
        aside.rename(one)


def _exchanged_in_one_step(one: Path, other: Path) -> bool:
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(*names, ctypes.c_uint(_RENAME_SWAP))
        else:
            here = ctypes.c_int(_AT_FDCWD)
            failed = library.renameat2(here, names[0], here, names[1], ctypes.c_uint(_RENAME_EXCHANGE))
    except AttributeError:  # a C library without it
        return False
    if failed and (number := ctypes.set_errno(0)) not in _CANNOT_EXCHANGE:
        raise OSError(number, os.strerror(number), str(other))
    return not failed


def publish_file(path: Path, content: bytes, staging: Path, *, synced: bool = True) -> bool:
    """Create the file ``path`` whole and durable; return False when it exists already.

    Not ``synced``, it is whole for whoever reads it, but losing power may leave none, or an empty one.
    """
    make_folder(path.parent)
    with spool(staging) as beside:  # not a folder of its own: removing one waits for the disk
        write_file(beside, [content], synced=synced)
        try:
            os.link(beside, path)
            created = True
        except FileExistsError:
            created = False
    if synced:
        sync(path.parent)  # whoever made it may have died before doing so
    return created


def create_file(path: Path, pieces: Iterable[bytes | memoryview]) -> bool:
    """Create a file of the user's, whole and synced; return False when there is one already."""
    beside = path.with_name(f".{unique_name()}.part")
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
