"""Which rows of two tables correspond: by a key, or, where there is none, by content and place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.compare.columns import Table, in_common_type, pairs
from smalti.errors import NotFound, Refused
from smalti.store.maintenance.diff import differing_ranges

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


_INDEX = "__index_level_"
_ID_NAMES = ("id", "key", "uuid", "guid")
_MOST_ALIGNED = 2_000_000  # rows of both: some seconds


@dataclass(frozen=True, eq=False, slots=True)
class Matching:
    """Rows that correspond, and those that have no counterpart.

    Attributes:
        pairs: (2, P) int64, numbers of rows before and after, in the order of the rows after.
        removed, added: numbers of rows without a counterpart.
        key: the columns that decide; empty where there is no key.
        how: the same in words.
        moved: rows that are among ``removed`` and ``added`` with equal content, or stand in another order by key.
    """

    pairs: NDArray[np.int64]
    removed: NDArray[np.int64]
    added: NDArray[np.int64]
    key: tuple[str, ...]
    how: str
    moved: int = 0


def match_rows(before: Table, after: Table, key: Sequence[str] = ()) -> Matching:
    """Match the rows of two tables.

    Args:
        key: columns that together say which row is which; where none is given, one is looked for: the index of a
            DataFrame that is not a plain range, else a column that is called id, key or the like, without repeated or
            missing values in either table, of which at least half of the fewer rows occur in both.

    Raises:
        NotFound: a column of the key is not in both tables.
        Refused: its types cannot be held against each other.
    """
    if key:
        frames = _key_frames(before, after, key)
        return _by_key(*frames, tuple(key), "as given")
    for columns in _candidates(before, after):
        try:
            frames = _key_frames(before, after, columns)
        except Refused:
            continue
        if any(frame.duplicated().any() or frame.isna().any(axis=None) for frame in frames):
            continue
        found = _by_key(*frames, tuple(columns), "no value repeats")
        if 2 * found.pairs.shape[1] >= min(before.num_rows, after.num_rows):
            return found
    return _by_content(before, after)


def _candidates(before: Table, after: Table) -> list[list[str]]:
    theirs = set(after.schema.names)
    shared = [name for name in before.schema.names if name in theirs]
    index = [name for name in shared if name.startswith(_INDEX)]
    named = [name for name in shared if _is_id(name) and _may_be_key(before.schema.field(name).type)]
    return [*([index] if index else []), *([name] for name in named)]


def _is_id(name: str) -> bool:
    """Tell whether a name says that a column identifies rows: ``id``, ``user_id``, ``PassengerId``, ``PassengerID``."""
    low = name.lower()
    if low in _ID_NAMES:
        return True
    return name.endswith(("Id", "ID", "Key", "UUID")) or low.endswith(tuple(f"_{word}" for word in _ID_NAMES))


def _may_be_key(dtype: pa.DataType) -> bool:
    import pyarrow as pa

    value = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
    return bool(pa.types.is_integer(value) or pa.types.is_string(value) or pa.types.is_large_string(value))


def _key_frames(before: Table, after: Table, key: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the columns of the key of both tables in types that can be held against each other."""
    import pandas as pd

    from smalti.codecs.arrow.whole_numbers import column_of

    columns: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    for name in key:
        for table, which in ((before, "before"), (after, "after")):
            if name not in table.schema.names:
                raise NotFound(f"the table {which} has no column {name!r}; it has {', '.join(table.schema.names)}.")
        pair = in_common_type(before.column(name), after.column(name))
        if pair is None:
            types = before.schema.field(name).type, after.schema.field(name).type
            raise Refused(
                f"the column {name!r} is {types[0]} before and {types[1]} after, so it cannot say which rows "
                "correspond; name another key."
            )
        for found, column in zip(columns, pair, strict=True):
            found[name] = column_of(column)
    return pd.DataFrame(columns[0]), pd.DataFrame(columns[1])


def _by_key(before: pd.DataFrame, after: pd.DataFrame, key: tuple[str, ...], why: str) -> Matching:
    """Match rows of equal keys; where a key repeats, its first with its first, and so on."""
    import pandas as pd

    both = pd.concat([before, after], ignore_index=True)
    codes = both.groupby(list(key), dropna=False, sort=False).ngroup().to_numpy()
    one, other = codes[: len(before)], codes[len(before) :]
    numbers = [pd.Series(side).groupby(side).cumcount().to_numpy() for side in (one, other)]
    repeated = max((int(number.max(initial=0)) for number in numbers), default=0)
    wide = repeated + 1
    places = pd.Index(one * wide + numbers[0]).get_indexer(pd.Index(other * wide + numbers[1]))
    found = np.flatnonzero(places >= 0)
    matched = np.stack([places[found], found]).astype(np.int64)
    if repeated:
        why = "some values repeat: their first rows were matched, then their second, and so on"
    rest = np.ones(len(before), bool)
    rest[matched[0]] = False
    names = " and ".join("the index" if name.startswith(_INDEX) else name for name in key)
    moved = _out_of_order(matched[0])
    return Matching(
        matched, np.flatnonzero(rest), np.flatnonzero(places < 0), key, f"rows were matched by {names} ({why})", moved
    )


