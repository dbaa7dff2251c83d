"""Arrays out of an .npz archive, whose table of contents is validated before anything in it is inflated."""

from __future__ import annotations

import stat
import unicodedata
import zipfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any, cast

from numpy.typing import NDArray

from smalti.contracts.violation import Violation, shown
from smalti.errors import ContractBroken
from smalti.formats.content import LARGEST_OFFERED_NBYTES, Content, Skipped, may_hold_positions
from smalti.formats.npy import declared, read_npy
from smalti.formats.source import Source

WANTED = "a whole .npz archive"
_ENCRYPTED = 0x1
_USUAL_ENTRY_NBYTES = 256
_LONGEST_NAME = 255
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_REMEDY = "write it again with numpy.savez, without pickle"
_KEEP_ONE_SCAN = "keep the arrays of one scan in an archive"
_UNASKED = "nobody asked for it"
_LEFT_BY_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini")


def read(source: Source, wanted: Collection[str] | None = None) -> Content:
    """Return the arrays of the archive.

    With ``wanted``, of the other members those that may hold positions (``may_hold_positions``) are read where they
    are sound, and everything else is skipped. Without, every member is read, and one that cannot be refuses the
    archive. What an operating system leaves in an archive is never looked at.
    """
    with opened_zip(source) as archive:
        members = [member for member in archive.infolist() if not is_left_by_system(member)]
        source.require(_structure_breaches(members, source))
        everything = wanted is None or not any(_is_array(member.filename) for member in members)
        asked = {member.filename for member in members if everything or _key(member) in (wanted or ())}
        needed = [member for member in members if member.filename in asked]
        source.require(_breaches(needed, source, limit_members=wanted is None))
        nbytes = sum(member.file_size for member in needed)
        room = max(source.limits.members - len(needed), 0)
        more = _most_offered_nbytes((m for m in members if m.filename not in asked), room)
        if any(source.expansion_breaches("the archive", nbytes + more, source.stored_nbytes, _REMEDY, declared=True)):
            room, more = 0, 0
        source.claim("the archive", nbytes + more, _REMEDY, declared=True)
        arrays: dict[str, NDArray[Any]] = {}
        skipped = []
        for member in members:
            if member.filename in asked:
                arrays[_key(member)] = _array(archive, member, source)
                continue
            answer = _offered(archive, member, source) if room else _fault(member) or _UNASKED
            if isinstance(answer, str):
                skipped.append(Skipped(_key(member), answer))
            else:
                arrays[_key(member)], room = answer, room - 1
        return Content(arrays, skipped=tuple(skipped))


def _most_offered_nbytes(members: Iterable[zipfile.ZipInfo], count: int) -> int:
    """Return what so many of these arrays that nobody asked for can take at most."""
    small = sorted((m.file_size for m in members if m.file_size <= LARGEST_OFFERED_NBYTES), reverse=True)
    return sum(small[:count])


def is_left_by_system(member: zipfile.ZipInfo) -> bool:
    """Tell whether macOS or Windows put a member beside what a person packed."""
    path = PurePosixPath(member.filename)
    return path.parts[:1] == ("__MACOSX",) or path.name.startswith("._") or path.name in _LEFT_BY_SYSTEMS


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: Source) -> NDArray[Any]:
    place = f"member {shown(member.filename)}"
    with source.mapped(place, WANTED), archive.open(member) as opened:
        return read_npy(opened, source, place, member.file_size)


def _offered(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: Source) -> NDArray[Any] | str:
    """Return an array that nobody asked for, or why it is skipped."""
    place = f"member {shown(member.filename)}"
    if fault := _fault(member):
        return fault
    if member.file_size > LARGEST_OFFERED_NBYTES:
        return _UNASKED
    try:
        source.require(source.expansion_breaches(place, member.file_size, member.compress_size, _REMEDY, declared=True))
        with source.mapped(place, WANTED), archive.open(member) as opened:
            shape, dtype = declared(opened)
        if not may_hold_positions(shape, dtype):
            kind = "pickled Python objects" if dtype.hasobject else shown(str(dtype))
            return f"{kind} of shape {shown(str(shape))}, and {_UNASKED}"
        return _array(archive, member, source)
    except ContractBroken as error:
        return "; ".join(v.found for v in error.violations if isinstance(v, Violation))


