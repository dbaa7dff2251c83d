"""How two tables differ: columns, rows by key, and the cells that changed. Columns are read one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.compare.columns import Table, cell_text, cells_that_differ, distances, in_common_type, pairs
from smalti.compare.differences import CellChange, ColumnDifference, DocumentDifference, TableDifference
from smalti.compare.documents import compare_documents
from smalti.compare.rows import Matching, match_rows

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_NAMED = 20
_MOST_CELLS = 200
_CELLS_OF_ONE_COLUMN = 50


def compare_tables(
    before: Table, after: Table, key: Sequence[str] = (), about: tuple[Json, Json] = (None, None)
) -> TableDifference:
    """Compare two tables.

    Args:
        key: see :func:`smalti.compare.rows.match_rows`, which says what is raised as well.
        about: what is known of either beside columns and rows, as JSON.
    """
    ones, others = ({field.name: field.type for field in table.schema} for table in (before, after))
    shared = [name for name in ones if name in others]
    matching = match_rows(before, after, key)
    columns: list[ColumnDifference] = []
    cells: list[tuple[int, CellChange]] = []
    changed = np.zeros(matching.pairs.shape[1], bool)
    total = 0
    names = _RowNames(before, after, matching)
    for name, *both in pairs(before, after):
        types = str(ones[name]), str(others[name])
        pair = in_common_type(*both)
        if pair is None:
            columns.append(ColumnDifference(name, types, None))
            continue
        one, other = (column.take(_indices(rows)) for column, rows in zip(pair, matching.pairs, strict=True))
        differ = cells_that_differ(one, other)
        count = int(np.count_nonzero(differ))
        if not count and types[0] == types[1]:
            continue
        places = np.flatnonzero(differ)
        apart = distances(one.take(_indices(places)), other.take(_indices(places)))
        columns.append(
            ColumnDifference(
                name,
                types,
                count,
                float(apart.max()) if len(apart) else None,
                float(apart.mean()) if len(apart) else None,
            )
        )
        changed |= differ
        total += count
        for place in places[: min(_CELLS_OF_ONE_COLUMN, _MOST_CELLS - len(cells))].tolist():
            values = cell_text(one[place].as_py()), cell_text(other[place].as_py())
            cells.append((place, CellChange(names.pair(place), name, *values)))
    return TableDifference(
        rows=(before.num_rows, after.num_rows),
        key=matching.key,
        matching=matching.how,
        columns_added=tuple((name, str(dtype)) for name, dtype in others.items() if name not in ones),
        columns_removed=tuple((name, str(dtype)) for name, dtype in ones.items() if name not in others),
        columns_moved=shared != [name for name in others if name in ones],
        columns=tuple(columns),
        rows_added=len(matching.added),
        rows_removed=len(matching.removed),
        rows_changed=int(np.count_nonzero(changed)),
        rows_moved=matching.moved,
        added=names.after(matching.added[:_MOST_NAMED]),
        removed=names.before(matching.removed[:_MOST_NAMED]),
        cells=tuple(change for _, change in sorted(cells, key=lambda cell: cell[0])),
        cells_changed=total,
        about=_about_difference(*about),
    )


def about_table(header: Mapping[str, Json]) -> Json:
    """Return what a stored table's header says beside columns and rows, in the words of pandas."""
    pandas = header.get("pandas")
    found: dict[str, Json] = {}
    if isinstance(pandas, dict):
        index, labels = pandas["index"], pandas["columns"]
        if isinstance(index, dict) and ("range" not in index or index["range"][0] or index["range"][2] != 1):  # type: ignore[index]
            found["index"] = index
        if isinstance(labels, dict):  # the labels themselves are the columns
            found["labels"] = {name: item for name, item in labels.items() if name not in ("levels", "range")}
        found["attrs"] = pandas["attrs"]
    if header.get("metadata"):
        found["metadata"] = header["metadata"]
    return found


def _about_difference(before: Json, after: Json) -> DocumentDifference:
    return compare_documents(before or {}, after or {})


class _RowNames:
    """What rows are called: the values of their key, or else their number."""

    def __init__(self, before: Table, after: Table, matching: Matching) -> None:
        self._matching = matching
        self._keys = [[table.column(name) for name in matching.key] for table in (before, after)]

    def before(self, rows: NDArray[np.int64]) -> tuple[str, ...]:
        return tuple(self._name(0, row) for row in rows.tolist())

    def after(self, rows: NDArray[np.int64]) -> tuple[str, ...]:
        return tuple(self._name(1, row) for row in rows.tolist())

    def pair(self, place: int) -> str:
        before, after = self._matching.pairs[:, place].tolist()
        if self._matching.key or before == after:
            return self._name(1, after)
        return f"{before} -> {after}"

    def _name(self, side: int, row: int) -> str:
        columns = self._keys[side]
        return ", ".join(_plain_text(column[row].as_py()) for column in columns) if columns else str(row)


def _plain_text(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() and len(value) <= 100 else cell_text(value)


def _indices(rows: NDArray[np.int64]) -> pa.Array:
    import pyarrow as pa

    return pa.array(rows, pa.int64())
