"""What changed between two values, from their records alone: child by child, field by field, leaf by leaf."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from smalti import canonical
from smalti.canonical import Json
from smalti.digest import LEAF_ID_NBYTES
from smalti.store.format.record import Record
from smalti.store.objects.object_store import ObjectStore

_NOT_FIELDS = {
    "children",
    "batches",
    "bitmaps",
    "dictionaries",
    "sha256",
}  # how content is cut, or what follows from it

Range = tuple[int, int]  # start, stop


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of the header that differs (``shape``, ``attrs.energy_eV``, ``columns.x.type``); None: there is none."""

    name: str
    before: Json
    after: Json


@dataclass(frozen=True, slots=True)
class RowChange:
    """Rows that came in the place of others; one of the ranges is empty where rows were only inserted or deleted.

    Everything outside is equal. A leaf holds several short rows, so some of those inside may be equal, too.
    """

    before: Range
    after: Range


@dataclass(frozen=True, slots=True)
class ContentChange:
    """How the content of two objects differs.

    Attributes:
        leaves: how many the second object has.
        leaves_new: leaves of the second object that the first lacks.
        nbytes_new: bytes in them.
        leaves_gone, nbytes_gone: what the first object has and the second lacks.
        rows: of arrays whose rows have one type and shape, where; None otherwise.
        tensors: of weights, those that both have and that differ.
    """

    leaves: int
    leaves_new: int
    nbytes_new: int
    leaves_gone: int
    nbytes_gone: int
    rows: tuple[RowChange, ...] | None = None
    tensors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        path: the names of the children that lead there, joined by ``/``; empty for the values themselves.
        before, after: the addresses; None where something was added or removed.
        fields: what differs in the headers.
        content: how the content differs; None for trees, and for what was added or removed.
    """

    path: str
    before: str | None
    after: str | None
    fields: tuple[FieldChange, ...] = ()
    content: ContentChange | None = None


@dataclass(frozen=True, slots=True)
class Diff:
    """Everything that differs between two values; ``same`` counts the children that do not."""

    before: str
    after: str
    changes: tuple[Change, ...]
    same: int

    @property
    def equal(self) -> bool:
        return self.before == self.after


def diff(objects: ObjectStore, before: str, after: str) -> Diff:
    """Compare two values. No content is read.

    Raises:
        NotFound, Damaged: a record is not there, or not what was written.
    """
    changes = list(_changes(objects, "", before, after))
    return Diff(before, after, tuple(change for change in changes if change), changes.count(None))


def _changes(objects: ObjectStore, path: str, before: str, after: str) -> Iterator[Change | None]:
    """Yield what differs, and None for each child that does not."""
    if before == after:
        if path:
            yield None
        return
    old, new = objects.record(before), objects.record(after)
    fields = tuple(_field_changes(_fields(old.header), _fields(new.header)))
    if not old.kind == new.kind == "tree":
        yield Change(path, before, after, fields, _content_change(old, new))
        return
    if fields:
        yield Change(path, before, after, fields)
    for name in sorted(old.children.keys() | new.children.keys()):
        one, other = old.children.get(name), new.children.get(name)
        below = f"{path}/{name}" if path else name
        if one and other:
            yield from _changes(objects, below, one, other)
        else:
            yield Change(below, one, other)


def _fields(header: Mapping[str, Any], prefix: str = "") -> dict[str, Json]:
    """Return the header as dotted name -> value, columns by name."""
    found: dict[str, Json] = {}
    for name, value in header.items():
        if not prefix and name in _NOT_FIELDS:
            continue
        if not prefix and name == "columns":
            columns = {column["name"]: {k: v for k, v in column.items() if k != "name"} for column in value}
            found |= _fields(columns, "columns.")
        elif isinstance(value, dict) and value:
            found |= _fields(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _field_changes(before: Mapping[str, Json], after: Mapping[str, Json]) -> Iterator[FieldChange]:
    for name in sorted(before.keys() | after.keys()):
        change = FieldChange(name, before.get(name), after.get(name))
        if canonical.exact(change.before) != canonical.exact(change.after):
            yield change


def _content_change(old: Record, new: Record) -> ContentChange:
    one, other = _ids(old), _ids(new)
    old_ids, new_ids = set(one), set(other)
    gone = np.array([leaf not in new_ids for leaf in one], bool)
    came = np.array([leaf not in old_ids for leaf in other], bool)
    return ContentChange(
        leaves=len(other),
        leaves_new=int(came.sum()),
        nbytes_new=int(new.table.all.sizes[came].sum()),
        leaves_gone=int(gone.sum()),
        nbytes_gone=int(old.table.all.sizes[gone].sum()),
        rows=_row_changes(old, new, one, other),
        tensors=_tensors_that_differ(old, new) if old.kind == new.kind == "weights" else (),
    )


def _ids(record: Record) -> list[bytes]:
    ids = record.table.ids
    return [ids[at : at + LEAF_ID_NBYTES] for at in range(0, len(ids), LEAF_ID_NBYTES)]


def _row_changes(old: Record, new: Record, one: list[bytes], other: list[bytes]) -> tuple[RowChange, ...] | None:
    shapes: list[Any] = [record.header.get("shape") for record in (old, new)]
    same_rows = old.header.get("dtype") == new.header.get("dtype") and all(shapes) and shapes[0][1:] == shapes[1][1:]
    if not (old.kind == new.kind == "array" and same_rows and old.nbytes and new.nbytes):
        return None
    row_nbytes = new.nbytes // shapes[1][0]
    ends = [np.concatenate([[0], np.cumsum(record.table.all.sizes)]) for record in (old, new)]

    def rows(side: int, start: int, stop: int) -> Range:
        return int(ends[side][start]) // row_nbytes, -(-int(ends[side][stop]) // row_nbytes)

    found: list[RowChange] = []
    for (i, j), (k, m) in differing_ranges(one, other):
        change = RowChange(rows(0, i, j), rows(1, k, m))
        if found and found[-1].after[1] > change.after[0]:  # several leaves of one row
            last = found.pop()
            change = RowChange((last.before[0], change.before[1]), (last.after[0], change.after[1]))
        found.append(change)
    return tuple(found)


def differing_ranges(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[tuple[Range, Range]]:
    """Return what differs between two sequences: where each first range of ``one`` was, is the second of ``other``.

    Equal ends are cut off; in between, what occurs once on either side, and in the same order, is held for the same,
    and what lies between that is compared in turn. Source: patience diff, B. Cohen.
    """
    found = []
    stack = [((0, len(one)), (0, len(other)))]
    while stack:
        (i, j), (k, m) = stack.pop()
        while i < j and k < m and one[i] == other[k]:
            i, k = i + 1, k + 1
        while i < j and k < m and one[j - 1] == other[m - 1]:
            j, m = j - 1, m - 1
        if i == j and k == m:
            continue
        anchors = [(i + a, k + b) for a, b in _anchors(one[i:j], other[k:m])]
        if anchors:
            starts = [(i, k), *((a + 1, b + 1) for a, b in anchors)]
            stack += [((a, c), (b, d)) for (a, b), (c, d) in zip(starts, [*anchors, (j, m)], strict=True)]
        else:
            found.append(((i, j), (k, m)))
    return sorted(found)


def _anchors(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the places of what occurs once on either side: the longest choice that is in the same order on both.

    Source: the longest increasing subsequence, M. Fredman, Discrete Mathematics 11 (1975).
    """
    once = {leaf: place for place, leaf in _once(other)}
    pairs = [(place, once[leaf]) for place, leaf in _once(one) if leaf in once]
    lasts: list[int] = []  # the smallest place in ``other`` at which a choice of each length can end
    ends: list[int] = []  # which pair that is
    before: list[int | None] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(lasts, place)
        before.append(ends[length - 1] if length else None)
        lasts[length : length + 1], ends[length : length + 1] = [place], [number]
    chosen = []
    at = ends[-1] if ends else None
    while at is not None:
        chosen.append(pairs[at])
        at = before[at]
    return chosen[::-1]


def _once(leaves: Sequence[Hashable]) -> Iterator[tuple[int, Hashable]]:
    counts = Counter(leaves)
    return ((place, leaf) for place, leaf in enumerate(leaves) if counts[leaf] == 1)


def _tensors_that_differ(old: Record, new: Record) -> tuple[str, ...]:
    one, other = _tensors(old), _tensors(new)
    return tuple(name for name in sorted(one.keys() & other.keys()) if one[name] != other[name])


def _tensors(record: Record) -> dict[str, bytes]:
    """Return the leaf ids of each tensor; they lie in order of item size, largest first, then name."""
    described: Any = record.header["tensors"]
    order = sorted(described, key=lambda name: (-_itemsize(described[name]["dtype"]), name))
    ends = np.cumsum(record.table.all.sizes)
    starts = np.cumsum([0, *(nbytes for _, nbytes in record.buffers)])
    places = (np.searchsorted(ends, starts, "right") * LEAF_ID_NBYTES).tolist()
    return {name: record.table.ids[a:b] for name, (a, b) in zip(order, pairwise(places), strict=True)}


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize  # which numpy does not know
