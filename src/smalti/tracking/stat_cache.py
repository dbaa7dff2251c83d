"""What is remembered of files so as not to read them twice: path, size, times, inode -> address of the content.

A cache below the root: it may be deleted at any time, files are then read again. An entry is made only when the file
had been left alone for a while before it was read: written to again within the same tick of the clock, it would look
the same with other content. (git calls such entries *racily clean*.) So a file that was checked out just now is read
once more by the next ``status``, unless that comes more than two seconds later.

Of every tracked path there are two files, which are read in one go:

.smalti/seen/KEY.files     parts, one appended whenever files were read; a later one counts; KEY is made from the path
.smalti/seen/KEY.base      the digest that was put or checked out last

A part is 16 bytes that say so, the size of the rest (8 bytes), its BLAKE3, and the rest: number of files (8 bytes),
all sizes, mtimes, ctimes (ns since 1970) and inodes (8 bytes each), all paths, all addresses, each ended by a zero
byte. A part that is cut short or damaged is passed over.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from blake3 import blake3

from smalti.tracking.work_file import Look, replace_file

FOLDER = ".smalti"
_TICK_NS = 2_000_000_000  # of the coarsest clock a file system has (FAT)
_PART = b"smalti files 2\r\n"
_HEAD = struct.Struct("<16sQ32s")
_FEW = 64  # superseded entries that are not worth writing the others anew


def is_settled(look: Look, read_at_ns: int) -> bool:
    """Tell whether a file had been left alone for so long, when it was read, that every later write will show.

    Args:
        read_at_ns: the time just before it was read.
    """
    return max(look.mtime_ns, look.ctime_ns) + _TICK_NS < read_at_ns


class StatCache:
    """The cache of one root. What goes wrong with it is as if nothing had been remembered.

    Paths that are tracked (``top``) are kept relative to the root, so that it may be moved.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / FOLDER / "seen"

    def known(self, top: Path) -> dict[str, tuple[Look, str]]:
        """Return of every file below a tracked path how it looked and the address of its content."""
        parts = list(_parts(_read(self._path(top, "files"))))
        known: dict[str, tuple[Look, str]] = {}
        for part in parts:
            known.update(part)
        if sum(map(len, parts)) > 2 * len(known) + _FEW:
            self.replace(top, known)
        return known

    def remember(self, top: Path, files: Mapping[str, tuple[Look, str]], read_at_ns: int) -> None:
        """Remember files below a tracked path, those that had settled when they were read."""
        settled = {path: entry for path, entry in files.items() if is_settled(entry[0], read_at_ns)}
        if settled:
            with suppress(OSError, struct.error):  # a time or size that no file has
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
                descriptor = os.open(self._made(top, "files"), flags, 0o666)
                try:
                    os.write(descriptor, _part(settled))
                finally:
                    os.close(descriptor)

    def replace(self, top: Path, files: Mapping[str, tuple[Look, str]]) -> None:
        """Remember these files below a tracked path and no others."""
        with suppress(OSError, struct.error):
            replace_file(self._made(top, "files"), _part(files))

    def base(self, top: Path) -> str | None:
        """Return the digest that was put or checked out at a tracked path last."""
        text = _read(self._path(top, "base")).decode("ascii", "replace")
        digest, _, check = text.partition("\n")
        return digest if check == f"{_checked(digest.encode())}\n" else None

    def set_base(self, top: Path, digest: str) -> None:
        """Remember what was put or checked out at a tracked path."""
        if self.base(top) != digest:
            with suppress(OSError):
                replace_file(self._made(top, "base"), f"{digest}\n{_checked(digest.encode())}\n".encode())

    def _path(self, top: Path, what: str) -> Path:
        key = os.fsencode(os.path.relpath(top, self._root))
        return self._folder / f"{hashlib.sha256(key).hexdigest()[:32]}.{what}"

    def _made(self, top: Path, what: str) -> Path:
        """Return where to write, once the folder is there and git ignores it."""
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
        if not (ignoring := self._root / FOLDER / ".gitignore").exists():
            ignoring.write_text("*\n")
        return self._path(top, what)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _checked(content: bytes) -> str:
    return blake3(content).hexdigest()


def _part(files: Mapping[str, tuple[Look, str]]) -> bytes:
    columns = zip(*(look for look, _ in files.values()), strict=True)
    numbers = [number for column in columns for number in column]
    texts = "".join(f"{text}\0" for text in [*files, *(address for _, address in files.values())])
    rest = struct.pack(f"<Q{3 * len(files)}q{len(files)}Q", len(files), *numbers) + texts.encode()
    return _HEAD.pack(_PART, len(rest), blake3(rest).digest()) + rest


def _parts(content: bytes) -> Iterator[dict[str, tuple[Look, str]]]:
    """Yield the parts of a file that are whole."""
    at = content.find(_PART)
    while at >= 0 and at + _HEAD.size <= len(content):
        _, nbytes, check = _HEAD.unpack_from(content, at)
        begin = at + _HEAD.size
        rest = content[begin : begin + nbytes]
        if len(rest) == nbytes and blake3(rest).digest() == check:
            yield _files(rest)
            at = content.find(_PART, begin + nbytes)
        else:
            at = content.find(_PART, at + 1)


def _files(rest: bytes) -> dict[str, tuple[Look, str]]:
    """Return the files of a part that was found whole."""
    (count,) = struct.unpack_from("<Q", rest)
    numbers = struct.unpack_from(f"<{3 * count}q{count}Q", rest, 8)
    texts = rest[8 + 32 * count :].decode().split("\0")
    columns = [numbers[count * column : count * (column + 1)] for column in range(4)]
    looks = map(partial(tuple.__new__, Look), zip(*columns, strict=True))
    return dict(zip(texts[:count], zip(looks, texts[count : 2 * count], strict=True), strict=True))
