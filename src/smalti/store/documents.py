"""Small files below a local folder: names, pins, manifests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from smalti.errors import NotFound
from smalti.store.commit import alone_in, machine_errors, publish_file, spool, sync, write_file


class LocalDocuments:
    """Small files below a folder, each created by a link that never replaces."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staging = root / "tmp"

    @property
    def place(self) -> str:
        return str(self._root)

    def create(self, key: str, content: bytes, *, synced: bool = True) -> bool:
        """Create a document."""
        with machine_errors(f"writing {self._root / key}"):
            return publish_file(self._root / key, content, self._staging, synced=synced)

    def replace(self, key: str, content: bytes, was: bytes) -> bool:
        """Put other content in the place of ``was``; writers wait for each other, none for a dead one."""
        with machine_errors(f"writing {self._root / key}"), alone_in(self._root):
            path = self._root / key
            try:
                if path.read_bytes() != was:
                    return False
            except FileNotFoundError:
                return False
            with spool(self._staging) as beside:
                write_file(beside, [content])
                beside.replace(path)
            sync(path.parent)
            return True

    def read(self, key: str) -> bytes:
        """Return a document."""
        with machine_errors(f"reading {self._root / key}"):
            try:
                return (self._root / key).read_bytes()
            except (FileNotFoundError, NotADirectoryError) as error:
                raise NotFound(f"there is no {key} in the store at {self._root}.") from error

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield keys in order."""
        with machine_errors(f"listing {self._root / prefix}"):
            found = sorted(entry.path for entry in _entries_below(f"{self._root}/{prefix}"))
        yield from (path[len(str(self._root)) + 1 :] for path in found)

    def stamps(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield keys, in any order, and how their files look."""
        skipped = len(str(self._root)) + 1
        with machine_errors(f"listing {self._root / prefix}"):
            for entry in _entries_below(f"{self._root}/{prefix}"):
                with suppress(FileNotFoundError):  # removed meanwhile
                    yield entry.path[skipped:], _looks(entry.stat())

    def stamp(self, key: str) -> str:
        """Return how the file of a document looks; another one has another inode or time."""
        with machine_errors(f"looking at {self._root / key}"):
            try:
                return _looks(os.stat(f"{self._root}/{key}"))  # noqa: PTH116, twice as fast
            except FileNotFoundError as error:
                raise NotFound(f"there is no {key} in the store at {self._root}.") from error

    def remove(self, key: str, *, synced: bool = True) -> None:
        """Remove a document."""
        with machine_errors(f"removing {self._root / key}"):
            path = self._root / key
            path.unlink(missing_ok=True)
            if synced and path.parent.is_dir():
                sync(path.parent)


def _looks(status: os.stat_result) -> str:
    return f"{status.st_ino} {status.st_mtime_ns} {status.st_size}"


def _entries_below(folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield all files; only a folder that is not there holds none, others may hold names unseen."""
    folder = folder.rstrip("/")
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _entries_below(entry.path)
                else:
                    yield entry
    except (FileNotFoundError, NotADirectoryError):
        return
