"""What every source offers: its files by path, small ones as bytes, any of them as a file on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from smalti.errors import Refused
from smalti.tracking.work_file import Look

LARGEST_TEXT_NBYTES = 16 << 20  # of a file that describes others; those that are written are far smaller
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source.

    Attributes:
        path: where it lies in the source, with ``/``.
        nbytes: its size.
        look: what changes when it is written to.
        executable: whether its owner may execute it.
    """

    path: str
    nbytes: int
    look: Look
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """What is not brought, and why as a sentence without its subject.

    Attributes:
        is_failure: it could have been brought, had the machine allowed it.
    """

    path: str
    why: str
    is_failure: bool = False


class Source(Protocol):
    """Files that are only read.

    Attributes:
        place: the folder or URL, for messages.
        files: path -> file, in order.
        left: what is there and is no file that can be read safely.
    """

    @property
    def place(self) -> str: ...
    @property
    def files(self) -> Mapping[str, SourceFile]: ...
    @property
    def left(self) -> tuple[Left, ...]: ...

    def read(self, path: str) -> bytes:
        """Return a small file; raises Refused where it is larger than one that describes others may be."""
        ...

    def local(self, path: str) -> AbstractContextManager[Path]:
        """Give a path where the file can be read, for as long as the context lasts."""
        ...


def check_small(file: SourceFile, place: str) -> None:
    """Make sure that a file that describes others is not too large to be one.

    Raises:
        Refused: it is.
    """
    if file.nbytes > LARGEST_TEXT_NBYTES:
        raise Refused(
            f"{file.path} in {place} has {file.nbytes} bytes, and a file that describes a run has at most "
            f"{LARGEST_TEXT_NBYTES}; look into it."
        )


def unsafe_path(path: str) -> str:
    """Return why a path is not taken as one inside a source; "" where it is."""
    if path.startswith("/") or "\\" in path or "\0" in path:
        return "has a name that is no plain path"
    if path.count("/") >= _DEEPEST:
        return f"lies more than {_DEEPEST} folders deep"
    if any(part in ("", ".", "..") for part in path.split("/")):
        return "has a name that leads out of its folder"
    return "" if path.isprintable() else "has a name with control characters"
