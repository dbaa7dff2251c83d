"""The files of an archive, written safely into a fresh folder that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import posixpath
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from smalti.contracts.violation import shown
from smalti.datasets.fetch.members import Member, members, refused
from smalti.errors import ContractBroken, Refused, SmaltiError, Unavailable
from smalti.formats.regular_file import open_regular
from smalti.store.commit import machine_errors, move_folder, sync, sync_together

_CHUNK_NBYTES = 1 << 20
_ALWAYS_ALLOWED_NBYTES = 64 << 20  # below this a ratio says nothing
_LONGEST_PART_NBYTES = 255
_LONGEST_PATH_NBYTES = 900  # macOS takes 1024, the folder included
_ROOT = PurePosixPath()
_DRIVE = re.compile(r"[A-Za-z]:")


def unpack(
    archive: Path,
    folder: Path,
    *,
    most_nbytes: int = 16 << 30,
    most_files: int = 100_000,
    most_ratio: int = 500,
) -> tuple[PurePosixPath, ...]:
    """Write the files of a zip or tar (plain, gzip, bzip2, xz, zstd) into ``folder``; return their paths in it, sorted.

    Only content and names come out of the archive: no modes, owners, times or attributes. A link to a file of the
    archive becomes a copy of it. Names are brought to Unicode NFC.

    Args:
        archive: a regular file; content decides what it is, not its name.
        folder: does not exist, or is empty; its parent exists.
        most_nbytes: all files together, counted while they are written.
        most_files: files and folders together.
        most_ratio: bytes written over bytes of the archive, once more than 64 MiB are written.

    Raises:
        ContractBroken: the archive is damaged, hostile or too large; nothing was written.
        Refused: there is something at ``folder``.
        NotFound: there is no such archive.
        Unavailable: the machine cannot do it now (disk full, no permission).
    """
    there = Refused(f"{shown(str(folder))} is there already; name a new folder, or move it away.")
    with open_regular(archive) as file, machine_errors(f"unpacking {shown(archive.name)}"):
        if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
            raise there
        allowed = max(_ALWAYS_ALLOWED_NBYTES, most_ratio * os.fstat(file.fileno()).st_size)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as staging:
            tree = _Tree(Path(staging) / "whole", min(most_nbytes, allowed), most_files)
            with _named(archive.name):
                for member in members(file, most_files):
                    tree.add(member)
                tree.copy_links()
            sync_together(tree.paths())
            if not move_folder(tree.root, folder):
                raise there
        sync(folder.parent)
        return tree.files()


class _Tree:
    """The folder that grows, and every name in it, so that none comes twice on any file system."""

    def __init__(self, root: Path, most_nbytes: int, most_files: int) -> None:
        self.root = root
        self._most_nbytes = most_nbytes
        self._most_files = most_files
        self._nbytes = 0
        self._known: dict[str, PurePosixPath] = {}  # by its name on a file system that ignores case
        self._folders = {_ROOT}
        self._links: dict[PurePosixPath, PurePosixPath] = {}
        root.mkdir()

    def add(self, member: Member) -> None:
        """Write a file or make a folder; a link waits for what it leads to.

        Raises:
            ContractBroken: its name or size is not acceptable.
        """
        path = _safe_path(member.name)
        if member.content is not None:
            self._claim(path, is_folder=False)
            self._write(path, member.content)
        elif member.link is not None:
            self._claim(path, is_folder=False)
            start = "" if member.link_is_hard else str(path.parent)
            self._links[path] = _link_target(path, start, member.link)
        else:
            self._claim(path, is_folder=True)

    def copy_links(self) -> None:
        """Put a copy of its file where each link is; links may lead to links.

        Raises:
            ContractBroken: one leads to no file of the archive.
        """
        files = set(self.files()) - self._links.keys()
        for path, first in self._links.items():
            target, seen = first, {path}
            while target in self._links and target not in seen:
                seen.add(target)
                target = self._links[target]
            if target not in files:
                found = f"a link to {shown(str(target))}"
                raise refused("link", f"member {shown(str(path))}", found, "links to files of the archive")
            with (self.root / target).open("rb") as content:
                self._write(path, content)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the paths of all files, sorted."""
        return tuple(sorted(set(self._known.values()) - self._folders))

    def paths(self) -> list[Path]:
        """Return all files and folders, for syncing."""
        return [self.root, *(self.root / path for path in self._known.values())]

    def _claim(self, path: PurePosixPath, *, is_folder: bool) -> None:
        """Take a name, and those of the folders above it; only a folder may be named again."""
        if path in self._folders and is_folder:
            return
        if path != path.parent:
            self._claim(path.parent, is_folder=True)
        place = f"member {shown(str(path))}"
        key = unicodedata.normalize("NFC", str(path).casefold())
        known = self._known.get(key)
        if known == path or path == _ROOT:
            raise refused("duplicate", place, "the same name twice", "each name once")
        if known is not None:
            found = f"a name that differs from {shown(str(known))} by case only"
            raise refused("case", place, found, "names that differ on every file system")
        if len(self._known) == self._most_files:
            found = f"more than {self._most_files} files and folders"
            raise refused("members", "the archive", found, "fewer", "raise the limit if that is right")
        self._known[key] = path
        if is_folder:
            self._folders.add(path)
            (self.root / path).mkdir()

    def _write(self, path: PurePosixPath, content: IO[bytes]) -> None:
        with (self.root / path).open("xb") as file:
            while piece := content.read(_CHUNK_NBYTES):
                self._nbytes += len(piece)
                if self._nbytes > self._most_nbytes:
                    found = f"{self._nbytes} bytes or more, unpacked"
                    wanted = f"at most {self._most_nbytes}"
                    raise refused("expansion", "the archive", found, wanted, "raise the limit if that is right")
                file.write(piece)


