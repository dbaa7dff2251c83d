"""A source that is a folder of this machine: its regular files; links are not followed, nothing is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smalti.errors import NotFound, Refused
from smalti.migration.sources.source import Left, SourceFile, check_small, unsafe_path
from smalti.store.commit import machine_errors
from smalti.tracking.work_file import WorkFile, is_executable, look_of


@dataclass(frozen=True, slots=True)
class FolderSource:
    """The files that were in a folder when it was looked at."""

    root: Path
    files: Mapping[str, SourceFile]
    left: tuple[Left, ...]

    @property
    def place(self) -> str:
        return str(self.root)

    def read(self, path: str) -> bytes:
        """Return a small file.

        Raises:
            Refused: it is too large for one that describes others, or is a link by now.
            Unavailable: it may not be read.
        """
        check_small(self.files[path], self.place)
        with self.local(path) as file:
            return bytes(WorkFile(file).data)

    @contextmanager
    def local(self, path: str) -> Iterator[Path]:
        """Give the file itself; a folder on the way that became a link is refused."""
        file = self.root / path
        with machine_errors(f"reading {file}"):
            inside = Path(os.path.realpath(file.parent)).is_relative_to(self.root)
        if not inside:
            raise Refused(f"{file} is reached through a link that leaves {self.root}; name the folder it leads to.")
        yield file


def folder_source(folder: Path) -> FolderSource:
    """Look at all that lies below a folder.

    Raises:
        NotFound: there is no such folder.
        Unavailable: it may not be read.
    """
    with machine_errors(f"looking at {folder}"):
        if not folder.is_dir():
            raise NotFound(f"there is no folder {folder}; name one, or s3://bucket/prefix, or an MLflow tracking URI.")
        root = folder.resolve()
        files: dict[str, SourceFile] = {}
        left: list[Left] = []
        os.scandir(root).close()  # that the topmost folder cannot be read is no remark but a failure
        _look(root, "", files, left)
    return FolderSource(root, dict(sorted(files.items())), tuple(left))


def _look(root: Path, top: str, files: dict[str, SourceFile], left: list[Left]) -> None:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(root / folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except PermissionError:
            left.append(Left(folder, "is a folder that may not be read", is_failure=True))
            continue
        for entry in found:
            path = f"{folder}/{entry.name}" if folder else entry.name
            status = entry.stat(follow_symlinks=False)
            if why := _why_left(path, status.st_mode):
                left.append(Left(path.encode(errors="backslashreplace").decode(), why))
            elif stat.S_ISDIR(status.st_mode):
                waiting.append(path)
            else:
                files[path] = SourceFile(path, status.st_size, look_of(status), is_executable(status))


def _why_left(path: str, mode: int) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        return "has a name that is not UTF-8"
    if stat.S_ISLNK(mode):
        return "is a symbolic link, which is not followed"
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return "is a pipe, a socket or a device"
    return unsafe_path(path)
