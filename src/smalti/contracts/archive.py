"""Arrays out of a foreign .npz, plain or in bzip2 or gzip, with every size checked before it is believed."""

from __future__ import annotations

import bz2
import errno
import gzip
import math
import os
import stat
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.regular_file import open_regular
from smalti.contracts.violation import Violation, broken, shown
from smalti.errors import SmaltiError, Unavailable

_CHUNK_NBYTES = 1 << 20
_KEPT_IN_MEMORY_NBYTES = 64 << 20
_ALWAYS_ALLOWED_NBYTES = 64 << 20  # below this an expansion ratio says nothing
_ENCRYPTED = 0x1
_PLAIN_KINDS = "biufcUS"
_MAGIC = {b"BZh": "bzip2", b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}
_REMEDY = "write it again with numpy.savez, without pickle"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a foreign file may ask for.

    Attributes:
        file_nbytes: size of the file itself.
        content_nbytes: everything in it, inflated.
        expansion: inflated size over stored size; deflate can reach 1032, bzip2 far more.
        members: arrays in one archive.
    """

    file_nbytes: int = 16 << 30
    content_nbytes: int = 16 << 30
    expansion: int = 500
    members: int = 64


DEFAULT_LIMITS = Limits()


def read_arrays(path: Path, limits: Limits = DEFAULT_LIMITS) -> dict[str, NDArray[Any]]:
    """Return every array of an .npz file, or of one wrapped in .bz2 or .gz; content decides, not the suffix.

    Raises:
        NotFound: there is no such file.
        ContractBroken: it is not a regular file, not such an archive, damaged, hostile or too large.
        Unavailable: the machine cannot read it (permission, memory, disk).
    """
    with open_regular(path) as file, _mapped(path.name, "the file"):
        _require(path.name, _size_breaches(file, limits))
        with _unwrapped(file, path.name, limits) as plain:
            return _read_zip(plain, path.name, limits)


def _size_breaches(file: IO[bytes], limits: Limits) -> Iterator[Violation]:
    nbytes = os.fstat(file.fileno()).st_size
    if nbytes > limits.file_nbytes:
        wanted = f"at most {limits.file_nbytes} bytes"
        yield Violation("file.too_large", "the file", f"{nbytes} bytes", wanted, "cut it into several scans")


@contextmanager
def _unwrapped(file: IO[bytes], source: str, limits: Limits) -> Iterator[IO[bytes]]:
    """Yield the zip itself: ``file``, or its inflated content in a temporary file."""
    head = file.read(4)
    file.seek(0)
    form = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    if form == "zip":
        yield file
    elif form:
        with SpooledTemporaryFile(max_size=_KEPT_IN_MEMORY_NBYTES) as plain:
            inflating = bz2.BZ2File(file) if form == "bzip2" else gzip.GzipFile(fileobj=file)
            _inflate(inflating, plain, source, limits, os.fstat(file.fileno()).st_size)
            yield plain
    else:
        found = f"a file that begins with the bytes {head.hex(' ')}" if head else "an empty file"
        wanted = "an .npz archive, plain or in bzip2 or gzip"
        raise broken(source, [Violation("file.format", "the file", found, wanted, "write it with numpy.savez")])


def _inflate(
    inflating: bz2.BZ2File | gzip.GzipFile, plain: IO[bytes], source: str, limits: Limits, stored_nbytes: int
) -> None:
    nbytes = 0
    while chunk := inflating.read(_CHUNK_NBYTES):
        nbytes += len(chunk)
        _require(source, _expansion_breaches("the file", nbytes, stored_nbytes, limits))
        plain.write(chunk)
    plain.seek(0)


def _read_zip(file: IO[bytes], source: str, limits: Limits) -> dict[str, NDArray[Any]]:
    file.seek(0, os.SEEK_END)
    nbytes = file.tell()
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _require(source, _directory_breaches(members, nbytes, limits))
        arrays = {}
        for member in members:
            key = member.filename.removesuffix(".npy")
            with _mapped(source, f"member {shown(member.filename)}"), archive.open(member) as opened:
                arrays[key] = _read_npy(opened, member, source)
        return arrays


def _directory_breaches(members: list[zipfile.ZipInfo], nbytes: int, limits: Limits) -> Iterator[Violation]:
    """Judge the table of contents alone; nothing has been inflated yet."""
    if not 0 < len(members) <= limits.members:
        found, wanted = f"{len(members)} members", f"1 to {limits.members}"
        yield Violation("archive.members", "the archive", found, wanted, _REMEDY)
        return
    seen: set[str] = set()
    for member in members:
        place = f"member {shown(member.filename)}"
        name = unicodedata.normalize("NFC", member.filename)
        if name in seen:
            yield Violation("archive.duplicate", place, "the same name twice", "each name once", _REMEDY)
        seen.add(name)
        if fault := _member_fault(member):
            yield Violation("archive.member", place, fault, "a plain .npy array, stored or deflated", _REMEDY)
        yield from _expansion_breaches(place, member.file_size, member.compress_size, limits)
    stored = sum(member.compress_size for member in members)
    if stored > nbytes:
        found, wanted = f"members of {stored} bytes that overlap", f"at most the {nbytes} bytes of the archive"
        yield Violation("archive.overlap", "the archive", found, wanted, _REMEDY)
    total = sum(member.file_size for member in members)
    yield from _expansion_breaches("the archive", total, nbytes, limits)


def _member_fault(member: zipfile.ZipInfo) -> str | None:
    name = member.filename
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
        return "a name that leads out of the archive"
    if not name.isprintable() or not name.endswith(".npy") or name == ".npy":
        return "a name that is not that of an array"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a symbolic link"
    if member.flag_bits & _ENCRYPTED:
        return "an encrypted member"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"compression method {member.compress_type}"
    return None


def _expansion_breaches(place: str, nbytes: int, stored_nbytes: int, limits: Limits) -> Iterator[Violation]:
    allowed = min(limits.content_nbytes, max(_ALWAYS_ALLOWED_NBYTES, limits.expansion * stored_nbytes))
    if nbytes > allowed:
        found = f"{nbytes} bytes or more out of {stored_nbytes} stored"
        yield Violation("archive.expansion", place, found, f"at most {allowed} bytes", _REMEDY)


def _read_npy(opened: IO[bytes], member: zipfile.ZipInfo, source: str) -> NDArray[Any]:
    """Read one array; its header must account for every byte of the member before memory is taken.

    Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
    """
    version = np.lib.format.read_magic(opened)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in header:
        raise ValueError(f"version {version} of the .npy format is for structured arrays")
    shape, fortran_order, dtype = header[version](opened)
    _require(source, _header_breaches(shape, dtype, member, member.file_size - opened.tell()))
    flat = np.empty(math.prod(shape), dtype)
    _fill(opened, flat.view(np.uint8).data)
    return flat.reshape(shape[::-1]).T if fortran_order else flat.reshape(shape)


def _header_breaches(
    shape: tuple[int, ...], dtype: np.dtype[Any], member: zipfile.ZipInfo, nbytes: int
) -> Iterator[Violation]:
    place = f"member {shown(member.filename)}"
    if dtype.hasobject or dtype.kind not in _PLAIN_KINDS:
        found = "pickled Python objects" if dtype.hasobject else f"dtype {shown(str(dtype))}"
        yield Violation("member.dtype", place, found, "an array of plain numbers or text", _REMEDY)
    declared = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or declared != nbytes:
        found = f"{nbytes} bytes of data"
        wanted = f"{shown(str(declared))} bytes, as its header says ({dtype.str}, shape {shown(str(shape))})"
        yield Violation("member.size", place, found, wanted, "copy the file again from its source")


def _fill(opened: IO[bytes], target: memoryview) -> None:
    filled = 0
    while filled < len(target):
        chunk = opened.read(min(_CHUNK_NBYTES, len(target) - filled))
        if not chunk:
            raise EOFError(f"the data ends after {filled} of {len(target)} bytes")
        target[filled : filled + len(chunk)] = chunk
        filled += len(chunk)


def _require(source: str, breaches: Iterable[Violation]) -> None:
    if found := tuple(breaches):
        raise broken(source, found)


@contextmanager
def _mapped(source: str, place: str) -> Iterator[None]:
    """Turn whatever the parsers raise into the one sentence it means.

    Malformed files make them raise at least nine unrelated exceptions, so what is listed is what the
    *machine* can do wrong; everything else is the file's fault.
    """
    try:
        yield
    except SmaltiError:
        raise
    except MemoryError as error:
        raise Unavailable(f"{shown(source)}: {place} does not fit in memory; read it on a larger machine.") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise Unavailable(f"{shown(source)} could not be read: {error.strerror}; try again.") from error
        found = f"damage ({type(error).__name__}: {shown(str(error))})"
        remedy = "copy the file again from its source"
        raise broken(source, [Violation("file.damaged", place, found, "a whole .npz archive", remedy)]) from error
