"""The members of a zip or tar, one after another; what a header declares is never believed before it is read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO

from smalti.contracts.violation import Violation, shown
from smalti.errors import ContractBroken

_CHUNK_NBYTES = 1 << 18
_XZ_NBYTES = 512 << 20
_TAR_BLOCK_NBYTES = 512
_TAR_HEADER_NBYTES = 1 << 13
_TAR_HEADERS_NBYTES = 1 << 16
_TAR_PADDING_NBYTES = 16 << 20
_MANY_DIGITS = re.compile(rb"\d{100}")
_ZIP_ENTRY_NBYTES = 1 << 10
_ZIP_ENCRYPTED = 0x1
_LONGEST_LINK_NBYTES = 1024
_AGAIN = "pack it again with tar or zip"
_COPY = "copy it again from its source"


@dataclass(frozen=True, slots=True)
class Member:
    """One thing in an archive; the content is read before the next member is asked for.

    Attributes:
        name: as the archive has it, not yet judged.
        content: the bytes of a file, else None.
        link: what a link leads to, else None; of a folder both are None.
        link_is_hard: ``link`` starts at the root of the archive, not at the folder of the member.
    """

    name: str
    content: IO[bytes] | None = None
    link: str | None = None
    link_is_hard: bool = False


def refused(code: str, place: str, found: str, wanted: str, remedy: str = _AGAIN) -> ContractBroken:
    """Return the error to raise about an archive, with its one violation."""
    violation = Violation(f"archive.{code}", place, found, wanted, remedy)
    return ContractBroken(str(violation), (violation,))


def members(file: io.BufferedReader, most_files: int) -> Iterator[Member]:
    """Yield what is in a zip, or in a tar that is plain or in gzip, bzip2, xz or zstd; content decides, not the name.

    Raises:
        ContractBroken: it holds what is neither file, folder nor link, or its structure is hostile.
        Exception: it is damaged; the parsers raise nine unrelated kinds.
    """
    head = file.peek(6)[:6]
    if head.startswith(b"PK"):
        return _zip_members(file, most_files)
    inflate = next((opened for magic, opened in _INFLATED.items() if head.startswith(magic)), None)
    return _tar_members(_TarBytes(inflate(file) if inflate else iter(partial(file.read, _CHUNK_NBYTES), b"")))


def _zip_members(file: io.BufferedReader, most_files: int) -> Iterator[Member]:
    nbytes = file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(_ZipBytes(file, most_files)) as archive:
        listed = archive.infolist()
        if sum(info.compress_size for info in listed) > nbytes:
            raise refused("overlap", "the archive", "members that overlap", "each byte in one member")
        for info in listed:
            place = f"member {shown(info.orig_filename)}"
            kind = stat.S_IFMT(info.external_attr >> 16)
            if "\0" in info.orig_filename:
                raise refused("name", place, "a name with a NUL in it", "a plain name")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
                raise refused("kind", place, "a device, pipe or socket", "files, folders and links only")
            if info.flag_bits & _ZIP_ENCRYPTED:
                raise refused("encrypted", place, "an encrypted member", "one without a password")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                method = f"compression method {info.compress_type}"
                raise refused("method", place, method, "a stored or deflated member")
            if info.is_dir():
                yield Member(info.filename)
                continue
            with archive.open(info) as content:
                if kind == stat.S_IFLNK:
                    yield Member(info.filename, link=content.read(_LONGEST_LINK_NBYTES).decode())
                else:
                    yield Member(info.filename, content)


class _ZipBytes(io.BufferedReader):
    """A zip whose table of contents is read only if it is as long as so many files need."""

    def __init__(self, file: io.BufferedReader, most_files: int) -> None:
        super().__init__(io.FileIO(file.fileno(), closefd=False))
        self._most_nbytes = (1 << 20) + _ZIP_ENTRY_NBYTES * most_files

    def read(self, nbytes: int | None = -1, /) -> bytes:
        if nbytes is not None and nbytes > self._most_nbytes:
            found = f"a table of contents of {nbytes} bytes"
            raise refused("members", "the archive", found, f"at most {self._most_nbytes}", "unpack it in parts")
        return super().read(nbytes)


def _tar_members(stream: _TarBytes) -> Iterator[Member]:
    with tarfile.TarFile(fileobj=stream) as archive:
        for info in archive:
            place = f"member {shown(info.name)}"
            if info.issparse():
                raise refused("sparse", place, "a sparse file", "a file with all of its bytes")
            with stream.inside_a_member():
                if info.isreg():
                    yield Member(info.name, archive.extractfile(info))
                elif info.isdir():
                    yield Member(info.name)
                elif info.islnk() or info.issym():
                    yield Member(info.name, link=info.linkname, link_is_hard=info.islnk())
                else:
                    raise refused("kind", place, "a device, pipe or unknown thing", "files, folders and links only")
        stream.require_end(archive.offset)


class _TarBytes(io.RawIOBase):
    """The bytes of a tar, forward only, and between two files never more of them than headers need.

    ``tarfile`` reads a header of any declared length into memory, and takes a broken one for the end.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._waiting = b""
        self._at = 0
        self._nbytes = 0
        self._end_of_content = 0
        self._headers_nbytes = 0
        self._in_content = False

    def tell(self) -> int:
        return self._nbytes

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._nbytes:
            raise tarfile.ReadError("a member that begins inside an earlier one")
        while self._nbytes < offset and self._next(offset - self._nbytes):
            pass
        return self._nbytes

    def read(self, nbytes: int = -1, /) -> bytes:
        if not self._in_content:
            self._headers_nbytes += nbytes
            if not 0 <= nbytes <= _TAR_HEADER_NBYTES or self._headers_nbytes > _TAR_HEADERS_NBYTES:
                raise refused(
                    "header", "the archive", "a header that never ends", f"at most {_TAR_HEADER_NBYTES} bytes"
                )
        pieces = []
        while nbytes > 0 and (piece := self._next(nbytes)):
            pieces.append(piece)
            nbytes -= len(piece)
        data = b"".join(pieces)
        if not self._in_content and _MANY_DIGITS.search(data):  # tarfile would take minutes: CVE-2024-6232
            raise refused("header", "the archive", "a header made of digits", "headers as tar writes them")
        return data

    @contextmanager
    def inside_a_member(self) -> Iterator[None]:
        """Let as many bytes be read as wanted, and the next header be as long as any."""
        self._in_content, self._headers_nbytes = True, 0
        yield
        self._in_content = False

    def require_end(self, offset: int) -> None:
        """Read on to the end, which an inflater checks, and refuse all but zeros after the last member.

        Raises:
            ContractBroken: the end is missing, or something follows that only other programs would unpack.
        """
        while self._next(_CHUNK_NBYTES):
            if self._nbytes > offset + _TAR_PADDING_NBYTES:
                raise refused("padding", "the archive", "zeros without end", f"at most {_TAR_PADDING_NBYTES} bytes")
        if self._end_of_content > offset:
            raise refused("damaged", "the archive", f"a broken header at byte {offset}", "a whole archive", _COPY)
        if self._nbytes < offset + _TAR_BLOCK_NBYTES:
            raise refused("damaged", "the archive", "no end", "the empty block that ends a tar", _COPY)

    def _next(self, most_nbytes: int) -> bytes:
        if self._at == len(self._waiting):
            self._waiting, self._at = next(self._pieces, b""), 0
        piece = self._waiting[self._at : self._at + most_nbytes]
        self._at += len(piece)
        self._nbytes += len(piece)
        if not self._in_content and (nbytes := len(piece.rstrip(b"\0"))):
            self._end_of_content = self._nbytes - len(piece) + nbytes
        return piece


