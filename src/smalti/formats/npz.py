"""Arrays out of an .npz archive, whose table of contents is judged before anything in it is inflated."""

from __future__ import annotations

import stat
import unicodedata
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from smalti.contracts.violation import Violation, shown
from smalti.formats.content import Content
from smalti.formats.npy import read_npy
from smalti.formats.source import Source

WANTED = "a whole .npz archive"
_ENCRYPTED = 0x1
_LARGEST_ENTRY_NBYTES = 1024
_LONGEST_NAME = 255
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_REMEDY = "write it again with numpy.savez, without pickle"


def read(source: Source, _wanted: Collection[str] | None = None) -> Content:
    """Return every array of the archive."""
    with opened_zip(source) as archive:
        members = archive.infolist()
        source.require(_directory_breaches(members, source))
        source.claim("the archive", sum(member.file_size for member in members), _REMEDY)
        arrays = {}
        for member in members:
            key, place = member.filename.removesuffix(".npy"), f"member {shown(member.filename)}"
            with source.mapped(place, WANTED), archive.open(member) as opened:
                arrays[key] = read_npy(opened, source, place, member.file_size)
        return Content(arrays)


@contextmanager
def opened_zip(source: Source, wanted: str = WANTED, remedy: str = _REMEDY) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose table of contents is no longer than its members may make it.

    Args:
        source: the file.
        wanted: what a damaged one should have been, for the message.
        remedy: what to do about one whose table is too long, for the message.
    """
    bounded = _BoundedTable(source, remedy)
    with source.mapped("the file", wanted):
        archive = zipfile.ZipFile(cast(IO[bytes], bounded))
    bounded.is_open = True
    with archive:
        yield archive


class _BoundedTable:
    """A zip of which, until it ``is_open``, nothing longer is read than a table of contents may be."""

    def __init__(self, source: Source, remedy: str) -> None:
        self.is_open = False
        self._source = source
        self._remedy = remedy

    def read(self, nbytes: int = -1) -> bytes:
        """Read as the file does; zipfile reads the table at once, and the end of the file with -1."""
        most = _LARGEST_ENTRY_NBYTES * self._source.limits.members
        if not self.is_open and nbytes > most:
            found = f"a table of contents of {nbytes} bytes"
            members = f"at most {most}, for {self._source.limits.members} members"
            raise self._source.refuse("archive.members", "the archive", found, members, self._remedy)
        return self._source.file.read(nbytes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source.file, name)


def member_fault(member: zipfile.ZipInfo) -> str | None:
    """Say what is wrong with one entry of a table of contents, whatever it is meant to hold."""
    name = member.filename
    faults = {
        "a name that leads out of the archive": name.startswith(("/", "\\"))
        or ".." in name.replace("\\", "/").split("/")
        or ":" in name,
        f"a name of {len(name)} characters": len(name) > _LONGEST_NAME,
        "a name with control characters": not name.isprintable(),
        "a symbolic link": stat.S_ISLNK(member.external_attr >> 16),
    }
    return next((fault for fault, there in faults.items() if there), None) or closed_fault(member)


def closed_fault(member: zipfile.ZipInfo) -> str | None:
    """Say why nothing can be read out of a member."""
    if member.is_dir():
        return "a folder"
    if member.flag_bits & _ENCRYPTED:
        return "an encrypted member"
    return None if member.compress_type in _METHODS else f"compression method {member.compress_type}"


def _directory_breaches(members: list[zipfile.ZipInfo], source: Source) -> Iterator[Violation]:
    """Judge the table of contents alone; nothing has been inflated yet."""
    if not 0 < len(members) <= source.limits.members:
        found, wanted = f"{len(members)} members", f"1 to {source.limits.members}"
        remedy = "keep the arrays of one scan in an archive"
        yield Violation("archive.members", "the archive", found, wanted, remedy)
        return
    seen: set[str] = set()
    for member in members:
        place = f"member {shown(member.filename)}"
        name = unicodedata.normalize("NFC", member.filename)
        if name in seen:
            yield Violation("archive.duplicate", place, "the same name twice", "each name once", _REMEDY)
        seen.add(name)
        fault = member_fault(member)
        if fault is None and (not name.endswith(".npy") or name == ".npy"):
            fault = "a name that is not that of an array"
        if fault:
            yield Violation("archive.member", place, fault, "a plain .npy array, stored or deflated", _REMEDY)
        yield from source.expansion_breaches(place, member.file_size, member.compress_size, _REMEDY)
    yield from overlap_breaches(members, source, _REMEDY)


def overlap_breaches(members: Collection[zipfile.ZipInfo], source: Source, remedy: str) -> Iterator[Violation]:
    """Yield a violation where the members of an archive are together longer than the archive."""
    stored = sum(member.compress_size for member in members)
    if stored > source.nbytes:
        found, wanted = f"members of {stored} bytes that overlap", f"at most the {source.nbytes} bytes of the archive"
        yield Violation("archive.overlap", "the archive", found, wanted, remedy)
