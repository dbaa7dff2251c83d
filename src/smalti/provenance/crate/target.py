"""Where a crate is written: a new folder or a new zip file, which appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from smalti.errors import Refused
from smalti.outputs.file import check_place
from smalti.store.commit import create_file, machine_errors, publish_folder, sync, unique_name

if TYPE_CHECKING:
    from smalti.store import Store

_WHEN = (1980, 1, 1, 0, 0, 0)  # the same for every entry, so that equal crates are equal bytes
_FILE_MODE, _FOLDER_MODE = 0o100644, 0o40755
_PIECE_NBYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written: its SHA-256, hexadecimal, and its size."""

    sha256: str
    nbytes: int


class Target(Protocol):
    """What takes the files of a crate, by path relative to it."""

    def add(self, path: str, content: bytes) -> None:
        """Write a small file."""

    def add_folder(self, path: str) -> None:
        """Create a folder, which may stay empty; ``path`` ends with "/"."""

    def add_value(self, path: str, store: Store, address: str) -> Written:
        """Write the ordinary file of an object, verified."""


@contextmanager
def new_target(path: Path) -> Iterator[Target]:
    """Give what writes a crate beside ``path``, a folder or ``*.zip``; it is moved there when the context ends well.

    Raises:
        Refused: there is something at ``path``.
        NotFound: there is no folder to write in.
        Unavailable: the machine did not let it be written; nothing was left behind.
    """
    check_place(path)
    staged = path.with_name(f".{unique_name()}.part")
    with machine_errors(f"writing {path}"):
        try:
            staged.mkdir()
            if path.suffix.lower() == ".zip":
                archive_path = staged / "crate.zip"
                with zipfile.ZipFile(archive_path, "x") as archive:
                    yield _Zip(archive, staged / "value")
                sync(archive_path)
                done = _link(archive_path, path)
            else:
                yield _Folder(staged)
                done = publish_folder(staged, path)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    if not done:
        raise Refused(f"{path} came to exist meanwhile; name another place with --output.")


def _link(file: Path, path: Path) -> bool:
    try:
        os.link(file, path)  # unlike a rename, never over another file
    except FileExistsError:
        return False
    sync(path.parent)
    return True


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, path: str, content: bytes) -> None:
        create_file(self._new(path), [content])

    def add_folder(self, path: str) -> None:
        (self._root / path).mkdir(parents=True, exist_ok=True)

    def add_value(self, path: str, store: Store, address: str) -> Written:
        written = self._new(path)
        store.write_file(address, written)
        with written.open("rb") as file:
            return Written(hashlib.file_digest(file, "sha256").hexdigest(), written.stat().st_size)

    def _new(self, path: str) -> Path:
        made = self._root / path
        made.parent.mkdir(parents=True, exist_ok=True)
        return made


class _Zip:
    def __init__(self, archive: zipfile.ZipFile, spool: Path) -> None:
        self._archive, self._spool = archive, spool

    def add(self, path: str, content: bytes) -> None:
        self._archive.writestr(_entry(path, zipfile.ZIP_DEFLATED), content)

    def add_folder(self, path: str) -> None:
        self._archive.writestr(_entry(path, zipfile.ZIP_STORED), b"")

    def add_value(self, path: str, store: Store, address: str) -> Written:
        store.write_file(address, self._spool)
        digest = hashlib.sha256()
        try:
            entry = _entry(path, zipfile.ZIP_STORED)
            entry.file_size = self._spool.stat().st_size
            with self._spool.open("rb") as file, self._archive.open(entry, "w", force_zip64=True) as member:
                while piece := file.read(_PIECE_NBYTES):
                    digest.update(piece)
                    member.write(piece)
        finally:
            self._spool.unlink(missing_ok=True)
        return Written(digest.hexdigest(), entry.file_size)


def _entry(path: str, method: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _WHEN)
    entry.compress_type = method
    entry.create_system = 3  # Unix, so that the mode counts, whatever machine this is
    entry.external_attr = (_FOLDER_MODE if path.endswith("/") else _FILE_MODE) << 16
    return entry
