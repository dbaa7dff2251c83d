"""The files of a dataset: their digests, and a quick look at whether they are still what was fetched."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from smalti.formats.regular_file import sha256_of

_READ_ONLY = 0o444
_CLUTTER = {".DS_Store"}  # what a file manager leaves


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was fetched; ``mtime_ns`` only saves reading it again."""

    sha256: str
    nbytes: int
    mtime_ns: int


Listing = Mapping[str, File]


def files_below(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the path in the folder, with slashes, and the status of all that is no folder; no link is followed."""
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in [*names, *links]:
            if name not in _CLUTTER:
                path = Path(parent, name)
                with suppress(FileNotFoundError):  # it has just been removed
                    yield path.relative_to(folder).as_posix(), path.lstat()


def seal(folder: Path) -> dict[str, File]:
    """Make the files of a folder read-only, read them all, and return them."""
    for name, _ in files_below(folder):
        (folder / name).chmod(_READ_ONLY)
    return read(folder)


def read(folder: Path) -> dict[str, File]:
    """Return the files of a folder, which are read whole; links and the like are left out."""
    regular = (name for name, status in sorted(files_below(folder)) if stat.S_ISREG(status.st_mode))
    return {name: _file(folder / name) for name in regular}


def _file(path: Path) -> File:
    status = path.stat()
    return File(sha256_of(path), status.st_size, status.st_mtime_ns)


def digest(listing: Listing) -> str:
    """Return the SHA-256 of the lines that ``sha256sum`` writes for the files, sorted by path."""
    lines = "".join(f"{file.sha256}  {name}\n" for name, file in sorted(listing.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def differences(folder: Path, listing: Listing) -> list[str]:
    """Say what is no more as it was fetched: files missing, changed or added. Only what looks touched is read."""
    found = dict(files_below(folder))
    said = [f"{name} is missing" for name in sorted(listing.keys() - found.keys())]
    for name in sorted(listing.keys() & found.keys()):
        if _is_changed(folder / name, found[name], listing[name]):
            said.append(f"{name} was changed")
    return said + [f"{name} was added" for name in added(folder, listing)]


def added(folder: Path, listing: Listing) -> list[str]:
    """Return the files that are there and were not fetched."""
    return sorted({name for name, _ in files_below(folder)} - listing.keys())


def _is_changed(path: Path, status: os.stat_result, wanted: File) -> bool:
    if not stat.S_ISREG(status.st_mode) or status.st_size != wanted.nbytes:
        return True
    return status.st_mtime_ns != wanted.mtime_ns and sha256_of(path) != wanted.sha256


def dump(listing: Listing) -> bytes:
    """Return a listing as JSON."""
    return json.dumps({name: asdict(file) for name, file in listing.items()}).encode()


def load(content: bytes) -> dict[str, File]:
    """Return a listing out of JSON.

    Raises:
        ValueError, TypeError, AttributeError: it is none.
    """
    return {name: File(**fields) for name, fields in json.loads(content).items()}
