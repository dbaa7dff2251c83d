"""A table or a row in any of the forms people have it, as an Arrow table whose columns can be written as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smalti.contracts.tables.columns import family_of, plain_type
from smalti.errors import Refused

if TYPE_CHECKING:
    import pandas as pd

TableLike: TypeAlias = "pd.DataFrame | pa.Table | Mapping[str, Any]"
RowLike: TypeAlias = "pd.Series[Any] | Mapping[str, Any]"

# What the values of a column are to someone who writes them, by the family of its Arrow type.
_KINDS = {
    "integer": "number",
    "number": "number",
    "text": "text",
    "flag": "boolean",
    "time": "date",
    "nothing": "nothing",
}


def table_of(data: TableLike) -> pa.Table:
    """Return the table with each name once, text as large_string, no dictionaries, and NaN as missing.

    Args:
        data: a pandas DataFrame, a pyarrow Table, or a dict of columns, which are lists or one-dimensional arrays.

    Raises:
        Refused: it is none of these, a column mixes types or holds what has no text, or a name occurs twice.
    """
    if isinstance(data, pa.Table | pa.RecordBatch):
        return _checked(data.column_names, data.columns)
    if isinstance(data, Mapping):
        return _checked(data, [_column(name, values) for name, values in data.items()])
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return _checked(data.columns, [_column(name, data.iloc[:, at]) for at, name in enumerate(data.columns)])
    raise Refused(
        f"a table was wanted and {type(data).__name__} was given; give a pandas DataFrame, a pyarrow Table, "
        "or a dict of columns"
    )


def row_of(row: RowLike) -> pa.Table:
    """Return a row, a pandas Series or a dict of values, as a table of one row as ``table_of`` makes it.

    Raises:
        Refused: it is neither, a value has no text, or a name occurs twice.
    """
    if isinstance(row, pa.Table) or not (isinstance(row, Mapping) or hasattr(row, "iloc")) or hasattr(row, "columns"):
        raise Refused(f"a row was wanted and {type(row).__name__} was given; give a pandas Series or a dict of values")
    pairs = list(row.items())
    return _checked([name for name, _ in pairs], [_column(name, [value]) for name, value in pairs])


@lru_cache(maxsize=256)
def kind_of(type_: pa.DataType) -> str:
    """Return ``number``, ``text``, ``boolean``, ``date``, ``duration``, ``nothing``, or for what has no text ``other``.

    Dates are days, times of day and moments.
    """
    if pa.types.is_duration(plain_type(type_)):
        return "duration"
    return _KINDS.get(family_of(type_), "other")


def require_text(table: pa.Table, names: Iterable[str]) -> None:
    """Raise Refused if one of the columns holds what has no text, as lists."""
    for name in names:
        kind = table.schema.field(name).type
        if kind_of(kind) == "other":
            raise Refused(
                f"column {name!r} holds values of type {kind}, which have no one text; leave the column out, "
                "or make it numbers, text, dates or truth values"
            )


def _column(name: object, values: Any) -> pa.Array:
    import pandas as pd

    if isinstance(values, str | bytes | Mapping) or not (hasattr(values, "__len__") and hasattr(values, "__getitem__")):
        raise Refused(f"column {name!r} is {type(values).__name__}; give a list or an array of values")
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    try:
        if isinstance(values, list | tuple) and any(isinstance(value, np.datetime64) for value in values):
            values = pd.Series(values)  # Arrow takes these only in arrays
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        types = sorted({type(value).__name__ for value in list(values)[:10_000]})
        raise Refused(
            f"column {name!r} cannot be written as text: its values are {', '.join(types)} ({error}); "
            "make them all numbers, text, dates or truth values"
        ) from error


def _checked(names: Iterable[object], columns: Iterable[pa.Array]) -> pa.Table:
    words = [str(name) for name in names]
    repeated = sorted({name for name in words if words.count(name) > 1}) if len(set(words)) < len(words) else []
    if repeated:
        raise Refused(f"the table has several columns named {repeated[0]!r}; give each column a name of its own")
    columns = [_plain(column) for column in columns]
    lengths = {name: len(column) for name, column in zip(words, columns, strict=True)}
    if len(set(lengths.values())) > 1:
        raise Refused(f"the columns are not of one length: {', '.join(f'{n} {rows}' for n, rows in lengths.items())}")
    return pa.table(dict(zip(words, columns, strict=True)))


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    plain = plain_type(column.type)
    if family_of(plain) == "text":
        return column.cast(plain).cast(pa.large_string())
    if plain != column.type:
        column = column.cast(plain)
    if pa.types.is_floating(plain):
        wide = column.cast(pa.float64())
        return pc.if_else(pc.is_nan(wide), pa.scalar(None, pa.float64()), wide)
    return column
