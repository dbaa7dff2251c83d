"""A store in this process's memory: the same objects and files as in a folder, gone with the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from blake3 import blake3

from smalti.digest import PREFIX
from smalti.errors import Damaged, NotFound
from smalti.store.backends.base import Bytes, Draft, Entry, Listed, folder_key

LOCATION = "memory:"


class MemoryFile:
    """A file held as bytes."""

    path = None
    reads_at_once = 1

    def __init__(self, backend: MemoryBackend, key: str) -> None:
        self.location = key.rsplit("/", 1)[-1]
        self._backend = backend
        self._key = key

    @property
    def nbytes(self) -> int:
        return len(self._content())

    def read(self, start: int, stop: int) -> memoryview:
        room = bytearray(max(0, stop - start))
        self.read_into(start, memoryview(room))
        return memoryview(room).toreadonly()

    def read_into(self, start: int, out: memoryview) -> None:
        content = memoryview(self._content())[start : start + len(out)]
        if len(content) < len(out):
            raise Damaged(f"{self._key} ends before the {start + len(out)} bytes that were stored; restore it.")
        out[:] = content

    def forget(self) -> None:
        """Do nothing: each read asks the memory."""

    def _content(self) -> bytes:
        try:
            return self._backend.read(self._key)
        except NotFound as error:
            raise Damaged(f"{self._key} is missing; put the same value again to repair it.") from error


class MemoryDraft:
    """The files of an object that nobody sees yet."""

    def __init__(self, form: bytes) -> None:
        self.form = form
        self.files: dict[str, bytes] = {}

    def insist(self, form: bytes) -> None:
        self.form = form

    def write(self, name: str, pieces: Iterable[Bytes], nbytes: int) -> int:
        content = bytearray()
        for piece in pieces:
            content += piece
        self.files[name] = bytes(content)
        return len(content)

    def adopt(self, name: str, file: Path) -> int:
        return self.write(name, [file.read_bytes()], 0)


class MemoryBackend:
    """Keys and bytes. Attributes: see :class:`Backend`.

    Attributes:
        files: the files of objects: address -> name -> bytes.
        documents: all other files: key -> bytes.
    """

    location = identity = LOCATION
    parallel = 1
    writes_ahead = True
    staging = None

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.files: dict[str, dict[str, bytes]] = {}
        self.documents: dict[str, bytes] = {}
        self.leases: dict[str, float] = {}
        self._lock = threading.RLock()

    def read(self, key: str) -> bytes:
        try:
            if key.startswith("data/"):
                _, _, digits, name = key.split("/", 3)
                return self.files[PREFIX + digits][name]
            return self.documents[key]
        except KeyError as error:
            raise NotFound(f"there is no {key} in the store at {self.location}.") from error

    def open(self, key: str) -> MemoryFile:
        return MemoryFile(self, key)

    def put(self, key: str, content: bytes, *, was: bytes | None = None, synced: bool = True) -> bool:
        with self._lock:
            if self.documents.get(key) != was:
                return False
            self.documents[key] = content
            return True

    def delete(self, key: str, *, synced: bool = True) -> None:
        with self._lock:
            self.documents.pop(key, None)

    def list(self, prefix: str) -> Iterator[Entry]:
        with self._lock:
            if prefix.startswith("data/"):
                address = PREFIX + prefix.split("/")[2]
                found = [(folder_key(address) + name, c) for name, c in sorted(self.files.get(address, {}).items())]
            else:
                found = sorted((key, c) for key, c in self.documents.items() if key.startswith(prefix))
        yield from (Listed(key, len(content), blake3(content).hexdigest()) for key, content in found)

    def addresses(self, hex_prefix: str = "") -> Iterator[str]:
        with self._lock:
            found = sorted(address for address in self.files if address.startswith(PREFIX + hex_prefix))
        yield from found

    @contextmanager
    def batch(self) -> Iterator[MemoryBackend]:
        yield self

    def draft(self, address: str | None, form: bytes | None = None) -> MemoryDraft:
        return MemoryDraft(form or b"")

    def discard(self, draft: Draft) -> None:
        """Do nothing: it is forgotten."""

    def publish(
        self, drafts: Mapping[str, Draft], replace: Collection[str] = (), found: Collection[str] = ()
    ) -> set[str]:
        published = set()
        with self._lock:
            for address, draft in drafts.items():
                assert isinstance(draft, MemoryDraft)
                if address in self.files and address not in replace:
                    continue
                self.files[address] = draft.files
                self.leases[address] = self.clock()
                published.add(address)
        return published

    def lease(self, address: str, *, renew: bool = True) -> float:
        with self._lock:
            if address not in self.files:
                return 0.0
            if renew or address not in self.leases:
                self.leases[address] = self.clock()
            return self.leases[address]

    def remove(self, leased: Mapping[str, float]) -> set[str]:
        gone = set()
        with self._lock:
            for address, lease in leased.items():
                if self.leases.get(address, 0.0) <= lease:
                    self.files.pop(address, None)
                    self.leases.pop(address, None)
                    gone.add(address)
        return gone

    def sweep(self, older_than_seconds: float) -> None:
        """Do nothing: a writer that dies leaves nothing behind here."""
