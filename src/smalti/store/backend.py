"""What a place that keeps a store has to offer; every backend passes the same suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from smalti.store.record import Record
from smalti.store.values import Encoded


class Content(Protocol):
    """The content of one object, its buffers end to end, without the file format's framing."""

    @property
    def where(self) -> str:
        """The file or key, for messages."""

    @property
    def stays(self) -> bool:
        """Whether what was read once is what a later read gives, as in a map; not so where it is fetched anew."""

    def read(self, start: int, stop: int) -> memoryview:
        """Return bytes ``start`` to ``stop``; a view where possible. Nothing is verified here.

        Raises:
            Damaged: the bytes are not there.
        """

    def view(self) -> memoryview | None:
        """Return all of the content, or None where that would take a copy. Nothing is verified here."""

    def fill(self, start: int, out: memoryview) -> bool:
        """Copy content from ``start`` on to ``out`` without mapping it; False where ``read`` is the way.

        Raises:
            Damaged: the bytes are not there.
        """

    def framing(self) -> bytes:
        """Return the file's other bytes, in order."""

    def forget(self) -> None:
        """Drop what was fetched, so that the next read asks anew: called where it fails its check and does not stay."""


class Intake(Protocol):
    """What one call puts into a place.

    Attributes:
        added: address -> bytes added, 0 where a sound copy was there already; complete when the intake has ended.
    """

    added: dict[str, int]

    def put(self, encoded: Encoded, alike: Sequence[str] = ()) -> Record:
        """Hash an object, take it in, and return its record; its bytes are not looked at again afterwards."""

    def write(self, record: Record, encoded: Encoded | None, alike: Sequence[str] = ()) -> None:
        """Take in an object whose record is known, after everything that it needs."""


class Objects(Protocol):
    """Objects by address. Each appears whole or not at all and never changes."""

    @property
    def place(self) -> str:
        """Where they are, for messages."""

    @property
    def writes_at_once(self) -> int:
        """How many writes side by side pay: 1 where one finds what the other wrote, several where most is waiting."""

    def has(self, address: str) -> bool:
        """Tell whether an object is there, without reading it."""

    def addresses(self, hex_prefix: str = "") -> Iterator[str]:
        """Yield the addresses whose digits begin with ``hex_prefix``, in order."""

    def record(self, address: str) -> Record:
        """Return what is known of an object.

        Raises:
            NotFound: there is no such object.
            Damaged: its record is not what was written.
        """

    def content(self, record: Record) -> Content:
        """Return access to an object's content.

        Raises:
            Damaged: the content is missing or cut short.
        """

    def intake(self) -> AbstractContextManager[Intake]:
        """Give what takes objects in; they are durable when the context ends well."""

    def spool(self) -> AbstractContextManager[Path]:
        """Give a path for a file that is written first and put afterwards; it is gone when the context ends."""

    def write(self, record: Record, encoded: Encoded | None, alike: Sequence[str] = ()) -> int:
        """Make an object durable and return the bytes added; 0 when a sound copy was there already.

        A damaged copy is replaced, so damage never spreads to a new reference.

        Args:
            alike: objects that may share leaves with it.

        Raises:
            Unavailable: it could not be written; nothing was changed.
        """

    def alike(self, record: Record, hints: Sequence[str]) -> list[str]:
        """Return the objects here that share leaves with another, best first, as far as that is known.

        Args:
            hints: objects that may share some; those that are here are among what is returned.
        """

    def verify(self, address: str, whole: bool = True) -> Record:
        """Read an object and return its record.

        Args:
            whole: read every byte; otherwise of content that looks as it did when it was last read whole a sample.

        Raises:
            Damaged: anything of it is not what was stored; the message names the file.
        """

    def needs(self, address: str) -> set[str]:
        """Return the objects this one cannot be read without: its children, and what it takes leaves from."""

    def reachable(self, roots: set[str]) -> set[str]:
        """Return the roots and everything they need, however deep."""

    def nbytes_kept(self, address: str) -> int:
        """Return the bytes that removing an object would free."""

    def touch(self, address: str) -> bool:
        """Make an object young, so that no collection removes it; tell whether it is there."""

    def is_intact(self, address: str) -> bool:
        """Tell whether an object is there and, as far as can be told without reading all of it, as it was stored."""

    def now(self) -> float:
        """Return the time by the clock of ``touched_at``, not before that of anything written so far."""

    def touched_at(self, address: str) -> float:
        """Return when an object was last written or found by a put, in seconds since 1970; 0 when it is not there."""

    def remove(self, address: str, unless_touched_since: float | None = None) -> bool:
        """Remove an object, unless a put has found it since then; tell whether it is gone."""

    def sweep(self, older_than_seconds: float) -> None:
        """Remove what writers that died left behind, unless it is younger than that."""

    def rebuild_index(self) -> None:
        """Make anew whatever is remembered only to be quicker."""

    def file(self, record: Record) -> Path | None:
        """Return the ordinary local file with the object's content, or None where there is none."""


class Documents(Protocol):
    """Small files by key (``names/star/@000001.json``), each whole at every moment: names, pins, manifests."""

    @property
    def place(self) -> str:
        """Where they are, for messages."""

    def create(self, key: str, content: bytes, *, synced: bool = True) -> bool:
        """Create a document, whole and durable; return False when the key is taken.

        Args:
            synced: off, losing power may leave none, or an empty one; a process that is killed loses nothing.

        Raises:
            Unavailable: it could not be written.
        """

    def replace(self, key: str, content: bytes, was: bytes) -> bool:
        """Put other content in the place of ``was``, whole and durable; return False when that is there no more.

        Raises:
            Unavailable: it could not be written.
        """

    def read(self, key: str) -> bytes:
        """Return a document.

        Raises:
            NotFound: there is none of that key.
        """

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, in order; ``prefix`` ends with ``/``."""

    def stamps(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield the keys that begin with ``prefix``, in any order, and what is another once it is replaced."""

    def remove(self, key: str, *, synced: bool = True) -> None:
        """Remove a document; nothing happens when it is not there.

        Args:
            synced: off, losing power may bring it back.
        """