def _ungzipped(file: IO[bytes]) -> Iterator[bytes]:
    return iter(partial(gzip.GzipFile(fileobj=file).read, _CHUNK_NBYTES), b"")


def _unbzipped(file: IO[bytes]) -> Iterator[bytes]:
    return iter(partial(bz2.BZ2File(file).read, _CHUNK_NBYTES), b"")


def _unzstd(file: IO[bytes]) -> Iterator[bytes]:
    import pyarrow as pa

    return iter(partial(pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd").read, _CHUNK_NBYTES), b"")


def _unxz(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what an .xz holds; its header may ask for a window of 4 GiB, so memory is limited (lzma.open has none)."""
    data = file.read(_CHUNK_NBYTES)
    while data:
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_NBYTES)
        while not stream.eof:
            if piece := stream.decompress(data, _CHUNK_NBYTES):
                yield piece
            data = file.read(_CHUNK_NBYTES) if stream.needs_input else b""
            if stream.needs_input and not data:
                raise EOFError("the compressed data ends in the middle")
        data = (stream.unused_data or file.read(_CHUNK_NBYTES)).lstrip(b"\0")  # streams may be padded


_INFLATED: dict[bytes, Callable[[IO[bytes]], Iterator[bytes]]] = {
    b"\x1f\x8b": _ungzipped,
    b"BZh": _unbzipped,
    b"\xfd7zXZ\0": _unxz,
    b"\x28\xb5\x2f\xfd": _unzstd,
}