def _safe_path(name: str) -> PurePosixPath:
    """Return a member's path below the folder, in NFC; every name that means something else somewhere is refused."""
    path = PurePosixPath(unicodedata.normalize("NFC", name))
    fault = _name_fault(name, path)
    if fault:
        raise refused("name", f"member {shown(name)}", fault, "a plain relative path")
    return path


def _name_fault(name: str, path: PurePosixPath) -> str | None:
    if path.is_absolute() or _DRIVE.match(name) or ".." in path.parts:
        return "a name that leads out of the folder"
    if "\\" in name:
        return "a name with a backslash"
    if not name or not name.isprintable():
        return "a name with characters that cannot be printed"
    longest = max((len(part.encode()) for part in path.parts), default=0)
    if longest > _LONGEST_PART_NBYTES or len(str(path).encode()) > _LONGEST_PATH_NBYTES:
        return "a name that is too long"
    return None


def _link_target(path: PurePosixPath, start: str, link: str) -> PurePosixPath:
    """Return the path in the archive that a link leads to, read as text: nothing is followed on disk."""
    target = PurePosixPath(unicodedata.normalize("NFC", posixpath.normpath(posixpath.join(start, link))))
    if target.is_absolute() or ".." in target.parts:
        raise refused("link", f"member {shown(str(path))}", "a link out of the folder", "links to files of the archive")
    return target


@contextmanager
def _named(archive: str) -> Iterator[None]:
    """Say which archive it is, and turn whatever the parsers raise into the one sentence it means.

    What is listed is what the *machine* can do wrong; everything else is the file's fault.
    """
    try:
        yield
    except ContractBroken as error:
        raise ContractBroken(f"{shown(archive)}: {error}", error.violations) from error
    except SmaltiError:
        raise
    except MemoryError as error:
        raise Unavailable(f"{shown(archive)} does not fit in memory; unpack it on a larger machine.") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        found = f"damage ({type(error).__name__}: {shown(str(error))})"
        damage = refused("damaged", "the archive", found, "a whole zip or tar", "copy it again from its source")
        raise ContractBroken(f"{shown(archive)}: {damage}", damage.violations) from error
