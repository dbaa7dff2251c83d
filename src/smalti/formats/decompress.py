"""One file out of .bz2, .gz, .zst or .zip: inflated into a temporary file, and never further than it may go."""

from __future__ import annotations

import bz2
import gzip
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO, cast

from smalti.contracts.violation import shown
from smalti.formats.npz import is_left_by_system, member_fault, opened_zip
from smalti.formats.sniff import Form, recognise
from smalti.formats.source import Source

_CHUNK_NBYTES = 1 << 20
_KEPT_IN_MEMORY_NBYTES = 64 << 20
_REMEDY = "unpack it, and give the file itself"
_WRAPPINGS = ("bzip2", "gzip", "zstd", "zip")


@contextmanager
def unwrapped(source: Source) -> Iterator[tuple[Source, Form]]:
    """Yield the content and what it is: ``source`` itself, or the one file that was wrapped in it."""
    form = recognise(source)
    if form not in _WRAPPINGS or (form == "zip" and not _wraps_one_file(source)):
        yield source, form
        return
    with SpooledTemporaryFile(max_size=_KEPT_IN_MEMORY_NBYTES) as plain:
        with source.mapped("the file", f"a whole {form} file"), _inflating(source, form) as (inflating, name):
            nbytes = _inflate(inflating, cast(IO[bytes], plain), source)
        content = source.holding(cast(IO[bytes], plain), name, nbytes)
        inner = recognise(content)
        if inner in _WRAPPINGS and (inner != "zip" or _wraps_one_file(content)):
            found = f"a {inner} file in a {form} file"
            raise source.refuse("archive.nested", "the file", found, "data wrapped once", "unpack it once")
        yield content, inner


@contextmanager
def _inflating(source: Source, form: Form) -> Iterator[tuple[IO[bytes], str]]:
    """Yield what inflates the content, and the name of the file in it."""
    match form:
        case "bzip2":
            yield cast(IO[bytes], bz2.BZ2File(source.file)), source.name
        case "gzip":
            yield cast(IO[bytes], gzip.GzipFile(fileobj=source.file)), source.name
        case "zstd":
            import pyarrow

            with pyarrow.CompressedInputStream(pyarrow.PythonFile(source.file, "r"), "zstd") as stream:
                yield stream, source.name
        case _:
            with opened_zip(source) as archive, archive.open(_packed(archive)[0]) as opened:
                yield opened, PurePosixPath(opened.name).name


def _inflate(inflating: IO[bytes], plain: IO[bytes], source: Source) -> int:
    nbytes = 0
    while chunk := inflating.read(_CHUNK_NBYTES):
        nbytes += len(chunk)
        source.require(source.expansion_breaches("the file", nbytes, source.stored_nbytes, _REMEDY))
        plain.write(chunk)
    plain.seek(0)
    return nbytes


def _packed(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return what a person packed: no files of the operating system, and no folders unless there is nothing else."""
    members = [member for member in archive.infolist() if not is_left_by_system(member)]
    return [member for member in members if not member.is_dir()] or members


def _wraps_one_file(source: Source) -> bool:
    """Tell whether a zip holds one file that is no array; any other zip is read as .npz.

    Raises:
        ContractBroken: it holds one file under a name or in a form that is not opened, or an Excel workbook.
    """
    with opened_zip(source) as archive:
        members = _packed(archive)
    source.file.seek(0)
    names = {member.filename for member in members}
    if "[Content_Types].xml" in names:
        found, wanted = "an Office document", "a data file"
        raise source.refuse("file.format", "the file", found, wanted, "export the sheet as CSV")
    if "data.pkl" in {PurePosixPath(name).name for name in names}:
        found, wanted = "a PyTorch checkpoint, which is a pickle and can run code", "arrays without pickle"
        raise source.refuse("file.format", "the file", found, wanted, "write it as safetensors or with numpy.savez")
    if len(members) != 1 or members[0].filename.endswith(".npy"):
        return False
    member = members[0]
    place = f"member {shown(member.filename)}"
    if fault := member_fault(member):
        raise source.refuse("archive.member", place, fault, "one plain file, stored or deflated", _REMEDY)
    source.require(source.expansion_breaches(place, member.file_size, member.compress_size, _REMEDY))
    return True
