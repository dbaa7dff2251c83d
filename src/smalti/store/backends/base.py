"""What a store needs of whatever keeps its bytes: ten operations; every backend passes the same suite."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from smalti.digest import PREFIX
from smalti.errors import Damaged

Bytes = bytes | memoryview


class Gone(Damaged):
    """There is no file where stored content should be."""


class Entry(Protocol):
    """A file that a backend lists."""

    @property
    def key(self) -> str:
        """Its name, e.g. ``names/star/@000001.json``."""

    @property
    def nbytes(self) -> int:
        """Its size; of a file that is kept compressed, what it takes; 0 when it was removed meanwhile."""

    @property
    def stamp(self) -> str:
        """What is another once the file is written to, replaced or renamed; "" when it was removed meanwhile."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of which all is known that a list says."""

    key: str
    nbytes: int
    stamp: str


class File(Protocol):
    """A file of content, read in ranges. Nothing is verified here, and nothing stays open."""

    @property
    def location(self) -> str:
        """The file or key, for messages."""

    @property
    def nbytes(self) -> int:
        """Its size.

        Raises:
            Damaged: it is not there.
        """

    @property
    def path(self) -> Path | None:
        """The ordinary local file, or None where there is none."""

    @property
    def reads_at_once(self) -> int:
        """How many reads side by side pay: several where most of it is waiting."""

    def read(self, start: int, stop: int) -> memoryview:
        """Return bytes ``start`` to ``stop``, a copy of this process's own.

        Raises:
            Damaged: the file is missing or ends before.
        """

    def read_into(self, start: int, out: memoryview) -> None:
        """Fill ``out`` with the bytes from ``start`` on; raises as ``read`` does."""

    def forget(self) -> None:
        """Fetch anew whatever is read from now on, because what was fetched may have suffered on the way."""


class Draft(Protocol):
    """An object that is being written; nobody sees it.

    Attributes:
        form: how the object is kept. Where two writers of one object would share keys, that is what the first of them
            wanted, and the other has to follow; ``insist`` where that cannot be done any more.
    """

    @property
    def form(self) -> bytes: ...

    def insist(self, form: bytes) -> None:
        """Let the object be kept in this form from now on."""

    def write(self, name: str, pieces: Iterable[Bytes], nbytes: int) -> int:
        """Write one of its files, as the pieces come; return its size.

        Args:
            pieces: each is good until the next is asked for. What is not ``writes_ahead`` may go through them again.
            nbytes: how many there are.
        """

    def adopt(self, name: str, file: Path) -> int:
        """Take over a file that lies in ``staging``; return its size."""


class Batch(Protocol):
    """Objects on their way in: written one after another, durable and visible together."""

    def draft(self, address: str | None, form: bytes | None = None) -> Draft:
        """Begin an object; the address may be unknown where the backend ``writes_ahead``.

        Args:
            form: how it is to be kept: the recipe of a near-duplicate, b"" for a whole one, None: no choice.
        """

    def discard(self, draft: Draft) -> None:
        """Take back an object that is not wanted after all."""

    def publish(
        self, drafts: Mapping[str, Draft], replace: Collection[str] = (), found: Collection[str] = ()
    ) -> set[str]:
        """Make objects durable, then visible in this order, then durably so; return those that were published.

        An object that is there already stays, but those to ``replace``: they are swapped once all is written, so that
        what was readable before a failure still is.

        Args:
            drafts: address -> its draft, complete.
            found: objects that were there, and that have to be durable, too: whoever wrote them may have died.

        Raises:
            Unavailable: the machine did not let them be written.
        """


class Backend(Protocol):
    """Keys and bytes, and objects: folders of files below ``data/`` that appear whole or not at all.

    Attributes:
        location: the folder or URL, for messages.
        identity: what tells this store's location from all others.
        parallel: how many operations side by side pay: 1 where they keep one disk busy, several where most is waiting.
        writes_ahead: whether an object can be written before its address is known.
        staging: the folder for files that a draft can adopt; None for that of the machine for temporary files.
        clock: gives the time by which leases are counted, in seconds since 1970.
    """

    @property
    def location(self) -> str: ...
    @property
    def identity(self) -> str: ...
    @property
    def parallel(self) -> int: ...
    @property
    def writes_ahead(self) -> bool: ...
    @property
    def staging(self) -> Path | None: ...
    @property
    def clock(self) -> Callable[[], float]: ...

    def read(self, key: str) -> bytes:
        """Return a small file.

        Raises:
            NotFound: there is none of that key.
            Damaged: something else is in its place.
            Unavailable: the machine does not let it be read now.
        """

    def open(self, key: str) -> File:
        """Return access to a large file; whether it is there shows when it is read."""

    def put(self, key: str, content: bytes, *, was: bytes | None = None, synced: bool = True) -> bool:
        """Create a small file, whole and durable, or put it in the place of ``was``; False when that is not so.

        Args:
            was: None: there has to be no such file.
            synced: off, losing power may leave none, or an empty one; a process that is killed loses nothing.

        Raises:
            Unavailable: it could not be written.
        """

    def delete(self, key: str, *, synced: bool = True) -> None:
        """Remove a small file; nothing happens when it is not there."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield the files below a folder, in the order of their keys; ``prefix`` ends with ``/``, or with the
        beginning of the names that are wanted."""

    def addresses(self, hex_prefix: str = "") -> Iterator[str]:
        """Yield the addresses of the objects whose digits begin with ``hex_prefix``, in order."""

    def batch(self) -> AbstractContextManager[Batch]:
        """Give what objects are written with; what was not published is gone when the context ends."""

    def lease(self, address: str, *, renew: bool = True) -> float:
        """Return when an object was last found by a put, by ``clock``; 0.0 when it is not there.

        Args:
            renew: make it so that this is now: no collection removes it for a grace period.
        """

    def remove(self, leased: Mapping[str, float]) -> set[str]:
        """Remove objects, unless a put has found them since; return those that are gone.

        A put that finds an object renews its lease first and looks whether it is there afterwards; this takes it out
        of sight first and looks at its lease afterwards. Whichever comes first, either the put writes it anew, or it
        is left, or put back.

        Args:
            leased: address -> lease at which it may be removed: no later one.
        """

    def sweep(self, older_than_seconds: float) -> None:
        """Remove what writers that died left behind, nothing younger than that, or than the slowest write."""


def folder_key(address: str) -> str:
    """Return the key of an object's folder, which ends with ``/``."""
    digits = address.removeprefix(PREFIX)
    return f"data/{digits[:2]}/{digits}/"


def file_key(address: str, name: str) -> str:
    """Return the key of a file of an object."""
    return folder_key(address) + name
