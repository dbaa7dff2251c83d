"""A store in a local folder: one folder per object under ``data/``, published whole, never changed.

data/a3/a3f5.../metadata.json + data.npy                    an ordinary file any tool opens
data/b7/b7e9.../metadata.json + recipe.json + delta.bin     a near-duplicate: new leaves, and where the others lie
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from io import FileIO
from itertools import count
from pathlib import Path

from smalti.digest import PREFIX, is_address
from smalti.errors import Damaged, NotFound
from smalti.store import recipe as recipes
from smalti.store import record as records
from smalti.store.assembly import load_content, load_recipe, load_record, sources_of
from smalti.store.backend import Content
from smalti.store.commit import (
    alone,
    machine_errors,
    make_folder,
    move_folder,
    publish_folder,
    spool,
    staged_folder,
    sync,
)
from smalti.store.content import FileContent, StitchedContent
from smalti.store.index import Index
from smalti.store.local_intake import LocalIntake, local_intake
from smalti.store.recipe import DELTA, RECIPE, Recipe
from smalti.store.record import Record
from smalti.store.values import Buffer, Encoded

_SAMPLED_LEAVES = 32  # read again where a file still looks as it did when it was written
_SLOWEST_WRITE_SECONDS = 3600.0
_MOST_NEEDS_AT_ONCE = 1000  # writing down more takes longer than the put; the next collection does it


class LocalFiles:
    """The files of objects below ``data/``."""

    def __init__(self, root: Path) -> None:
        self.place = str(root)
        self._data = str(root / "data")

    def folder(self, address: str) -> str:
        """Return where an object lies, or would lie."""
        hexadecimal = address.removeprefix(PREFIX)
        return f"{self._data}/{hexadecimal[:2]}/{hexadecimal}"

    def read(self, address: str, name: str) -> bytes | None:
        """Return a small file of an object, None when it is not there."""
        path = f"{self.folder(address)}/{name}"
        with machine_errors(f"reading {path}"):
            try:
                with FileIO(path) as file:
                    return file.readall()
            except FileNotFoundError:
                return None
            except (IsADirectoryError, NotADirectoryError) as error:
                raise Damaged(f"{path} is not the file that was stored; restore it from another store.") from error

    def open(self, address: str, name: str, buffers: Sequence[tuple[int, int]]) -> Content:
        """Map a file of an object."""
        return FileContent(Path(self.folder(address), name), buffers, address)


class LocalObjects:
    """Objects by address, in a folder."""

    writes_at_once = 1  # a near-duplicate is found only once its like is there

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = Index(root / "index.sqlite")
        self._files = LocalFiles(root)
        self._data = root / "data"
        self._staging = root / "tmp"

    @property
    def place(self) -> str:
        return str(self.root)

    def folder(self, address: str) -> Path:
        """Return where an object lies, or would lie."""
        return Path(self._files.folder(address))

    def has(self, address: str) -> bool:
        """Tell whether an object is there, without reading it."""
        return os.path.lexists(self._files.folder(address))  # what lies there instead is moved aside by the next put

    def addresses(self, hex_prefix: str = "") -> Iterator[str]:
        """Yield the addresses of all objects, in order, whose digits begin with ``hex_prefix``."""
        shards = [self._data / hex_prefix[:2]] if len(hex_prefix) >= 2 else sorted(self._data.glob("??"))
        for shard in shards:
            if shard.is_dir():
                names = sorted(entry.name for entry in shard.iterdir())
                yield from (PREFIX + name for name in names if name.startswith(hex_prefix))

    def record(self, address: str) -> Record:
        """Return what is known of an object."""
        try:
            return load_record(self._files, address)
        except NotFound:
            if self.has(address):
                raise Damaged(f"{records.METADATA} of {address} is missing; restore it from another store.") from None
            raise

    def recipe(self, address: str) -> Recipe | None:
        """Return how a near-duplicate is put together; None for an object with a file of its own."""
        return load_recipe(self._files, address)

    def content(self, record: Record) -> Content:
        """Map an object's content, or the pieces it is stitched from."""
        return load_content(self._files, record)

    def file(self, record: Record) -> Path | None:
        """Return the path of an object's ordinary file; a near-duplicate has none."""
        path = self.folder(record.address) / record.filename
        return path if record.filename and path.is_file() else None

    def spool(self) -> AbstractContextManager[Path]:
        """Give a path for a file that may be moved in."""
        return spool(self._staging)

    def verify(self, address: str, whole: bool = True) -> Record:
        """Read an object, or what a look at its files leaves in doubt and a sample, and return its record."""
        from smalti.store.reader import Reader  # numpy takes long to import: whoever stores small files does without

        if not is_address(address):
            raise Damaged(f"{self.folder(address)} lies among the objects but is none; move it away.")
        stamp = self.stamp(address)
        record = self.record(address)
        recipe = self.recipe(address)
        own = [] if not record.filename else [record.filename] if recipe is None else [RECIPE, DELTA]
        expected = {*records.file_names(record), *own}
        try:
            found = {path.name for path in self.folder(address).iterdir()}
        except FileNotFoundError as error:
            raise NotFound(f"{address} was removed from {self.root} while it was read.") from error
        except NotADirectoryError as error:
            raise Damaged(f"{self.folder(address)} is no folder of an object; move it away.") from error
        if found != expected:
            raise Damaged(f"the folder of {address} holds {sorted(found)}, but {sorted(expected)} were stored.")
        if recipe:
            recipes.own_slices(record, recipe)
        if not whole and stamp == self.index.stamp(address):  # nobody has written to it since it was read whole
            if record.filename:
                Reader(record, self.content(record)).sample(_SAMPLED_LEAVES)
            for source in sources_of(self._files, record, recipe) if recipe else ():
                if self.stamp(source) != self.index.stamp(source):
                    self.verify(source)
            return record
        if record.filename:
            reader = Reader(record, self.content(record))
            reader.whole()
            if not reader.framing_is_sound():
                raise Damaged(f"{own[-1]} of {address} is damaged outside its content, in its file format's header.")
        self.remember([(record, recipe, stamp)])
        return record

    def intake(self) -> AbstractContextManager[LocalIntake]:
        """Give what takes objects in; they are durable when the context ends."""
        return local_intake(self, self._staging)

    def write(self, record: Record, encoded: Encoded | None, alike: Sequence[str] = ()) -> int:
        """Make an object durable and return the bytes added; 0 when a sound copy was there already."""
        with self.intake() as intake:
            intake.write(record, encoded, alike)
        return intake.added[record.address]

    def keep(self, address: str) -> bool:
        """Make an object young and tell whether a sound copy of it is there; a damaged one is no source any more."""
        if not self.touch(address):
            return False
        if self._is_sound(address) or self._is_sound(address, whole=True):
            return True
        self._forget_if_possible(address)
        return False

    def publish(self, folder: str, address: str) -> bool:
        """Move an object's finished folder into place; tell whether a sound copy was not there already.

        A damaged one is moved aside only now that its replacement is there, so that readers miss it for no longer
        than two moves take.
        """
        if move_folder(folder, self._files.folder(address)):
            return True
        with alone(self.root / "repair.lock"):  # or one repair would take the other's for the damage
            if self._is_sound(address, whole=True):
                return False
            self._forget_if_possible(address)
            aside = self._move_aside(address)
            moved = move_folder(folder, self.folder(address))
            if aside:
                sync(aside.parent)
            return moved

    def needs(self, address: str) -> set[str]:
        """Return an object's children and what it takes leaves from."""
        recipe = self.recipe(address)
        return {*self.record(address).children.values(), *(recipe.sources if recipe else ())}

    def reachable(self, roots: set[str]) -> set[str]:
        """Return the roots and all they need. What an object needs never changes but by a repair, which says so."""
        for address in self.index.unknown(set(self.addresses())):
            self._remember([(self.record(address), self.recipe(address), "")], most_needs=None)
        return self.index.reachable(roots)

    def nbytes_kept(self, address: str) -> int:
        """Return the size of an object's files."""
        try:
            return sum(entry.stat().st_size for entry in os.scandir(self.folder(address)))
        except FileNotFoundError:  # another collection was quicker
            return 0

    def touch(self, address: str) -> bool:
        """Renew the time of an object's folder; tell whether it is there."""
        with machine_errors(f"marking {address} in {self.place} as used"):
            try:
                os.utime(self._files.folder(address))
            except FileNotFoundError:
                return False
        return self.has(address)

    def is_intact(self, address: str) -> bool:
        """Tell whether an object is there and, by what its files look like or a few leaves, as it was stored."""
        return self._is_sound(address)

    def now(self) -> float:
        """Return this machine's time."""
        return time.time()

    def touched_at(self, address: str) -> float:
        """Return the modification time of an object's folder, which a put that finds it renews."""
        try:
            return self.folder(address).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def remove(self, address: str, unless_touched_since: float | None = None) -> bool:
        """Remove an object: from the index, then out of sight by one rename, then file by file.

        A put that finds the object makes it young first and looks whether it is still there afterwards; so either
        the rename comes first and the put writes it anew, or this sees the new time and moves it back.
        """
        with machine_errors(f"removing {address} from {self.root}"), staged_folder(self._staging) as folder:
            self._forget_if_possible(address)
            try:
                self.folder(address).rename(folder / "removed")
            except FileNotFoundError:
                return True
            touched = (folder / "removed").stat().st_mtime
            if unless_touched_since is not None and touched > unless_touched_since:
                publish_folder(folder / "removed", self.folder(address))  # or the put has written it anew
                return False
            sync(self.folder(address).parent)
            return True

    def sweep(self, older_than_seconds: float) -> None:
        """Remove what writers that died have staged; one that is alive may take a while, so nothing young."""
        with machine_errors(f"sweeping {self._staging}"):
            for entry in os.scandir(self._staging) if self._staging.is_dir() else ():
                with suppress(FileNotFoundError):  # its writer has finished meanwhile
                    if time.time() - entry.stat().st_mtime >= max(older_than_seconds, _SLOWEST_WRITE_SECONDS):
                        shutil.rmtree(entry.path) if entry.is_dir() else Path(entry.path).unlink()

    def rebuild_index(self) -> None:
        """Make the index anew from the files; what cannot be read is left out, and ``fsck`` names it."""
        self.index.clear()
        for address in self.addresses():
            try:
                self._remember([(self.record(address), self.recipe(address), "")])
            except Damaged:
                continue

    def with_leaves_beside(self, encoded: Encoded, alike: Sequence[str]) -> Encoded:
        """Return an object with its leaves, where most of its bytes may be those of a sound one that is here.

        Its files look as they did when they were verified, and a sample was read again, as of every object that
        near-duplicates take leaves from; here all that is taken over is compared byte by byte as well.
        """
        from smalti.store.same_leaves import has_such_rows, leaves_beside

        buffers = encoded.buffers
        if not alike or len(buffers) != 1 or buffers[0].leaves or not self.touch(alike[0]):
            return encoded
        before = self._sound(alike[0])
        if before is None or not has_such_rows(encoded.header, before):
            return encoded
        content = self.content(before)
        if not isinstance(content, FileContent | StitchedContent):
            return encoded
        leaves = leaves_beside(buffers[0].data, buffers[0].row_nbytes, before, content.copy_cached)
        known = replace(buffers[0], leaves=leaves)
        return replace(encoded, pieces=tuple(known if isinstance(p, Buffer) else p for p in encoded.pieces))

    def plan(self, record: Record, encoded: Encoded, alike: Sequence[str]) -> Recipe | None:
        """Return a recipe from sound objects only: damage must not spread to what is written now."""
        if record.nbytes < recipes.LEAST_SAVED_NBYTES:
            return None
        from smalti.store.leaf_table import own_leaves, plan

        sources = (self._sound(address) for address in self.alike(record, alike) if self.touch(address))
        found = {source.address: source for source in sources if source}
        framing_nbytes = recipes.framing_nbytes(encoded)
        return plan(record, framing_nbytes, [*found], lambda a: own_leaves(found[a], self.recipe(a)))

    def alike(self, record: Record, hints: Sequence[str]) -> list[str]:
        """Return the objects here that share most leaves with another, best first, then those that are hinted at."""
        found = dict.fromkeys([*self.index.alike(record.leaf_ids), *filter(self.has, hints)])
        return [address for address in found if address != record.address]

    def _is_sound(self, address: str, whole: bool = False) -> bool:
        """Tell whether an object, and what it takes leaves from, can be relied on."""
        return self._sound(address, whole) is not None

    def _sound(self, address: str, whole: bool = False) -> Record | None:
        """Return the record of an object that, with what it takes leaves from, can be relied on; else None."""
        try:
            return self.verify(address, whole)
        except (Damaged, NotFound):
            return None

    def stamp(self, address: str, names: Iterable[str] | None = None) -> str:
        """Return what changes when any file of an object is written to, replaced or renamed.

        Args:
            names: of its files, where they are known.
        """
        folder = self._files.folder(address)
        try:
            names = sorted(os.listdir(folder) if names is None else names)  # noqa: PTH208, for every object
            looks = [(name, os.lstat(f"{folder}/{name}")) for name in names]
        except (FileNotFoundError, NotADirectoryError):  # removed or repaired meanwhile, or no object
            return ""
        return repr([(name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in looks])

    def remember(self, written: Iterable[tuple[Record, Recipe | None, str]]) -> None:
        """Remember objects, each with its stamp.

        They are safe already; a full disk must not make their index the reason to fail.
        """
        with suppress(sqlite3.Error, OSError):
            self._remember(written)

    def _remember(
        self,
        written: Iterable[tuple[Record, Recipe | None, str]],
        most_needs: int | None = _MOST_NEEDS_AT_ONCE,
    ) -> None:
        self.index.add_all(
            (
                record.address,
                _own_leaf_ids(record, recipe),
                stamp,
                needs if most_needs is None or len(needs) <= most_needs else None,
            )
            for record, recipe, stamp in written
            for needs in ({*record.children.values(), *(recipe.sources if recipe else ())},)
        )

    def _forget_if_possible(self, address: str) -> None:
        """What the index keeps of an object that is gone is never looked at, so it may stay on a full disk."""
        with suppress(sqlite3.Error, OSError):
            self.index.forget([address])

    def _move_aside(self, address: str) -> Path | None:
        """Move a damaged object to the quarantine; return where it is, or None where another process was quicker."""
        folder = self.folder(address)
        make_folder(self.root / "quarantine")
        targets = (self.root / "quarantine" / f"{folder.name}-{attempt}" for attempt in count())
        with suppress(FileNotFoundError):
            return next(target for target in targets if move_folder(folder, target))
        return None


def _own_leaf_ids(record: Record, recipe: Recipe | None) -> bytes:
    """Return the ids of the leaves in an object's own file."""
    if recipe is None:
        return record.leaf_ids
    from smalti.store.leaf_table import own_leaves

    return own_leaves(record, recipe).ids.tobytes()
