"""What lies in a folder: every file, with how it looks, and every folder; what cannot be kept is refused by name."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from smalti.errors import NotFound, Refused
from smalti.store.commit import machine_errors
from smalti.tracking.pointer import SUFFIX
from smalti.tracking.work_file import Look, is_executable, is_part, look_of


class Seen(NamedTuple):
    """A file as it was seen."""

    look: Look
    executable: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """The files and folders below a path, by their path relative to it, with ``/``; a file is its own "".

    Attributes:
        files: path -> how it looks.
        folders: every folder, the topmost "" first; empty when the path is a file.
        parts: what interrupted writes left behind.
    """

    files: dict[str, Seen] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)


def check_name(name: str, where: str) -> None:
    """Make sure that an entry of a folder can be kept, and written elsewhere without harm.

    Raises:
        Refused: the name is not UTF-8, or leads out of the folder, or is what git takes for a repository.
    """
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise Refused(f"{where!r} holds the entry {name!r}, which is no name of a file; nothing was written.")
    if name.casefold() == ".git":
        raise Refused(f"{where!r} holds {name!r}: what git keeps is not for a store; move the repository away.")
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise Refused(
                f"{where!r} holds a file called {os.fsencode(name)!r}, which is not UTF-8; rename it."
            ) from None


def scan(path: Path) -> Listing:
    """Return what lies at a path: a file, or a folder with all below it.

    Raises:
        NotFound: there is nothing.
        Refused: a link, a pipe, a name that cannot be kept, or a path that is tracked by itself is among it.
        Unavailable: a folder may not be read.
    """
    listing = Listing()
    with machine_errors(f"reading {path}"):
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"{path} is not there; name a file or a folder.") from None
        if stat.S_ISREG(status.st_mode):
            listing.files[""] = Seen(look_of(status), is_executable(status))
        elif stat.S_ISDIR(status.st_mode):
            _scan_folder(listing, str(path), "")
        else:
            raise _odd(str(path), status.st_mode)
    return listing


def _scan_folder(listing: Listing, top: str, below: str) -> None:
    waiting = [below]
    new, files = tuple.__new__, listing.files  # of ten thousand files each line below counts
    while waiting:
        below = waiting.pop()
        listing.folders.append(below)
        prefix = f"{below}/" if below else ""
        folder = f"{top}/{below}" if below else top
        with os.scandir(folder) as entries:
            found = sorted(entries, key=attrgetter("name"))
        tracked = {entry.name.removesuffix(SUFFIX) for entry in found if entry.name.endswith(SUFFIX)}
        for entry in found:
            name = entry.name
            if name[0] == "." or not name.isascii():  # of the other names none can be refused
                if is_part(name):
                    listing.parts.append(prefix + name)
                    continue
                check_name(name, folder)
            if name in tracked:
                raise Refused(f"{folder}/{name} is tracked by itself; remove {folder}/{name}{SUFFIX} first.")
            status = entry.stat(follow_symlinks=False)
            mode = status.st_mode
            if stat.S_ISREG(mode):
                look = new(Look, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
                files[prefix + name] = new(Seen, (look, mode & stat.S_IXUSR != 0))
            elif stat.S_ISDIR(mode):
                waiting.append(prefix + name)
            else:
                raise _odd(entry.path, status.st_mode)


def _odd(path: str, mode: int) -> Refused:
    if stat.S_ISLNK(mode):
        return Refused(
            f"{path} is a symbolic link, which would lead elsewhere on another machine; put the file itself."
        )
    return Refused(f"{path} is a pipe, a socket or a device, which has no content to keep; move it away.")