def _out_of_order(places: NDArray[np.int64]) -> int:
    """Return how many rows must be moved to bring the others into order."""
    from bisect import bisect_left

    if not len(places) or (np.diff(places) > 0).all():
        return 0
    ends: list[int] = []  # the smallest last place of an ascending choice of each length
    for place in places.tolist():
        at = bisect_left(ends, place)
        ends[at : at + 1] = [place]
    return len(places) - len(ends)


def _by_content(before: Table, after: Table) -> Matching:
    """Match equal rows in order; what lies between, where there are as many, by place; else not at all."""
    digests = _row_digests(before, after)
    if digests is None:
        count = min(before.num_rows, after.num_rows)
        same = np.arange(count)
        how = "rows were matched by place: the tables have no key, and are too large or hold lists"
        rest = np.arange(count, before.num_rows), np.arange(count, after.num_rows)
        return Matching(np.stack([same, same]), *rest, (), how)
    matches: list[NDArray[np.int64]] = []
    removed: list[NDArray[np.int64]] = []
    added: list[NDArray[np.int64]] = []
    at = 0, 0
    blocks = [*differing_ranges(*digests), ((before.num_rows, before.num_rows), (after.num_rows, after.num_rows))]
    for (i, j), (k, m) in blocks:
        matches.append(np.stack([np.arange(at[0], i), np.arange(at[1], k)]))
        if j - i == m - k:
            matches.append(np.stack([np.arange(i, j), np.arange(k, m)]))
        else:
            removed.append(np.arange(i, j))
            added.append(np.arange(k, m))
        at = j, m
    matched = np.concatenate(matches, axis=1)
    gone, came = (np.concatenate(some) if some else np.zeros(0, np.int64) for some in (removed, added))
    one, other = np.array(digests[0], np.uint64), np.array(digests[1], np.uint64)
    differing = one[matched[0]] != other[matched[1]]
    rest = np.concatenate([gone, matched[0][differing]]), np.concatenate([came, matched[1][differing]])
    moved = _moved(one, other, rest)
    if moved is not None:
        again, rest = moved
        matched = np.concatenate([matched[:, ~differing], again], axis=1)
        matched = matched[:, np.argsort(matched[1], kind="stable")]
        return Matching(matched, *rest, (), _HOW, again.shape[1])
    return Matching(matched, gone, came, (), _HOW)


_HOW = "rows were matched by content and place: the tables have no key"


def _moved(
    one: NDArray[np.uint64], other: NDArray[np.uint64], rest: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> tuple[NDArray[np.int64], tuple[NDArray[np.int64], NDArray[np.int64]]] | None:
    """Return rows that stand elsewhere as they were, as pairs, and what is left; None where few do."""
    left = Counter(one[rest[0]].tolist())
    shared = sum((left & Counter(other[rest[1]].tolist())).values())
    if 2 * shared < min(map(len, rest)) or not shared:
        return None
    where: dict[int, list[int]] = {}
    for row in rest[0].tolist()[::-1]:
        where.setdefault(int(one[row]), []).append(row)
    again, came = [], []
    for row in rest[1].tolist():
        before = where.get(int(other[row]))
        if before:
            again.append((before.pop(), row))
        else:
            came.append(row)
    gone = np.sort(np.array([row for rows in where.values() for row in rows], np.int64))
    return np.array(again, np.int64).T, (gone, np.array(came, np.int64))


def _row_digests(before: Table, after: Table) -> tuple[list[int], list[int]] | None:
    """Return a number for the content of each row in the columns that both have; None where that cannot be told."""
    import pandas as pd

    if before.num_rows + after.num_rows > _MOST_ALIGNED:
        return None
    sums = np.zeros(before.num_rows, np.uint64), np.zeros(after.num_rows, np.uint64)
    for _, *both in pairs(before, after):
        pair = in_common_type(*both)
        if pair is None:
            continue
        try:
            hashed = [pd.util.hash_array(_hashable(column), categorize=True) for column in pair]
        except TypeError:  # lists and structures
            return None
        for side, more in enumerate(hashed):  # multiplied, so that the order of the columns counts
            sums[side][:] = sums[side] * np.uint64(0x9E3779B97F4A7C15) + more
    return sums[0].tolist(), sums[1].tolist()


def _hashable(column: pa.ChunkedArray) -> NDArray[Any]:
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int64() if column.type.bit_width == 64 else pa.int32())
    if column.null_count and not pa.types.is_floating(column.type):
        return np.array(column.to_pylist(), object)
    values = column.to_numpy()
    return np.asarray(values + 0.0 if values.dtype.kind == "f" else values)  # the sign of zero is no difference
