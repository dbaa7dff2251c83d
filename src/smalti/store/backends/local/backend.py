"""A store in a folder: keys are paths, objects folders that are moved into place in one step."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from smalti.digest import PREFIX
from smalti.errors import Damaged, NotFound
from smalti.store.backends.base import Entry, folder_key
from smalti.store.backends.local.batch import LocalBatch, local_batch
from smalti.store.backends.local.file import LocalFile
from smalti.store.commit import (
    alone_in,
    machine_errors,
    move_folder,
    publish_file,
    spool,
    staged_folder,
    sync,
    sync_file_system,
    write_file,
)

_SLOWEST_WRITE_SECONDS = 3600.0
_READ_NBYTES = 64 * 1024  # most small files are read at once


class LocalEntry:
    """A file in a folder, looked at when something is asked of it."""

    def __init__(self, entry: os.DirEntry[str], skipped: int) -> None:
        self.key = entry.path[skipped:]
        self._entry = entry

    @property
    def nbytes(self) -> int:
        return self._status.st_size if self._status else 0

    @property
    def stamp(self) -> str:
        return _stamp(self._status) if self._status else ""

    @cached_property
    def _status(self) -> os.stat_result | None:
        try:
            return self._entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None


class LocalBackend:
    """Keys below a folder. Attributes: see :class:`Backend`."""

    parallel = 1
    writes_ahead = True

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self.root = root
        self.location = self.identity = str(root)
        self.clock = clock
        self.staging = root / "tmp"

    def read(self, key: str) -> bytes:
        path = f"{self.root}/{key}"
        try:
            descriptor = os.open(path, os.O_RDONLY)  # this runs for every object
            try:
                content = os.read(descriptor, _READ_NBYTES)
                while len(content) >= _READ_NBYTES and (more := os.read(descriptor, len(content))):
                    content += more
                return content
            finally:
                os.close(descriptor)
        except OSError as error:
            return self._say_why(error, key, path)

    def _say_why(self, error: OSError, key: str, path: str) -> NoReturn:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not (
            isinstance(error, NotADirectoryError) and key.startswith("data/")
        ):
            raise NotFound(f"there is no {key} in the store at {self.root}.") from error
        if isinstance(error, NotADirectoryError | IsADirectoryError):
            raise Damaged(f"{path} is not the file that was stored; restore it from another store.") from error
        with machine_errors(f"reading {path}"):
            raise error

    def open(self, key: str) -> LocalFile:
        return LocalFile(self.root / key)

    def put(self, key: str, content: bytes, *, was: bytes | None = None, synced: bool = True) -> bool:
        path = self.root / key
        with machine_errors(f"writing {path}"):
            if was is None:
                return publish_file(path, content, self.staging, synced=synced)
            with alone_in(self.root):  # writers wait for each other, none for a dead one
                try:
                    if path.read_bytes() != was:
                        return False
                except FileNotFoundError:
                    return False
                with spool(self.staging) as beside:
                    write_file(beside, [content])
                    beside.replace(path)
                sync(path.parent)
                return True

    def delete(self, key: str, *, synced: bool = True) -> None:
        with machine_errors(f"removing {self.root / key}"):
            path = self.root / key
            path.unlink(missing_ok=True)
            if synced and path.parent.is_dir():
                sync(path.parent)

    def list(self, prefix: str) -> Iterator[Entry]:
        skipped = len(str(self.root)) + 1
        folder, _, beginning = prefix.rpartition("/")
        with machine_errors(f"listing {self.root / prefix}"):
            found = sorted(
                (entry for entry in _entries_below(f"{self.root}/{folder}", beginning)), key=lambda entry: entry.path
            )
            yield from (LocalEntry(entry, skipped) for entry in found)

    def stamp(self, key: str) -> str:
        """Return how one file looks, without a look at the others in its folder."""
        with machine_errors(f"looking at {self.root / key}"):
            try:
                return _stamp(os.stat(f"{self.root}/{key}"))  # noqa: PTH116, twice as fast
            except FileNotFoundError as error:
                raise NotFound(f"there is no {key} in the store at {self.root}.") from error

    def addresses(self, hex_prefix: str = "") -> Iterator[str]:
        data = f"{self.root}/data"
        with machine_errors(f"listing {data}"):
            shards = [hex_prefix[:2]] if len(hex_prefix) >= 2 else sorted(_names_in(data))
            for shard in shards:
                if shard.startswith(hex_prefix[:2]):
                    yield from (
                        PREFIX + name for name in sorted(_names_in(f"{data}/{shard}")) if name.startswith(hex_prefix)
                    )

    def batch(self) -> AbstractContextManager[LocalBatch]:
        return local_batch(self.root, self.staging)

    def lease(self, address: str, *, renew: bool = True) -> float:
        """Return the modification time of an object's folder, which a put that finds it renews."""
        folder = f"{self.root}/{folder_key(address)[:-1]}"
        with machine_errors(f"renewing the lease of {address} in {self.location}"):
            if renew:
                try:
                    os.utime(folder)
                except (FileNotFoundError, NotADirectoryError):
                    return 0.0
            try:
                return os.lstat(folder).st_mtime
            except (FileNotFoundError, NotADirectoryError):
                return 0.0

    def remove(self, leased: Mapping[str, float]) -> set[str]:
        gone: set[str] = set()
        with machine_errors(f"removing objects from {self.location}"), staged_folder(self.staging) as aside:
            for number, (address, lease) in enumerate(leased.items()):
                folder, taken = f"{self.root}/{folder_key(address)[:-1]}", f"{aside}/{number}"
                try:
                    os.rename(folder, taken)  # noqa: PTH104, this runs for every object
                except FileNotFoundError:
                    gone.add(address)
                    continue
                if os.lstat(taken).st_mtime > lease:
                    move_folder(taken, folder)  # or the put has written it anew
                    continue
                _remove_tree(taken)
                gone.add(address)
            if gone:
                sync_file_system(self.root)
        return gone

    def sweep(self, older_than_seconds: float) -> None:
        with machine_errors(f"sweeping {self.staging}"):
            for entry in os.scandir(self.staging) if self.staging.is_dir() else ():
                with suppress(FileNotFoundError):  # its writer has finished meanwhile
                    age = self.clock() - entry.stat().st_mtime
                    if age >= max(older_than_seconds, _SLOWEST_WRITE_SECONDS):
                        shutil.rmtree(entry.path) if entry.is_dir() else Path(entry.path).unlink()


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_size}"


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208, for every shard
    except (FileNotFoundError, NotADirectoryError):
        return []


def _entries_below(folder: str, beginning: str = "") -> Iterator[os.DirEntry[str]]:
    """Yield all files; only a folder that is not there holds none, others may hold names unseen."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(beginning):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from _entries_below(entry.path)
                else:
                    yield entry
    except (FileNotFoundError, NotADirectoryError):
        return


def _remove_tree(folder: str) -> None:
    """Remove an object's folder; something else may lie in its place."""
    if not os.path.isdir(folder) or os.path.islink(folder):  # noqa: PTH112, PTH114, this runs for every object
        os.unlink(folder)  # noqa: PTH108
        return
    for name in os.listdir(folder):  # noqa: PTH208
        try:
            os.unlink(f"{folder}/{name}")  # noqa: PTH108
        except (IsADirectoryError, PermissionError):
            shutil.rmtree(folder)
            return
    os.rmdir(folder)  # noqa: PTH106
