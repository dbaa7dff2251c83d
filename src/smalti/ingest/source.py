"""A folder where files arrive: what is in it now, without opening any of it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from smalti.ingest.ledger import SETTLED_AFTER_S, Found
from smalti.scans.card import SUFFIX
from smalti.store.commit import machine_errors

BEING_COPIED = "its name says that it is still being copied"
_IGNORED: dict[tuple[str, ...], str] = {
    (SUFFIX,): "a card without its file",
    (".part", ".partial", ".filepart", ".crdownload", ".tmp"): BEING_COPIED,
    (".md", ".txt", "~"): "its name says that it is a note, no data",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """What one look at a source shows.

    Attributes:
        files: those that are validated.
        ignored: name -> reason, of what is there and is not.
    """

    files: list[Found]
    ignored: Mapping[str, str]


class Source(Protocol):
    """Where files arrive.

    Attributes:
        id: what the ledger knows it by.
    """

    @property
    def id(self) -> str: ...

    def look(self) -> Listing:
        """Return all that is there now; raises Unavailable where that cannot be told."""
        ...

    def fetch(self, name: str, folder: Path) -> Path:
        """Return a path where a file can be read; where it has to be fetched first, in ``folder``, which is made."""
        ...

    def path(self, name: str) -> Path | None:
        """Return where a file lies from which it may be moved, or None."""
        ...

    def identity(self, name: str) -> str | None:
        """Return what the file's identity is now, or None where it is gone."""
        ...

    def cards_alone(self) -> list[str]:
        """Return the names of files whose card is there without them."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """Files directly in a local folder. Links, pipes and devices are found too, and their reader refuses them."""

    folder: Path

    id: ClassVar[str] = "data/raw"

    def look(self) -> Listing:
        """Return all files that may be data, and what is ignored with the reason."""
        names, ignored = [], {}
        with machine_errors(f"looking at {self.folder}"), os.scandir(self.folder) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                if reason := "a folder; files lie directly in data/raw" if is_folder else why_ignored(entry.name):
                    ignored[entry.name] = reason
                else:
                    names.append(entry.name)
        now, data = time.time(), frozenset(names)
        ignored = {name: why for name, why in ignored.items() if name.removesuffix(SUFFIX) not in data}
        return Listing([found for name in names if (found := self._found(name, now))], ignored)

    def _found(self, name: str, now: float) -> Found | None:
        with suppress(FileNotFoundError):  # taken away meanwhile
            parts = self._parts(name)
            nbytes = parts[0].st_size if stat.S_ISREG(parts[0].st_mode) else 0
            newest = max(part.st_mtime for part in parts)
            return Found(name, _identity(parts), nbytes, now - newest > SETTLED_AFTER_S)
        return None

    def _parts(self, name: str) -> list[os.stat_result]:
        """A changed card makes a file worth validating again, so it counts as part of it."""
        parts = [(self.folder / name).lstat()]
        with suppress(OSError):  # none, or the name is too long to have one
            parts.append((self.folder / (name + SUFFIX)).lstat())
        return parts

    def identity(self, name: str) -> str | None:
        """Return size, time and inode of a file and of its card, or None where it is gone."""
        with suppress(FileNotFoundError):
            return _identity(self._parts(name))
        return None

    def fetch(self, name: str, folder: Path) -> Path:
        """Return the file itself: its reader copies it aside."""
        return self.folder / name

    def path(self, name: str) -> Path:
        """Return the file's path."""
        return self.folder / name

    def cards_alone(self) -> list[str]:
        """Return the names of files whose card is there without them, and settled."""
        with machine_errors(f"looking at {self.folder}"), os.scandir(self.folder) as entries:
            times = {entry.name: entry.stat(follow_symlinks=False).st_mtime for entry in entries}
        settled = time.time() - SETTLED_AFTER_S
        cards = [name for name, at in times.items() if name.endswith(SUFFIX) and at < settled]
        return [name for card in cards if (name := card.removesuffix(SUFFIX)) not in times]


def _identity(parts: list[os.stat_result]) -> str:
    return " ".join(f"{part.st_size}:{part.st_mtime_ns}:{part.st_ino}" for part in parts)


def why_ignored(name: str) -> str | None:
    """Return why a file is not validated, by its name alone; None where it may be data."""
    if name.startswith((".", "_")):
        return "its name says that it is hidden"
    return next((why for endings, why in _IGNORED.items() if name.lower().endswith(endings)), None)
