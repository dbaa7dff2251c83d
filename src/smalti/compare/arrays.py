"""How two arrays differ: which rows, how many elements, by how much. Read a piece at a time, and only where needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from smalti.compare.differences import ArrayDifference
from smalti.compare.elements import PIECE_NBYTES, Elements, row_count, row_size, rows_digests
from smalti.compare.numbers import ElementTotals, comparable
from smalti.store.maintenance.diff import Range, RowChange, differing_ranges

_MOST_ROWS_ALIGNED = 200_000
_MOST_NBYTES_ALIGNED = 256 << 20
_MOST_RANGES = 100


def compare_arrays(before: Elements, after: Elements, rows: Sequence[RowChange] | None = None) -> ArrayDifference:
    """Compare two arrays.

    Rows that both have in the same order are taken for the same, whatever was inserted or deleted between them, up to
    200,000 rows and 256 MiB at a time. Otherwise, where there are as many before and after and most are not found
    again, and for rows that differ, the same place is compared.

    Args:
        rows: where they differ, if that is known; everything else is taken for equal and not read.
    """
    dtypes, shapes = (before.spelled, after.spelled), (before.shape, after.shape)
    if not comparable(before.dtype, after.dtype):
        return ArrayDifference(dtypes, shapes, note="elements of these types cannot be compared")
    if before.shape[1:] != after.shape[1:] or len(before.shape) != len(after.shape):
        if math.prod(before.shape) != math.prod(after.shape):
            return ArrayDifference(dtypes, shapes, note="rows of different shapes; no elements were compared")
        totals = ElementTotals(before.dtype, after.dtype)
        size = math.prod(before.shape)
        for _ in _compared(before, after, totals, 0, 0, size):
            pass
        note = "the elements were compared in order, whatever the shape"
        return ArrayDifference(dtypes, shapes, elements=totals.total(*shapes), note=note)
    if rows is None:
        rows = [RowChange((0, row_count(before.shape)), (0, row_count(after.shape)))]
    totals = ElementTotals(before.dtype, after.dtype)
    found = _Ranges()
    for change in rows:
        for (i, j), (k, m) in _aligned(before, after, change):
            if j - i == m - k:
                for row in _changed_rows(before, after, totals, i, k, j - i):
                    found.add((i + row, i + row + 1), (k + row, k + row + 1))
            else:
                found.add((i, j), (k, m))
    elements = totals.total(*shapes)
    return ArrayDifference(
        dtypes,
        shapes,
        rows=tuple(RowChange(*pair) for pair in found.first),
        ranges=found.count,
        rows_changed=found.changed,
        rows_inserted=found.inserted,
        rows_deleted=found.deleted,
        elements=elements if elements.compared else None,
    )


class _Ranges:
    """Ranges of rows that differ: the first hundred, how many there are, and how many rows lie in them."""

    def __init__(self) -> None:
        self.first: list[tuple[Range, Range]] = []
        self.count = self.changed = self.inserted = self.deleted = 0
        self._last: tuple[Range, Range] | None = None

    def add(self, before: Range, after: Range) -> None:
        lengths = before[1] - before[0], after[1] - after[0]
        if lengths[0] == lengths[1]:
            self.changed += lengths[0]
        else:
            self.deleted += lengths[0]
            self.inserted += lengths[1]
        last = self._last
        same_kind = last is not None and lengths[0] == lengths[1] and last[0][1] - last[0][0] == last[1][1] - last[1][0]
        if last is not None and same_kind and (last[0][1], last[1][1]) == (before[0], after[0]):
            joined = (last[0][0], before[1]), (last[1][0], after[1])
            if self.count <= _MOST_RANGES:
                self.first[-1] = joined
            self._last = joined
            return
        self.count += 1
        self._last = before, after
        if self.count <= _MOST_RANGES:
            self.first.append((before, after))


def _aligned(before: Elements, after: Elements, change: RowChange) -> Iterator[tuple[Range, Range]]:
    """Yield what differs between two ranges of rows: rows that both have, in order, lie between."""
    (i, j), (k, m) = change.before, change.after
    if i == j or k == m:
        yield (i, j), (k, m)
        return
    many = j - i + m - k
    nbytes = many * row_size(before.shape) * before.dtype.itemsize
    if before.dtype == after.dtype and many <= _MOST_ROWS_ALIGNED and nbytes <= _MOST_NBYTES_ALIGNED and many > 2:
        one, other = rows_digests(before, i, j), rows_digests(after, k, m)
        blocks = differing_ranges(one, other)
        if len(one) == len(other) and not _shows_more(blocks, one, other):
            blocks = [((0, len(one)), (0, len(other)))]
        yield from (((i + a, i + b), (k + c, k + d)) for (a, b), (c, d) in blocks)
        return
    both = min(j - i, m - k)
    yield (i, i + both), (k, k + both)
    if j - i != m - k:
        yield (i + both, j), (k + both, m)


def _shows_more(blocks: Sequence[tuple[Range, Range]], one: Sequence[bytes], other: Sequence[bytes]) -> bool:
    """Tell whether most rows of two ranges of one length are equal when aligned, and more than in the same place."""
    aligned = len(one) - sum(stop - start for (start, stop), _ in blocks)
    return 2 * aligned > len(one) and aligned > sum(a == b for a, b in zip(one, other, strict=True))


def _changed_rows(
    before: Elements, after: Elements, totals: ElementTotals, i: int, k: int, count: int
) -> Iterator[int]:
    """Yield which of ``count`` rows from ``i`` and ``k`` on differ in value, in order."""
    size = row_size(before.shape)
    last = -1
    for start, differs in _compared(before, after, totals, i * size, k * size, count * size):
        for row in np.unique((np.flatnonzero(differs) + start) // max(1, size)).tolist():
            if row != last:
                yield row
            last = row


def _compared(
    before: Elements, after: Elements, totals: ElementTotals, start: int, other: int, count: int
) -> Iterator[tuple[int, np.ndarray[tuple[int], np.dtype[np.bool_]]]]:
    """Compare ``count`` elements from ``start`` and ``other`` on; yield for each piece its start and which differ."""
    at_once = max(1, PIECE_NBYTES // max(1, before.dtype.itemsize, after.dtype.itemsize))
    for at in range(0, count, at_once):
        stop = min(count, at + at_once)
        one, two = before.read(start + at, start + stop), after.read(other + at, other + stop)
        yield at, totals.add(one, two, start + at, other + at)
