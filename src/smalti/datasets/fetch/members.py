"""The members of a zip or tar, one after another; what a header declares is never believed before it is read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Self, cast

from smalti.contracts.violation import shown
from smalti.formats.npz import closed_fault, opened_zip, overlap_breaches
from smalti.formats.source import Source

WANTED = "a whole zip or tar"
REMEDY = "pack it again with tar or zip"
_CHUNK_NBYTES = 1 << 18
_XZ_MEMORY_NBYTES = 512 << 20
_TAR_HEADERS_NBYTES = 1 << 16
_TAR_PADDING_NBYTES = 16 << 20
_MANY_DIGITS = re.compile(rb"\d{100}")
_LONGEST_LINK_NBYTES = 1024
_KINDS = (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
_ONLY = "files, folders and links only"


@dataclass(frozen=True, slots=True)
class Member:
    """One thing in an archive; the content is read before the next member is asked for.

    Attributes:
        name: as the archive has it, not yet checked.
        content: the bytes of a file, else None.
        link: what a link leads to, else None; of a folder both are None.
        link_is_hard: ``link`` starts at the root of the archive, not at the folder of the member.
    """

    name: str
    content: IO[bytes] | None = None
    link: str | None = None
    link_is_hard: bool = False


def members(source: Source) -> Iterator[Member]:
    """Yield what is in a zip, or in a tar that is plain or in gzip, bzip2, xz or zstd; content decides, not the name.

    Raises:
        ContractBroken: it is damaged, holds what is neither file, folder nor link, or its structure is hostile.
    """
    head = source.file.read(6)
    source.file.seek(0)
    with source.mapped("the archive", WANTED):
        if head.startswith(b"PK"):
            yield from _zip_members(source)
            return
        pieces = next((inflated for magic, inflated in _INFLATED.items() if head.startswith(magic)), _pieces)
        yield from _tar_members(source, pieces(source.file))


def _zip_members(source: Source) -> Iterator[Member]:
    with opened_zip(source, WANTED, REMEDY) as archive:
        listed = archive.infolist()
        source.require(overlap_breaches(listed, source, REMEDY))
        for info in listed:
            place = f"member {shown(info.orig_filename)}"
            kind = stat.S_IFMT(info.external_attr >> 16)
            if "\0" in info.orig_filename:  # zipfile cuts the name there
                raise source.refuse("archive.name", place, "a name with a NUL in it", "a plain name", REMEDY)
            if kind not in _KINDS:
                raise source.refuse("archive.kind", place, "a device, pipe or socket", _ONLY, REMEDY)
            if info.is_dir():
                yield Member(info.filename)
                continue
            if fault := closed_fault(info):
                raise source.refuse("archive.member", place, fault, "a stored or deflated member", REMEDY)
            with archive.open(info) as content:
                if kind == stat.S_IFLNK:
                    yield Member(info.filename, link=content.read(_LONGEST_LINK_NBYTES).decode())
                else:
                    yield Member(info.filename, content)


def _tar_members(source: Source, pieces: Iterator[bytes]) -> Iterator[Member]:
    stream = _TarStream(source, pieces)
    with tarfile.TarFile(fileobj=stream, tarinfo=_Header) as archive:
        for info in archive:
            place = f"member {shown(info.name)}"
            if info.issparse():
                raise source.refuse("archive.sparse", place, "a sparse file", "a file with all of its bytes", REMEDY)
            if info.isreg():
                yield Member(info.name, archive.extractfile(info))
            elif info.isdir():
                yield Member(info.name)
            elif info.islnk() or info.issym():
                yield Member(info.name, link=info.linkname, link_is_hard=info.islnk())
            else:
                raise source.refuse("archive.kind", place, "a device, pipe or unknown thing", _ONLY, REMEDY)
    stream.require_end()


class _Header(tarfile.TarInfo):
    """A header that is read within limits; ``tarfile`` takes a broken or missing one for the end of the archive."""

    __slots__ = ()

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        with cast(_TarStream, archive.fileobj).within_headers():
            return super().fromtarfile(archive)

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the empty block that ends a tar
            raise tarfile.ReadError(str(error)) from error


class _TarStream(io.RawIOBase):
    """The bytes of a tar, forward only, and no more of them for the headers of a file than those need.

    ``tarfile`` would read a header of any declared length into memory, and can be sent back by a negative one.
    """

    def __init__(self, source: Source, pieces: Iterator[bytes]) -> None:
        self._source = source
        self._pieces = pieces
        self._waiting = memoryview(b"")
        self._nbytes = 0
        self._headers_left: int | None = None  # None while content is read

    @contextmanager
    def within_headers(self) -> Iterator[None]:
        """Limit what is read; a header that announces another one shares its limit."""
        if self._headers_left is not None:
            yield
            return
        self._headers_left = _TAR_HEADERS_NBYTES
        try:
            yield
        finally:
            self._headers_left = None

    def tell(self) -> int:
        return self._nbytes

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._nbytes:
            raise tarfile.ReadError("a member that begins inside an earlier one")
        while self._nbytes < offset and self._next(offset - self._nbytes):
            pass
        return self._nbytes

    def read(self, nbytes: int = -1, /) -> bytes:
        if self._headers_left is not None:
            self._headers_left -= nbytes
            if nbytes < 0 or self._headers_left < 0:
                raise self._refusal("header", "a header that never ends", f"at most {_TAR_HEADERS_NBYTES} bytes")
        data = bytearray()
        while len(data) < nbytes and (piece := self._next(nbytes - len(data))):
            data += piece
        # On these, tarfile of Python 3.11.9 and older takes minutes: CVE-2024-6232.
        if self._headers_left is not None and len(data) > tarfile.BLOCKSIZE and _MANY_DIGITS.search(data):
            raise self._refusal("header", "a header made of digits", "headers as tar writes them")
        return bytes(data)

    def require_end(self) -> None:
        """Read on to the end, which an inflater checks, and refuse all but a limited number of zeros.

        Raises:
            ContractBroken: something follows that only other programs would unpack.
        """
        end = self._nbytes + _TAR_PADDING_NBYTES
        while piece := self._next(_CHUNK_NBYTES):
            if any(piece):
                raise self._refusal("padding", "more after the end", "nothing but zeros there")
            if self._nbytes > end:
                raise self._refusal("padding", "zeros without end", f"at most {_TAR_PADDING_NBYTES} bytes")

    def _refusal(self, code: str, found: str, wanted: str) -> Exception:
        return self._source.refuse(f"archive.{code}", "the archive", found, wanted, REMEDY)

    def _next(self, most_nbytes: int) -> memoryview:
        if not self._waiting:
            self._waiting = memoryview(next(self._pieces, b""))
        piece, self._waiting = self._waiting[:most_nbytes], self._waiting[most_nbytes:]
        self._nbytes += len(piece)
        return piece


def _pieces(file: Any) -> Iterator[bytes]:
    return iter(partial(file.read, _CHUNK_NBYTES), b"")


def _unzstd(file: IO[bytes]) -> Iterator[bytes]:
    import pyarrow as pa

    return _pieces(pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd"))


def _unxz(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what an .xz holds; its header may ask for a window of 4 GiB, so memory is limited (lzma.open has none)."""
    data = file.read(_CHUNK_NBYTES)
    while data:
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_NBYTES)
        while not stream.eof:
            if piece := stream.decompress(data, _CHUNK_NBYTES):
                yield piece
            data = file.read(_CHUNK_NBYTES) if stream.needs_input else b""
            if stream.needs_input and not data:
                raise EOFError("the compressed data ends in the middle")
        data = (stream.unused_data or file.read(_CHUNK_NBYTES)).lstrip(b"\0")  # streams may be padded


_INFLATED: dict[bytes, Callable[[IO[bytes]], Iterator[bytes]]] = {
    b"\x1f\x8b": lambda file: _pieces(gzip.GzipFile(fileobj=file)),
    b"BZh": lambda file: _pieces(bz2.BZ2File(file)),
    b"\xfd7zXZ\0": _unxz,
    b"\x28\xb5\x2f\xfd": _unzstd,
}
