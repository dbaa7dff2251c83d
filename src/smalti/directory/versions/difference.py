"""What changed between two contents of a directory, file by file, and of arrays in which rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smalti.directory.hdf5.arrays import ArrayFile
from smalti.directory.versions.stored_file import is_array
from smalti.store import FieldChange, Record, RowChange, Store
from smalti.store.maintenance.diff import diff
from smalti.tracking.contents import Contents, changes

_MOST_RANGES = 1000  # of rows of one array; what changed in more places is told leaf by leaf


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that differs.

    Attributes:
        path: relative to the directory.
        rows: of an array whose rows have one type and shape on either side, which came in the place of which; None
            of other files.
        fields: of an array, what differs in dtype and shape.
        executable: whether it may be executed now, where that changed; None where it did not.
    """

    path: str
    rows: tuple[RowChange, ...] | None = None
    fields: tuple[FieldChange, ...] = ()
    executable: bool | None = None


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs; false where nothing does. ``str`` gives a line for each file.

    Attributes:
        added, removed: paths of files and folders, relative to the directory.
        changed: files that are there on either side.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[FileChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        lines = [*(f"+{path}" for path in self.added), *(f"-{path}" for path in self.removed)]
        return "\n".join([*lines, *map(_line, self.changed)])


class _Records:
    """Records of a store, and of what is not in it yet."""

    def __init__(self, store: Store, besides: Mapping[str, Record]) -> None:
        self._store = store
        self._besides = besides

    def record(self, address: str) -> Record:
        return self._besides.get(address) or self._store.record(address)


def compare(
    store: Store,
    before: Contents,
    after: Contents,
    folder: Path | None = None,
    records: Mapping[str, Record] | None = None,
) -> Differences:
    """Return what changed from one content to another.

    Args:
        folder: where ``after`` lies on the disk, if it does.
        records: of what is not in the store.
    """
    found = changes(before, after)
    besides = _Records(store, records or {})
    changed = []
    for path in found.changed:
        one, other = before[path], after[path]
        executable = other.executable if other.executable != one.executable else None
        if one.address == other.address or not (one.address and other.address):
            changed.append(FileChange(path, executable=executable))
            continue
        old, new = besides.record(one.address), besides.record(other.address)
        if not (is_array(old) and is_array(new)):
            changed.append(FileChange(path, executable=executable))
            continue
        data = [record.children["data"] for record in (old, new)]
        told = next(iter(diff(besides, *data).changes), None)  # type: ignore[arg-type]
        rows = told.content.rows if told and told.content else ()
        if rows:
            now = ArrayFile(folder / path) if folder and other.address in (records or {}) else store.open(data[1])
            rows = _exact(rows, store.open(data[0]), now)
        changed.append(FileChange(path, rows, told.fields if told else (), executable))
    return Differences(found.added, found.removed, tuple(changed))


def _exact(rows: tuple[RowChange, ...], before: Any, after: Any) -> tuple[RowChange, ...]:
    """Return ranges without the equal rows in them: a leaf holds many short ones."""
    exact: list[RowChange] = []
    for change in rows:
        (i, j), (k, m) = change.before, change.after
        if i == j or k == m:
            exact.append(change)
            continue
        old, new = before[i:j], after[k:m]
        shorter = min(j - i, m - k)
        same = _equal_rows(old[:shorter], new[:shorter])
        differs = np.flatnonzero(~same)
        if len(old) == len(new):
            starts = differs[np.diff(differs, prepend=-2) > 1]
            stops = differs[np.diff(differs, append=shorter + 1) > 1] + 1
            exact += [
                RowChange((i + a, i + b), (k + a, k + b)) for a, b in zip(starts.tolist(), stops.tolist(), strict=True)
            ]
            continue
        first = int(differs[0]) if len(differs) else shorter
        backwards = _equal_rows(old[len(old) - shorter :], new[len(new) - shorter :])[::-1]
        last = min(int(np.argmin(backwards)) if not backwards.all() else shorter, shorter - first)
        exact.append(RowChange((i + first, j - last), (k + first, m - last)))
    return tuple(exact) if len(exact) <= _MOST_RANGES else rows


def _equal_rows(one: Any, other: Any) -> Any:
    """Tell row by row whether two arrays have the same bytes."""
    pair = [np.ascontiguousarray(array) for array in (one, other)]
    if not pair[0].size:
        return np.ones(len(pair[0]), bool)
    flat = [array.reshape(-1).view(np.uint8).reshape(len(array), -1) for array in pair]
    return (flat[0] == flat[1]).all(axis=1)


def _line(change: FileChange) -> str:
    details = []
    if change.rows:
        named = [
            _range(*row.after) if row.after[0] < row.after[1] else f"-{_range(*row.before)}" for row in change.rows
        ]
        more = f" and {len(named) - 8} more ranges" if len(named) > 8 else ""
        details.append(f"rows {', '.join(named[:8])}{more}")
    details += [f"{field.name} {field.before} -> {field.after}" for field in change.fields]
    if change.executable is not None:
        details.append("executable" if change.executable else "not executable")
    return f"≠{change.path}" + (f": {'; '.join(details)}" if details else "")


def _range(start: int, stop: int) -> str:
    return f"{start}" if stop == start + 1 else f"{start}:{stop}"
