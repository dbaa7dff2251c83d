"""A store in a local folder: one folder per object under ``data/``, published whole, never changed.

data/a3/a3f5.../metadata.json   what it is        data/a3/a3f5.../data.npy   an ordinary file
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from smalti.digest import PREFIX, is_address
from smalti.errors import Damaged, NotFound
from smalti.store import record as records
from smalti.store.backend import Content
from smalti.store.commit import (
    machine_errors,
    make_folder,
    publish_file,
    publish_folder,
    staged_folder,
    sync_folder,
    write_file,
)
from smalti.store.reader import Reader
from smalti.store.record import Record
from smalti.store.values import Buffer, Encoded


class MappedContent:
    """An ordinary file, mapped; its buffers follow one another except for framing between them."""

    def __init__(self, record: Record, path: Path) -> None:
        self.where = path.name
        self._buffers = record.buffers
        self._file = map_file(path)
        expected = max((offset + nbytes for offset, nbytes in record.buffers), default=0)
        if len(self._file) < expected:
            raise Damaged(f"{path} of {record.address} has {len(self._file)} bytes, at least {expected} were stored.")

    def read(self, start: int, stop: int) -> memoryview:
        """Return a view; a range never spans two buffers, since leaves do not."""
        base = 0
        for offset, nbytes in self._buffers:
            if start < base + nbytes:
                return self._file[offset + start - base : offset + stop - base]
            base += nbytes
        return memoryview(b"")

    def framing(self) -> bytes:
        pieces, position = [], 0
        for offset, nbytes in self._buffers:
            pieces.append(self._file[position:offset])
            position = offset + nbytes
        return b"".join([*pieces, self._file[position:]])


def map_file(path: Path) -> memoryview:
    """Map a file read-only.

    Raises:
        Damaged: the file is missing or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise Damaged(f"{path} should hold stored content but cannot be opened: {error.strerror}.") from error
    try:
        if os.fstat(descriptor).st_size == 0:  # an empty file cannot be mapped
            return memoryview(b"")
        return memoryview(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ))
    finally:
        os.close(descriptor)


class LocalObjects:
    """Objects by address, in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._data = root / "data"
        self._staging = root / "tmp"

    @property
    def place(self) -> str:
        return str(self.root)

    def folder(self, address: str) -> Path:
        """Return where an object lies, or would lie."""
        hexadecimal = address.removeprefix(PREFIX)
        return self._data / hexadecimal[:2] / hexadecimal

    def has(self, address: str) -> bool:
        """Tell whether an object is there, without reading it."""
        return self.folder(address).is_dir()

    def addresses(self, hex_prefix: str = "") -> Iterator[str]:
        """Yield the addresses of all objects, in order, whose digits begin with ``hex_prefix``."""
        shards = [self._data / hex_prefix[:2]] if len(hex_prefix) >= 2 else sorted(self._data.glob("??"))
        for shard in shards:
            if shard.is_dir():
                names = sorted(entry.name for entry in shard.iterdir())
                yield from (PREFIX + name for name in names if name.startswith(hex_prefix))

    def record(self, address: str) -> Record:
        """Return what is known of an object.

        Raises:
            NotFound: there is no such object.
            Damaged: its record is not what was written.
        """
        folder = self.folder(address)
        try:
            metadata = (folder / records.METADATA).read_bytes()
            leaves = folder / records.LEAVES
            return records.parse(address, metadata, leaves.read_bytes() if leaves.is_file() else None)
        except FileNotFoundError as error:
            if folder.is_dir():
                raise Damaged(f"{records.METADATA} of {address} is missing; restore it from another store.") from error
            raise NotFound(f"{address} is not in the store at {self.root}.") from error

    def content(self, record: Record) -> Content:
        """Map an object's content."""
        return MappedContent(record, self.folder(record.address) / record.filename)

    def file(self, record: Record) -> Path | None:
        """Return the path of an object's ordinary file."""
        return self.folder(record.address) / record.filename if record.filename else None

    def verify(self, address: str) -> Record:
        """Read an object whole and return its record.

        Raises:
            Damaged: anything in its folder is not what was stored; the message names the file.
        """
        if not is_address(address):
            raise Damaged(f"{self.folder(address)} lies among the objects but is none; move it away.")
        record = self.record(address)
        expected = {*records.dump(record), *([record.filename] if record.filename else [])}
        found = {path.name for path in self.folder(address).iterdir()}
        if found != expected:
            raise Damaged(f"the folder of {address} holds {sorted(found)}, but {sorted(expected)} were stored.")
        if record.filename:
            reader = Reader(record, self.content(record))
            reader.whole()
            if not reader.framing_is_sound():
                raise Damaged(
                    f"{record.filename} of {address} is damaged outside its content, in its file format's header."
                )
        return record

    def write(self, record: Record, encoded: Encoded | None) -> int:
        """Make an object durable and return the bytes added; 0 when a sound copy was there already.

        A damaged copy is moved to ``quarantine/`` and replaced: damage never spreads to a new reference.

        Raises:
            Unavailable: the machine did not let it be written; the store is unchanged.
        """
        with machine_errors(f"storing {record.address} in {self.root}"):
            exists = self.has(record.address)
            if exists and self._is_sound(record.address):
                return 0
            files: dict[str, list[bytes | memoryview]] = {n: [part] for n, part in records.dump(record).items()}
            if encoded:
                files[encoded.filename] = [p.data if isinstance(p, Buffer) else p for p in encoded.pieces]
            with staged_folder(self._staging) as folder:
                for name, content in files.items():
                    write_file(folder / name, content)
                if exists:
                    self._quarantine(record.address)
                if not publish_folder(folder, self.folder(record.address)):
                    return 0  # another writer was first, with the same bytes
            return sum(memoryview(part).nbytes for content in files.values() for part in content)

    def _is_sound(self, address: str) -> bool:
        try:
            self.verify(address)
        except Damaged:
            return False
        return True

    def remove(self, address: str) -> None:
        """Remove an object: out of sight by one rename, then file by file."""
        with machine_errors(f"removing {address} from {self.root}"):
            if self.has(address):
                with staged_folder(self._staging) as folder:
                    self.folder(address).rename(folder / "removed")
                    sync_folder(self.folder(address).parent)

    def _quarantine(self, address: str) -> None:
        folder = self.folder(address)
        make_folder(self.root / "quarantine")
        for attempt in range(1000):
            if publish_folder(folder, self.root / "quarantine" / f"{folder.name}-{attempt}"):
                return


class LocalDocuments:
    """Small files below a folder, each created by a link that never replaces."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staging = root / "tmp"

    @property
    def place(self) -> str:
        return str(self._root)

    def create(self, key: str, content: bytes) -> bool:
        """Create a document."""
        with machine_errors(f"writing {self._root / key}"):
            return publish_file(self._root / key, content, self._staging)

    def read(self, key: str) -> bytes:
        """Return a document."""
        try:
            return (self._root / key).read_bytes()
        except OSError as error:
            raise NotFound(f"there is no {key} in the store at {self._root}.") from error

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield keys in order."""
        folder = self._root / prefix
        found = (Path(here) / name for here, _, names in os.walk(folder) for name in names)
        yield from sorted(path.relative_to(self._root).as_posix() for path in found)

    def remove(self, key: str) -> None:
        """Remove a document, and the folders it leaves empty."""
        with machine_errors(f"removing {self._root / key}"):
            path = self._root / key
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)
