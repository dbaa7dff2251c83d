"""The files of an archive, written safely into a fresh folder that appears whole or not at all.

Neither ``tarfile`` nor ``zipfile`` writes anything: with its ``data`` filter the former strips what leads out of a name
and makes links, which has been got round (CVE-2025-4517), and the latter renames in silence. Here such names are
refused and no link is ever made.
"""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from smalti.contracts.violation import shown
from smalti.datasets.fetch.members import REMEDY, WANTED, Member, members
from smalti.errors import Refused, SmaltiError
from smalti.formats.regular_file import open_regular
from smalti.formats.source import Limits, Source
from smalti.store.commit import machine_errors, move_folder, sync, sync_together

_CHUNK_NBYTES = 1 << 20
_LONGEST_PART_NBYTES = 255
_LONGEST_PATH_NBYTES = 900  # macOS takes 1024, the folder included
_ROOT = PurePosixPath()
_DRIVE = re.compile(r"[A-Za-z]:")
_RAISE = "raise the limit if that is right"


def unpack(
    archive: Path,
    folder: Path,
    *,
    most_nbytes: int = 16 << 30,
    most_files: int = 100_000,
    most_ratio: int = 500,
    progress: Callable[[int], None] | None = None,
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
        progress: called with the bytes written so far; what it raises ends the unpacking, and nothing stays.

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
        nbytes = os.fstat(file.fileno()).st_size
        limits = Limits(content_nbytes=most_nbytes, expansion=most_ratio, members=most_files, objects=most_files)
        source = Source(file, archive.name, nbytes, nbytes, limits)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as staging:
            tree = _Tree(Path(staging) / "whole", source, progress or (lambda _nbytes: None))
            for member in members(source):
                tree.add(member)
            tree.copy_links()
            sync_together(tree.paths())
            if not move_folder(tree.root, folder):
                raise there
        sync(folder.parent)
        return tree.files()


class _Tree:
    """The folder that grows, and every name in it, so that none comes twice on any file system."""

    def __init__(self, root: Path, source: Source, progress: Callable[[int], None]) -> None:
        self.root = root
        self._progress = progress
        self._source = source
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
        path = PurePosixPath(unicodedata.normalize("NFC", member.name))
        if fault := _name_fault(member.name, path):
            raise self._refusal("name", shown(member.name), fault, "a plain relative path")
        self._claim(path, is_folder=member.content is None and member.link is None)
        if member.content is not None:
            self._write(path, member.content)
        elif member.link is not None:
            start = "" if member.link_is_hard else str(path.parent)
            self._links[path] = _link_target(start, member.link)

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
                raise self._refusal("link", path, f"a link to {shown(str(target))}", "links to files of the archive")
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
        key = unicodedata.normalize("NFC", str(path).casefold())
        known = self._known.get(key)
        if known == path or path == _ROOT:
            raise self._refusal("duplicate", path, "the same name twice", "each name once")
        if known is not None:
            found = f"a name that differs from {shown(str(known))} by case only"
            raise self._refusal("case", path, found, "names that differ on every file system")
        most = self._source.limits.members
        if len(self._known) == most:
            found = f"more than {most} files and folders"
            raise self._source.refuse("archive.members", "the archive", found, f"at most {most}", _RAISE)
        self._known[key] = path
        if is_folder:
            self._folders.add(path)
            (self.root / path).mkdir()

    def _write(self, path: PurePosixPath, content: IO[bytes]) -> None:
        source = self._source
        with (self.root / path).open("xb") as file:
            while True:
                with source.mapped("the archive", WANTED):
                    piece = content.read(_CHUNK_NBYTES)
                if not piece:
                    return
                self._nbytes += len(piece)
                source.require(source.expansion_breaches("the archive", self._nbytes, source.stored_nbytes, _RAISE))
                file.write(piece)
                self._progress(self._nbytes)

    def _refusal(self, rule: str, member: object, found: str, wanted: str) -> SmaltiError:
        return self._source.refuse(f"archive.{rule}", f"member {shown(str(member))}", found, wanted, REMEDY)


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


def _link_target(start: str, link: str) -> PurePosixPath:
    """Return the path in the archive that a link leads to, read as text: nothing is followed on disk."""
    return PurePosixPath(unicodedata.normalize("NFC", posixpath.normpath(posixpath.join(start, link))))
