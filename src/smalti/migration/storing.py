"""Putting what a plan names into a store, each file read back and compared; files seen before are not read again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from smalti import canonical
from smalti.codecs.folder import Folder
from smalti.errors import Damaged, NotFound, Refused
from smalti.migration.naming import digits_of
from smalti.migration.plan import FilePart, FolderPart, MadePart, Part, TreePart, files_of
from smalti.migration.sources.source import Source
from smalti.migration.values.documents import plain
from smalti.migration.values.forms import KINDS, value_of
from smalti.store import Ref, Store, Tree
from smalti.tracking import StatCache
from smalti.tracking.work_file import Look, WorkFile

_SMALL_NBYTES, _BATCH_NBYTES, _BATCH_FILES = 1 << 20, 64 << 20, 512


class Storing:
    """Stores the values of one source.

    A file is remembered once it was stored, read back and compared: as long as it looks the same, and the store has
    what it became, it is not read again.

    Attributes:
        new_bytes: what was added to the store.
        read: the files that were read, and not known from an earlier migration.
        remarks: what was stored in another form than its name says, and why.
    """

    def __init__(self, store: Store, source: Source, cache: StatCache, on_file: Callable[[int], None]) -> None:
        self.new_bytes = 0
        self.remarks: list[str] = []
        self.read: set[str] = set()
        self._store = store
        self._source = source
        self._cache = cache
        self._top = Path(f"/migrated/{digits_of(source.place)}/{digits_of(store.place)}")
        self._known = cache.known(self._top)
        self._on_file = on_file
        self._refs: dict[tuple[str, str], Ref] = {}
        self._counted: set[str] = set()

    def put(self, part: Part) -> Ref:
        """Store a value.

        Raises:
            Refused, Unavailable: a file cannot be read, or was written to meanwhile.
            Damaged: what was read back is not what the source holds.
        """
        if isinstance(part, FilePart):
            return self._file(part)
        if isinstance(part, FolderPart):
            self._put_small(part)
            return self._folder(part)
        if isinstance(part, TreePart):
            children = {name: self.put(child) for name, child in part.children.items()}
            ref = self._added(self._store.put(Tree(children, part.attrs), just_put=children.values()))
            stored = self._store.record(ref)
            if dict(stored.children) != {name: child.digest for name, child in children.items()}:
                raise _differs("a tree of values")
            return ref
        return self._made(part)

    def get(self, part: FilePart) -> Any:
        """Return what a file became."""
        return self._store.get(self._file(part))

    def _file(self, part: FilePart) -> Ref:
        if done := self._refs.get((part.path, part.form)):
            return done
        ref = self._remembered(part)
        if ref is None:
            ref = self._stored(part)
            self._on_file(part.nbytes)
        self._refs[part.path, part.form] = ref
        return ref

    def _remembered(self, part: FilePart) -> Ref | None:
        known = self._known.get(f"{part.form}:{part.path}")
        if known and known[0] == self._source.files[part.path].look:
            with suppress(NotFound):  # it was removed from the store since
                ref = self._store.ref(known[1])
                if ref.kind in KINDS[part.form]:  # else it is read again, so as to say why it is not
                    self._on_file(part.nbytes)
                    return ref
        return None

    def _stored(self, part: FilePart) -> Ref:
        began_ns = time.time_ns()
        self.read.add(part.path)
        with self._source.local(part.path) as file:
            try:
                ref = self._compared(part, file)
            except Refused as error:
                if part.form == "bytes":
                    raise
                self.remarks.append(f"{part.path} is kept as bytes: {error}")
                ref = self._compared(FilePart(part.path, "bytes", part.nbytes), file)
        self._remember(part, ref, began_ns)
        return ref

    def _compared(self, part: FilePart, file: Path) -> Ref:
        value = value_of(file, part.form)
        ref = self._added(value.put(self._store))
        if not value.is_same(self._store.open(ref)):
            raise _differs(part.path)
        return ref

    def _remember(self, part: FilePart, ref: Ref, began_ns: int) -> None:
        look: Look = self._source.files[part.path].look
        self._cache.remember(self._top, {f"{part.form}:{part.path}": (look, ref.digest)}, began_ns)

    def _put_small(self, folder: FolderPart) -> None:
        """Store many small files together: they share the wait for the disk."""
        small = [part for part in files_of(folder) if part.nbytes <= _SMALL_NBYTES]
        waiting = [part for part in small if (part.path, part.form) not in self._refs and not self._remembered(part)]
        for batch in _batches(waiting):
            began_ns = time.time_ns()
            contents = [self._content(part) for part in batch]
            for part, content, ref in zip(batch, contents, self._store.put_all(contents), strict=True):
                if bytes(self._store.get(self._added(ref))) != content:
                    raise _differs(part.path)
                self._remember(part, ref, began_ns)
                self._refs[part.path, part.form] = ref
                self._on_file(part.nbytes)

    def _content(self, part: FilePart) -> bytes:
        with self._source.local(part.path) as path:
            file = WorkFile(path)
            content = bytes(file.data)
            file.check_unchanged()
        return content

    def _folder(self, part: FolderPart) -> Ref:
        entries = {
            name: self._folder(entry) if isinstance(entry, FolderPart) else self._file(entry)
            for name, entry in part.entries.items()
        }
        ref = self._added(self._store.put(Folder(entries, part.executable), just_put=entries.values()))
        if dict(self._store.record(ref).children) != {name: entry.digest for name, entry in entries.items()}:
            raise _differs("a folder")
        return ref

    def _made(self, part: MadePart) -> Ref:
        if part.columns is None:
            ref = self._added(self._store.put(part.value))
            if canonical.text(plain(self._store.get(ref)), sort=True) != canonical.text(part.value, sort=True):
                raise _differs("a document")
            return ref
        import numpy as np
        import pandas as pd

        frame = pd.DataFrame({name: _column(kind, items) for name, (kind, items) in part.columns.items()})
        ref = self._added(self._store.put(frame))
        if not frame.equals(self._store.get(ref)):
            raise _differs(f"a table of {np.size(frame)} values")
        return ref

    def _added(self, ref: Ref) -> Ref:
        if ref.digest not in self._counted:
            self._counted.add(ref.digest)
            self.new_bytes += ref.new_bytes
        return ref


def _column(kind: str, items: list[Any]) -> Any:
    import pandas as pd

    return pd.Series(items, dtype=kind)


def _differs(what: str) -> Damaged:
    return Damaged(f"{what} was stored, and what was read back is something else; run smalti fsck, and migrate again.")


def _batches(parts: list[FilePart]) -> Iterator[list[FilePart]]:
    batch: list[FilePart] = []
    nbytes = 0
    for part in parts:
        batch.append(part)
        nbytes += part.nbytes
        if len(batch) >= _BATCH_FILES or nbytes >= _BATCH_NBYTES:
            yield batch
            batch, nbytes = [], 0
    if batch:
        yield batch
