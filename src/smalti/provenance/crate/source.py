"""The files of a crate that came from anywhere: a folder or a zip, of which nothing outside is ever read.

Nothing is believed: a path that leads out, a link, an entry that is packed to expand beyond measure or that is there
twice is refused before anything is read.
"""

from __future__ import annotations

import mmap
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from smalti.contracts.violation import shown
from smalti.errors import Damaged, NotFound, Refused
from smalti.store.commit import machine_errors

_MOST_ENTRIES = 1_000_000
_MOST_EXPANSION = 200  # of a whole archive; what we write keeps the values as they are
_SMALL_NBYTES = 64 * 1024 * 1024  # what any archive may expand to
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_PIECE_NBYTES = 1024 * 1024


class CrateFiles(Protocol):
    """The files of a crate, by path relative to it."""

    where: str

    def read(self, path: str, most_nbytes: int) -> bytes:
        """Return a small file.

        Raises:
            NotFound: there is none.
            Refused: the path leads out of the crate, or the file is larger than that.
        """

    def mapped(self, path: str) -> memoryview:
        """Return the content of a file of any size; what is read of it is read then.

        Raises:
            NotFound: there is none.
            Refused: the path leads out of the crate.
        """


@contextmanager
def opened_crate(path: Path) -> Iterator[CrateFiles]:
    """Give the files of the crate in a folder or a zip file.

    Raises:
        NotFound: there is neither.
        Refused: the archive is none, or is not to be trusted.
        Unavailable: the machine did not let it be read.
    """
    with machine_errors(f"reading {path}"):
        if path.is_dir():
            yield _FolderFiles(path)
            return
        if not path.is_file():
            raise NotFound(f"there is no crate at {path}; name a folder or a .zip file.")
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise Refused(f"{path} is neither a folder nor a zip file ({error}); name a crate.") from error
        with archive, tempfile.TemporaryDirectory(prefix="smalti-crate-") as folder:
            yield _ZipFiles(path, archive, Path(folder))


def checked_path(path: object, where: str) -> str:
    """Return a path that stays in the crate.

    Raises:
        Refused: it is absolute, goes up, or is no path at all.
    """
    if not isinstance(path, str) or not path or len(path) > 4096:
        raise Refused(f"{where} names {shown(str(path)[:200])}, which is no path in it; it is not to be trusted.")
    parts = path.removesuffix("/").split("/")
    if {"", ".", ".."} & {*parts} or "\\" in path or "\0" in path or ":" in parts[0]:
        raise Refused(f"{where} names {shown(path)}, which leads out of it; it is not to be trusted.")
    return path


class _FolderFiles:
    def __init__(self, root: Path) -> None:
        self.where = str(root)
        self._root = root

    def read(self, path: str, most_nbytes: int) -> bytes:
        with os.fdopen(self._opened(path), "rb") as file:
            content = file.read(most_nbytes + 1)
        return _small(content, path, most_nbytes, self.where)

    def mapped(self, path: str) -> memoryview:
        descriptor = self._opened(path)
        try:
            if not os.fstat(descriptor).st_size:
                return memoryview(b"")
            return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
        finally:
            os.close(descriptor)

    def _opened(self, path: str) -> int:
        """Open a file below the folder, part by part, so that no link on the way leads anywhere else."""
        *folders, name = checked_path(path, self.where).split("/")
        at = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in folders:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = inner
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
        except FileNotFoundError as error:
            raise NotFound(f"{self.where} lacks {shown(path)}; get the whole crate.") from error
        except OSError as error:
            raise Refused(
                f"{self.where} has no ordinary file {shown(path)} ({error.strerror}); links are not followed."
            ) from error
        finally:
            os.close(at)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Refused(f"{self.where} has no ordinary file {shown(path)}; get the whole crate.")
        return descriptor


class _ZipFiles:
    def __init__(self, path: Path, archive: zipfile.ZipFile, spool: Path) -> None:
        self.where = str(path)
        self._archive, self._spool = archive, spool
        self._members = _sound_members(path, archive)

    def read(self, path: str, most_nbytes: int) -> bytes:
        member = self._member(path)
        if member.file_size > most_nbytes:
            _small(b"", path, most_nbytes, self.where, member.file_size)
        with self._mapped(path), self._archive.open(member) as file:
            return _small(file.read(most_nbytes + 1), path, most_nbytes, self.where)

    def mapped(self, path: str) -> memoryview:
        member = self._member(path)
        unpacked = self._spool / "value"
        with suppress(FileNotFoundError):
            unpacked.unlink()  # of the value before; a map of it stays as it is
        left = member.file_size
        with self._mapped(path), self._archive.open(member) as file, unpacked.open("xb") as written:
            while piece := file.read(min(_PIECE_NBYTES, left + 1)):
                left -= len(piece)
                if left < 0:
                    raise Refused(f"{shown(path)} in {self.where} is larger than it says; it is not to be trusted.")
                written.write(piece)
        with unpacked.open("rb") as file:
            if not member.file_size:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def _member(self, path: str) -> zipfile.ZipInfo:
        found = self._members.get(checked_path(path, self.where))
        if found is None:
            raise NotFound(f"{self.where} lacks {shown(path)}; get the whole crate.")
        return found

    @contextmanager
    def _mapped(self, path: str) -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
            if isinstance(error, Refused):
                raise
            raise Damaged(
                f"{shown(path)} in {self.where} cannot be unpacked ({error}); get the crate again."
            ) from error
        except Exception as error:  # zlib.error derives from nothing else
            if type(error).__module__ == "zlib":
                raise Damaged(
                    f"{shown(path)} in {self.where} cannot be unpacked ({error}); get the crate again."
                ) from error
            raise


def _sound_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > _MOST_ENTRIES:
        raise Refused(f"{path} has {len(members)} entries, more than {_MOST_ENTRIES}; it is not to be trusted.")
    found: dict[str, zipfile.ZipInfo] = {}
    prefix = _only_folder(members)
    for member in members:
        name = checked_path(member.filename, str(path))
        mode = member.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Refused(f"{path} holds {shown(name)}, which is a link or a device; crates hold files.")
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _METHODS:
            raise Refused(f"{path} holds {shown(name)} encrypted or in a rare compression; pack it again as usual.")
        if name in found or name.removeprefix(prefix) in found:
            raise Refused(f"{path} holds {shown(name)} twice; it is not to be trusted.")
        if not member.is_dir():
            found[name.removeprefix(prefix)] = member
    expanded, packed = sum(member.file_size for member in members), path.stat().st_size
    if expanded > max(_SMALL_NBYTES, _MOST_EXPANSION * packed):
        raise Refused(
            f"{path} would expand from {packed} to {expanded} bytes; if you trust it, unpack it and import the folder."
        )
    return found


def _only_folder(members: list[zipfile.ZipInfo]) -> str:
    """Return the folder that everything lies in, as archives of a folder have it; "" where there is none."""
    tops = {member.filename.split("/")[0] for member in members}
    if len(tops) == 1 and all("/" in member.filename for member in members):
        return f"{tops.pop()}/"
    return ""


def _small(content: bytes, path: str, most_nbytes: int, where: str, nbytes: int | None = None) -> bytes:
    if (len(content) if nbytes is None else nbytes) > most_nbytes:
        raise Refused(f"{shown(path)} in {where} has more than {most_nbytes} bytes; it is not to be trusted.")
    return content
