"""Objects on their way into a folder: small ones share one sync, a large one is written while it is hashed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.digest import PREFIX
from smalti.store import recipe as recipes
from smalti.store.commit import (
    WriteAhead,
    machine_errors,
    make_folders,
    staged_folder,
    sync,
    sync_together,
    write_file,
)
from smalti.store.recipe import DELTA, Recipe
from smalti.store.record import Record, record_of
from smalti.store.values import Encoded

if TYPE_CHECKING:
    from smalti.store.local import LocalObjects

_LARGE_NBYTES = 4 * 1024 * 1024  # from here on waiting for the disk is the smaller part
_MOST_STAGED = 1024


@dataclass(frozen=True, slots=True)
class _Staged:
    """An object whose files are written, but neither durable nor visible."""

    record: Record
    recipe: Recipe | None
    folder: str
    files: tuple[str, ...]
    nbytes: int

    def paths(self) -> list[str]:
        """Return what has to be durable before it is visible."""
        return [*(f"{self.folder}/{name}" for name in self.files), self.folder]


class LocalIntake:
    """What one call puts into a folder; all of it is durable when ``flush`` returns.

    Attributes:
        added: address -> bytes added, 0 where a sound copy was there already.
    """

    def __init__(self, objects: LocalObjects, staging: Path, cleanup: ExitStack) -> None:
        self.added: dict[str, int] = {}
        self._objects = objects
        self._staging = staging
        self._cleanup = cleanup
        self._folder = ""  # holds the objects' folders, by number
        self._count = 0
        self._staged: list[_Staged] = []
        self._found: list[str] = []

    def put(self, encoded: Encoded, alike: Sequence[str] = ()) -> Record:
        """Hash an object and take it in."""
        if encoded.nbytes < _LARGE_NBYTES or encoded.spooled:
            record = record_of(encoded)
            self.write(record, encoded, alike)
            return record
        encoded = self._objects.with_leaves_beside(encoded, alike)
        with machine_errors(f"storing an object in {self._objects.root}"):
            folder = self._fresh_folder()
            ahead = WriteAhead(Path(folder, encoded.filename), encoded.file)
            try:
                record = record_of(encoded, lambda ids: None if self._objects.index.alike(ids) else ahead.start())
                if not self._is_there(record):
                    self._stage(record, encoded, alike, folder, ahead)
            finally:
                ahead.close()
        self.flush()
        return record

    def write(self, record: Record, encoded: Encoded | None, alike: Sequence[str] = ()) -> None:
        """Take in an object whose record is known."""
        with machine_errors(f"storing {record.address} in {self._objects.root}"):
            if not self._is_there(record):
                self._stage(record, encoded, alike, self._fresh_folder())
        # What may be a source of the next near-duplicate has to be known by then.
        is_source = record.filename and record.nbytes >= recipes.LEAST_SAVED_NBYTES
        if len(self._staged) >= _MOST_STAGED or is_source:
            self.flush()

    def flush(self) -> None:
        """Make what was taken in durable, then visible in the order it came, then durably so."""
        with machine_errors(f"storing {len(self._staged)} objects in {self._objects.root}"):
            sync_together([path for staged in self._staged for path in staged.paths()])
            # What the index says they need may be of an earlier form; gc would take away what the new one needs.
            self._objects.index.forget([staged.record.address for staged in self._staged])
            shards = self._shards([staged.record.address for staged in self._staged])
            make_folders(shards)
            for staged in self._staged:
                if self._objects.publish(staged.folder, staged.record.address):
                    self.added[staged.record.address] = staged.nbytes
            sync_together(shards)
            for shard in self._shards(self._found):  # whoever made what was there may have died before syncing
                sync(shard)
        self._objects.remember(
            (s.record, s.recipe, self._objects.stamp(s.record.address, s.files))
            for s in self._staged
            if self.added[s.record.address]
        )
        self._staged.clear()
        self._found.clear()

    def _is_there(self, record: Record) -> bool:
        """Tell whether the object is taken in, or a sound copy of it was there already."""
        if record.address in self.added:
            return True
        self.added[record.address] = 0
        if not self._objects.keep(record.address):
            return False
        self._found.append(record.address)
        return True

    def _stage(
        self,
        record: Record,
        encoded: Encoded | None,
        alike: Sequence[str],
        folder: str,
        ahead: WriteAhead | None = None,
    ) -> None:
        recipe = self._objects.plan(record, encoded, alike) if encoded else None
        small = recipes.small_files(record, recipe)
        files: dict[str, list[bytes | memoryview]] = {name: [part] for name, part in small.items()}
        nbytes = 0
        if encoded and recipe:
            files[DELTA] = recipes.delta(record, encoded, recipe)
        elif encoded and encoded.spooled:
            encoded.spooled.chmod(0o444)
            nbytes = encoded.spooled.rename(f"{folder}/{record.filename}").stat().st_size
        elif ahead:
            nbytes = ahead.finish()
        elif encoded:
            files[record.filename] = encoded.file
        nbytes += sum(write_file(f"{folder}/{name}", pieces, synced=False) for name, pieces in files.items())
        own = [record.filename] if record.filename and not recipe else []
        self._staged.append(_Staged(record, recipe, folder, tuple(dict.fromkeys([*files, *own])), nbytes))

    def _fresh_folder(self) -> str:
        if not self._folder:
            self._folder = str(self._cleanup.enter_context(staged_folder(self._staging)))
        folder = f"{self._folder}/{self._count}"
        os.mkdir(folder, 0o750)  # noqa: PTH102, this runs for every object
        self._count += 1
        return folder

    def _shards(self, addresses: list[str]) -> list[Path]:
        """Return the folders that hold the objects' folders."""
        one_of_each = {address.removeprefix(PREFIX)[:2]: address for address in addresses}
        return [self._objects.folder(one_of_each[digits]).parent for digits in sorted(one_of_each)]


@contextmanager
def local_intake(objects: LocalObjects, staging: Path) -> Iterator[LocalIntake]:
    """Give an intake; what it took in is durable when the context ends well, and gone when it does not."""
    with ExitStack() as cleanup:
        intake = LocalIntake(objects, staging, cleanup)
        yield intake
        intake.flush()
