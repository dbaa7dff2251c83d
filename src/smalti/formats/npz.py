"""Arrays out of an .npz archive, whose table of contents is judged before anything in it is inflated."""

from __future__ import annotations

import os
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from smalti.contracts.violation import Violation, shown
from smalti.formats.content import Content
from smalti.formats.npy import read_npy
from smalti.formats.source import Source

WANTED = "a whole .npz archive"
_ENCRYPTED = 0x1
_END, _END_NBYTES, _LONGEST_COMMENT = b"PK\x05\x06", 22, 0xFFFF
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


def names(source: Source) -> list[str]:
    """Return the names of the arrays in the archive."""
    with opened_zip(source) as archive:
        listed = [member.filename.removesuffix(".npy") for member in archive.infolist()]
    source.file.seek(0)
    return listed


@contextmanager
def opened_zip(source: Source) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose table of contents is no longer than its members may make it."""
    with source.mapped("the file", WANTED):
        source.require(_table_breaches(source))
        with zipfile.ZipFile(source.file) as archive:
            yield archive


def _table_breaches(source: Source) -> Iterator[Violation]:
    """Judge the length of the table, which would be parsed whole: its end record has it."""
    source.file.seek(max(0, source.nbytes - _END_NBYTES - _LONGEST_COMMENT))
    tail = source.file.read(_END_NBYTES + _LONGEST_COMMENT)
    source.file.seek(0, os.SEEK_SET)
    at = tail.rfind(_END)
    if 0 <= at <= len(tail) - _END_NBYTES:
        [nbytes] = struct.unpack_from("<L", tail, at + 12)
        most = _LARGEST_ENTRY_NBYTES * source.limits.members
        if most < nbytes <= source.nbytes:
            found, wanted = (
                f"a table of contents of {nbytes} bytes",
                f"at most {most}, for {source.limits.members} members",
            )
            yield Violation("archive.members", "the archive", found, wanted, _REMEDY)


def member_fault(member: zipfile.ZipInfo) -> str | None:
    """Say what is wrong with one entry of a table of contents, whatever it is meant to hold."""
    name = member.filename
    faults = {
        "a name that leads out of the archive": name.startswith(("/", "\\"))
        or ".." in name.replace("\\", "/").split("/")
        or ":" in name,
        f"a name of {len(name)} characters": len(name) > _LONGEST_NAME,
        "a name with control characters": not name.isprintable(),
        "a folder": member.is_dir(),
        "a symbolic link": stat.S_ISLNK(member.external_attr >> 16),
        "an encrypted member": bool(member.flag_bits & _ENCRYPTED),
        f"compression method {member.compress_type}": member.compress_type not in _METHODS,
    }
    return next((fault for fault, there in faults.items() if there), None)


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
    stored = sum(member.compress_size for member in members)
    if stored > source.nbytes:
        found, wanted = f"members of {stored} bytes that overlap", f"at most the {source.nbytes} bytes of the archive"
        yield Violation("archive.overlap", "the archive", found, wanted, _REMEDY)