def _key(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _is_array(name: str) -> bool:
    return name.endswith(".npy") and name != ".npy"


def names(source: Source) -> list[str]:
    """Return the names of the arrays in the archive."""
    with opened_zip(source) as archive:
        listed = [_key(m) for m in archive.infolist() if _is_array(m.filename) and not is_left_by_system(m)]
    source.file.seek(0)
    return listed


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
        most = _USUAL_ENTRY_NBYTES * self._source.limits.objects
        if not self.is_open and nbytes > most:
            found = f"a table of contents of {nbytes} bytes"
            members = f"at most {most}, for {self._source.limits.objects} members"
            raise self._source.refuse("archive.members", "the archive", found, members, self._remedy)
        return self._source.file.read(nbytes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source.file, name)


def member_fault(member: zipfile.ZipInfo) -> str | None:
    """Say what is wrong with one entry of a table of contents, whatever it is meant to hold."""
    return hostile_fault(member) or closed_fault(member)


def hostile_fault(member: zipfile.ZipInfo) -> str | None:
    """Say what nobody packs by accident."""
    name = member.filename
    faults = {
        "a name that leads out of the archive": name.startswith(("/", "\\"))
        or ".." in name.replace("\\", "/").split("/")
        or ":" in name,
        f"a name of {len(name)} characters": len(name) > _LONGEST_NAME,
        "a name with control characters": not name.isprintable(),
        "a symbolic link": stat.S_ISLNK(member.external_attr >> 16),
    }
    return next((fault for fault, there in faults.items() if there), None)


def closed_fault(member: zipfile.ZipInfo) -> str | None:
    """Say why nothing can be read out of a member."""
    if member.is_dir():
        return "a folder"
    if member.flag_bits & _ENCRYPTED:
        return "an encrypted member"
    return None if member.compress_type in _METHODS else f"compression method {member.compress_type}"


def _fault(member: zipfile.ZipInfo) -> str | None:
    """Say why a member is no array."""
    return closed_fault(member) or (None if _is_array(member.filename) else "a name that is not that of an array")


def _structure_breaches(members: list[zipfile.ZipInfo], source: Source) -> Iterator[Violation]:
    """Yield what is wrong with the table of contents as a whole, whoever asked for what; nothing has been inflated."""
    if not 0 < len(members) <= source.limits.objects:
        found, wanted = f"{len(members)} members", f"1 to {source.limits.objects}"
        yield Violation("archive.members", "the archive", found, wanted, _KEEP_ONE_SCAN)
        return
    seen: set[str] = set()
    for member in members:
        place = f"member {shown(member.filename)}"
        name = unicodedata.normalize("NFC", member.filename)
        if name in seen:
            yield Violation("archive.duplicate", place, "the same name twice", "each name once", _REMEDY)
        seen.add(name)
        if fault := hostile_fault(member):
            yield Violation("archive.member", place, fault, "a plain .npy array, stored or deflated", _REMEDY)
    yield from overlap_breaches(members, source, _REMEDY)


def overlap_breaches(members: Collection[zipfile.ZipInfo], source: Source, remedy: str) -> Iterator[Violation]:
    """Yield a violation where the members of an archive are together longer than the archive."""
    stored = sum(member.compress_size for member in members)
    if stored > source.nbytes:
        found, wanted = f"members of {stored} bytes that overlap", f"at most the {source.nbytes} bytes of the archive"
        yield Violation("archive.overlap", "the archive", found, wanted, remedy)


def _breaches(asked: list[zipfile.ZipInfo], source: Source, limit_members: bool) -> Iterator[Violation]:
    """Yield what is wrong with the members that are asked for; nothing has been inflated."""
    if limit_members and len(asked) > source.limits.members:
        found, wanted = f"{len(asked)} members", f"1 to {source.limits.members}"
        yield Violation("archive.members", "the archive", found, wanted, _KEEP_ONE_SCAN)
        return
    for member in asked:
        place = f"member {shown(member.filename)}"
        if fault := _fault(member):
            yield Violation("archive.member", place, fault, "a plain .npy array, stored or deflated", _REMEDY)
        yield from source.expansion_breaches(place, member.file_size, member.compress_size, _REMEDY, declared=True)
