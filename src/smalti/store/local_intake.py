"""Objects on their way into a folder: small ones share one sync, a large one is written while it is hashed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.store import recipe as recipes
from smalti.store import record as records
from smalti.store.commit import WriteAhead, machine_errors, move_folder, staged_folder, sync_together, write_file
from smalti.store.recipe import DELTA, RECIPE, Recipe
from smalti.store.record import Record, record_of
from smalti.store.values import Encoded

if TYPE_CHECKING:
    from smalti.store.local import LocalObjects

_LARGE_NBYTES = 4 * 1024 * 1024  # from here on waiting for the disk is the smaller part
_MOST_STAGED = 256


@dataclass(frozen=True, slots=True)
class _Staged:
    """An object whose files are written, but neither durable nor visible."""

    record: Record
    recipe: Recipe | None
    folder: Path
    nbytes: int


class LocalIntake:
    """What one call puts into a folder; all of it is durable when ``flush`` returns.

    Attributes:
        added: address -> bytes added, 0 where a sound copy was there already.
    """

    def __init__(self, objects: LocalObjects, staging: Path, folders: ExitStack) -> None:
        self.added: dict[str, int] = {}
        self._objects = objects
        self._staging = staging
        self._folders = folders
        self._staged: list[_Staged] = []
        self._shards: set[Path] = set()  # folders with new names in them

    def put(self, encoded: Encoded, alike: Sequence[str] = ()) -> Record:
        """Hash an object and take it in."""
        if encoded.nbytes < _LARGE_NBYTES or encoded.spooled:
            record = record_of(encoded)
            self.write(record, encoded, alike)
            return record
        with machine_errors(f"storing an object in {self._objects.root}"):
            folder = self._fresh_folder()
            ahead = WriteAhead(folder / encoded.filename, encoded.file)
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
        if len(self._staged) >= _MOST_STAGED or record.nbytes >= _LARGE_NBYTES:
            self.flush()

    def flush(self) -> None:
        """Make what was taken in durable, then visible in the order it came, then durably so."""
        if not self._staged and not self._shards:
            return
        with machine_errors(f"storing {len(self._staged)} objects in {self._objects.root}"):
            folders = [staged.folder for staged in self._staged]
            sync_together([path for folder in folders for path in (*folder.iterdir(), folder)])
            new = []
            for staged in self._staged:
                address = staged.record.address
                # What the index says it needs may be of an earlier form; gc would take away what this one needs.
                self._objects.index.forget(address)
                if move_folder(staged.folder, self._objects.folder(address)):
                    self.added[address] = staged.nbytes
                    new.append((staged.record, staged.recipe))
                self._shards.add(self._objects.folder(address).parent)
            sync_together(sorted(self._shards))
        self._objects.remember(new)
        self._staged.clear()
        self._shards.clear()

    def _is_there(self, record: Record) -> bool:
        """Tell whether the object is taken in, or a sound copy of it was there already."""
        if record.address in self.added:
            return True
        self.added[record.address] = 0
        if not self._objects.keep(record.address):
            return False
        self._shards.add(self._objects.folder(record.address).parent)  # whoever made it may have died before syncing
        return True

    def _stage(
        self,
        record: Record,
        encoded: Encoded | None,
        alike: Sequence[str],
        folder: Path,
        ahead: WriteAhead | None = None,
    ) -> None:
        recipe = self._objects.plan(record, encoded, alike) if encoded else None
        files: dict[str, list[bytes | memoryview]] = {name: [part] for name, part in records.dump(record).items()}
        if recipe and records.LEAVES in files:
            own = recipes.own_leaves(record, recipe)
            files[records.LEAVES] = [records.dump_leaves(own.ids.tobytes(), own.sizes)]
        nbytes = 0
        if encoded and recipe:
            files |= {RECIPE: [recipe.dump()], DELTA: recipes.delta(record, encoded, recipe)}
        elif encoded and encoded.spooled:
            nbytes += encoded.spooled.stat().st_size
            encoded.spooled.rename(folder / encoded.filename)
        elif ahead:
            nbytes += ahead.finish()
        elif encoded:
            files[encoded.filename] = encoded.file
        nbytes += sum(write_file(folder / name, pieces, sync=False) for name, pieces in files.items())
        self._staged.append(_Staged(record, recipe, folder, nbytes))

    def _fresh_folder(self) -> Path:
        return self._folders.enter_context(staged_folder(self._staging))


@contextmanager
def local_intake(objects: LocalObjects, staging: Path) -> Iterator[LocalIntake]:
    """Give an intake; what it took in is durable when the context ends well, and gone when it does not."""
    with ExitStack() as folders:
        intake = LocalIntake(objects, staging, folders)
        yield intake
        intake.flush()
