"""Objects on their way into a place that stores each by itself; small ones side by side where most of it is waiting."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from smalti.store.backend import Objects
from smalti.store.record import Record, record_of
from smalti.store.values import Buffer, Encoded

_SMALL_NBYTES = 1024 * 1024  # a larger one goes up in parts side by side already


class DirectIntake:
    """Writes objects, none before what it needs.

    Attributes:
        added: address -> bytes added, 0 where a sound copy was there already.
    """

    def __init__(self, objects: Objects, threads: ThreadPoolExecutor) -> None:
        self.added: dict[str, int] = {}
        self._objects = objects
        self._threads = threads
        self._writing: dict[Future[int], str] = {}

    def put(self, encoded: Encoded, alike: Sequence[str] = ()) -> Record:
        """Hash an object and take it in."""
        record = record_of(encoded)
        self.write(record, encoded, alike)
        return record

    def write(self, record: Record, encoded: Encoded | None, alike: Sequence[str] = ()) -> None:
        """Take in an object whose record is known."""
        if record.address in self.added:
            return
        self.added[record.address] = 0
        if encoded is None or record.nbytes > _SMALL_NBYTES or self._objects.writes_at_once == 1:
            if record.children:
                self.finish()
            self.added[record.address] = self._objects.write(record, encoded, alike)
            return
        if len(self._writing) >= self._objects.writes_at_once:
            self._collect(wait(self._writing, return_when=FIRST_COMPLETED).done)
        writing = self._threads.submit(self._objects.write, record, _copy(encoded), alike)
        self._writing[writing] = record.address

    def finish(self) -> None:
        """Wait for everything that is being written."""
        self._collect(wait(self._writing).done)

    def _collect(self, done: Iterable[Future[int]]) -> None:
        for writing in done:
            self.added[self._writing.pop(writing)] = writing.result()


@contextmanager
def direct_intake(objects: Objects) -> Iterator[DirectIntake]:
    """Give an intake; what it took in is durable when the context ends."""
    with ThreadPoolExecutor(objects.writes_at_once) as threads:
        intake = DirectIntake(objects, threads)
        yield intake
        intake.finish()


@contextmanager
def temporary_spool() -> Iterator[Path]:
    """Give the path of a file in the machine's folder for temporary files."""
    with tempfile.TemporaryDirectory(prefix="smalti-") as folder:
        yield Path(folder) / "spool"


def _copy(encoded: Encoded) -> Encoded:
    """Whoever gave these bytes may write over them as soon as they have been taken."""
    pieces = (replace(p, data=memoryview(bytes(p.data))) if isinstance(p, Buffer) else p for p in encoded.pieces)
    return replace(encoded, pieces=tuple(pieces))
