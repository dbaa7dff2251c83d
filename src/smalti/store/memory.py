"""A store in this process's memory: the records and the verification of a folder, gone with the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from blake3 import blake3

from smalti.digest import PREFIX, is_address
from smalti.errors import Damaged, NotFound
from smalti.store import record as records
from smalti.store.backend import Content, Documents, Objects
from smalti.store.intake import DirectIntake, direct_intake, temporary_spool
from smalti.store.reader import Reader
from smalti.store.record import Record
from smalti.store.values import Encoded

PLACE = "memory:"


class MemoryContent:
    """One file held as bytes; its buffers follow one another except for framing between them."""

    stays = True

    def __init__(self, record: Record, file: bytes) -> None:
        self.where = record.filename
        expected = max((offset + nbytes for offset, nbytes in record.buffers), default=0)
        if len(file) < expected:
            raise Damaged(f"{self.where} of {record.address} has {len(file)} bytes, at least {expected} were stored.")
        view = memoryview(file)
        buffers = [view[offset : offset + nbytes] for offset, nbytes in record.buffers]
        between, position = [], 0
        for offset, nbytes in record.buffers:
            between.append(view[position:offset])
            position = offset + nbytes
        self._framing = b"".join([*between, view[position:]])
        self._content = buffers[0] if len(buffers) == 1 else memoryview(b"".join(buffers))

    def read(self, start: int, stop: int) -> memoryview:
        """Return bytes of the content."""
        return self._content[start:stop]

    def view(self) -> memoryview | None:
        """Return all of the content."""
        return self._content

    def fill(self, start: int, out: memoryview) -> bool:
        """Return False: it is in memory."""
        return False

    def forget(self) -> None:
        """Do nothing: nothing was fetched."""

    def framing(self) -> bytes:
        """Return the file's other bytes."""
        return self._framing


class MemoryObjects(Objects):
    """Objects by address; ``files`` holds the files of each, name -> bytes, as a folder would."""

    place = PLACE
    writes_at_once = 1

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self._touched_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def has(self, address: str) -> bool:
        """Tell whether an object is there."""
        return address in self.files

    def addresses(self, hex_prefix: str = "") -> Iterator[str]:
        """Yield addresses in order."""
        with self._lock:
            found = sorted(address for address in self.files if address.startswith(PREFIX + hex_prefix))
        yield from found

    def record(self, address: str) -> Record:
        """Return what is known of an object."""
        files = self.files.get(address)
        if files is None:
            raise NotFound(f"{address} is not in the store at {self.place}.")
        if records.METADATA not in files:
            raise Damaged(f"{records.METADATA} of {address} is missing; restore it from another store.")
        return records.parse(address, files[records.METADATA], files.get(records.LEAVES))

    def content(self, record: Record) -> Content:
        """Return access to an object's content."""
        file = self.files.get(record.address, {}).get(record.filename)
        if file is None:
            raise Damaged(f"{record.filename} of {record.address} is missing; put the same value again to repair it.")
        return MemoryContent(record, file)

    def write(self, record: Record, encoded: Encoded | None, alike: Sequence[str] = ()) -> int:
        """Keep a copy of an object; a damaged one is replaced."""
        if self.touch(record.address) and self._is_sound(record.address):
            return 0
        files = records.dump(record)
        if encoded:
            files[encoded.filename] = b"".join(encoded.file)
        with self._lock:
            if self._is_sound(record.address):
                return 0  # another thread was first, with the same bytes
            self.files[record.address] = files
            self._touched_at[record.address] = time.time()
        return sum(map(len, files.values()))

    def intake(self) -> AbstractContextManager[DirectIntake]:
        """Give what takes objects in."""
        return direct_intake(self)

    def spool(self) -> AbstractContextManager[Path]:
        """Give a path for a file that is put afterwards."""
        return temporary_spool()

    def alike(self, record: Record, hints: Sequence[str]) -> list[str]:
        """Return the hints that are here."""
        return [address for address in hints if address != record.address and self.has(address)]

    def verify(self, address: str, whole: bool = True) -> Record:
        """Read an object whole, always, and return its record."""
        if not is_address(address):
            raise Damaged(f"{address} lies among the objects but is none; remove it.")
        record = self.record(address)
        expected = {*records.dump(record), *filter(None, [record.filename])}
        found = set(self.files.get(address, {}))
        if found != expected:
            raise Damaged(f"{address} consists of {sorted(found)}, but {sorted(expected)} were stored.")
        if record.filename:
            reader = Reader(record, self.content(record))
            reader.whole()
            if not reader.framing_is_sound():
                raise Damaged(f"{record.filename} of {address} is damaged outside its content.")
        return record

    def needs(self, address: str) -> set[str]:
        """Return an object's children."""
        return set(self.record(address).children.values())

    def reachable(self, roots: set[str]) -> set[str]:
        """Return the roots and all they need, by reading the records."""
        found: set[str] = set()
        queue = list(roots)
        while queue:
            address = queue.pop()
            if address not in found:
                found.add(address)
                queue += self.needs(address) if self.has(address) else ()
        return found

    def nbytes_kept(self, address: str) -> int:
        """Return the size of an object's files."""
        return sum(map(len, self.files.get(address, {}).values()))

    def is_intact(self, address: str) -> bool:
        """Tell whether an object is there as it was stored."""
        return self._is_sound(address)

    def now(self) -> float:
        """Return this machine's time."""
        return time.time()

    def touched_at(self, address: str) -> float:
        """Return when an object was last written or found by a put."""
        return self._touched_at.get(address, 0.0)

    def remove(self, address: str, unless_touched_since: float | None = None) -> bool:
        """Remove an object, unless a put has found it since then."""
        with self._lock:
            if unless_touched_since is not None and self.touched_at(address) > unless_touched_since:
                return False
            self.files.pop(address, None)
            self._touched_at.pop(address, None)
            return True

    def rebuild_index(self) -> None:
        """There is nothing to make anew: looking an object up is quick already."""

    def sweep(self, older_than_seconds: float) -> None:
        """Do nothing: a writer that dies leaves nothing behind here."""

    def file(self, record: Record) -> Path | None:
        """Return None: nothing here is a file."""

    def touch(self, address: str) -> bool:
        """Make an object young, so that no collection removes it; tell whether it is there."""
        with self._lock:
            if address in self.files:
                self._touched_at[address] = time.time()
            return address in self.files

    def _is_sound(self, address: str) -> bool:
        try:
            self.verify(address)
        except (Damaged, NotFound):
            return False
        return True


class MemoryDocuments(Documents):
    """Documents by key; ``contents`` holds them."""

    place = PLACE

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def create(self, key: str, content: bytes, *, synced: bool = True) -> bool:
        """Create a document."""
        with self._lock:
            if key in self.contents:
                return False
            self.contents[key] = content
            return True

    def replace(self, key: str, content: bytes, was: bytes) -> bool:
        """Put other content in the place of ``was``."""
        with self._lock:
            if self.contents.get(key) != was:
                return False
            self.contents[key] = content
            return True

    def read(self, key: str) -> bytes:
        """Return a document."""
        try:
            return self.contents[key]
        except KeyError as error:
            raise NotFound(f"there is no {key} in the store at {self.place}.") from error

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield keys in order."""
        with self._lock:
            found = sorted(key for key in self.contents if key.startswith(prefix))
        yield from found

    def remove(self, key: str, *, synced: bool = True) -> None:
        """Remove a document."""
        with self._lock:
            self.contents.pop(key, None)

    def stamps(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield keys and digests of their contents."""
        for key in self.keys(prefix):
            yield key, blake3(self.contents[key]).hexdigest()
