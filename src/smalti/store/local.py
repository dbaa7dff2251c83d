"""A store in a local folder: one folder per object under ``data/``, published whole, never changed.

data/a3/a3f5.../metadata.json   what it is        data/a3/a3f5.../data.npy   an ordinary file
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from smalti.digest import PREFIX
from smalti.errors import Damaged, NotFound
from smalti.store import record as records
from smalti.store.commit import machine_errors, make_folder, publish_folder, staged_folder, write_file
from smalti.store.reader import Reader
from smalti.store.record import Record
from smalti.store.values import Buffer, Encoded


class LocalObjects:
    """Objects by address, in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._data = root / "data"
        self._staging = root / "tmp"

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

    def reader(self, record: Record) -> Reader:
        """Return access to an object's content."""
        return Reader(record, self.file(record))

    def file(self, record: Record) -> Path:
        """Return the path of an object's ordinary file."""
        return self.folder(record.address) / record.filename

    def verify(self, address: str) -> Record:
        """Read an object whole and return its record.

        Raises:
            Damaged: anything in its folder is not what was stored; the message names the file.
        """
        record = self.record(address)
        expected = {*records.dump(record), *([record.filename] if record.filename else [])}
        found = {path.name for path in self.folder(address).iterdir()}
        if found != expected:
            raise Damaged(f"the folder of {address} holds {sorted(found)}, but {sorted(expected)} were stored.")
        if record.filename:
            reader = self.reader(record)
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

    def _quarantine(self, address: str) -> None:
        folder = self.folder(address)
        make_folder(self.root / "quarantine")
        for attempt in range(1000):
            if publish_folder(folder, self.root / "quarantine" / f"{folder.name}-{attempt}"):
                return
