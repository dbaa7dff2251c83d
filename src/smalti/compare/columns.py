"""Two columns of tables held against each other: which cells differ, and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_CHARACTERS = 200
_CELLS_AT_ONCE = 4_000_000


class Table(Protocol):
    """A table as it is compared: a ``LazyTable``, or a pyarrow Table."""

    @property
    def schema(self) -> pa.Schema: ...
    @property
    def num_rows(self) -> int: ...
    def column(self, name: str) -> pa.ChunkedArray: ...


def pairs(before: Table, after: Table) -> Iterator[tuple[str, pa.ChunkedArray, pa.ChunkedArray]]:
    """Yield name and columns of every column that both tables have, in the order of the first, some read at once."""
    theirs = set(after.schema.names)
    names = [name for name in before.schema.names if name in theirs]
    at_once = max(1, _CELLS_AT_ONCE // max(1, before.num_rows, after.num_rows))
    for start in range(0, len(names), at_once):
        some = names[start : start + at_once]
        yield from zip(some, *(_columns(table, some) for table in (before, after)), strict=True)


def _columns(table: Table, names: list[str]) -> list[pa.ChunkedArray]:
    from smalti.codecs.table import LazyTable

    if isinstance(table, LazyTable):  # where its columns lie is worked out once for all that are asked for
        return list(table.to_arrow(names).columns)
    return [table.column(name) for name in names]


def in_common_type(before: pa.ChunkedArray, after: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray] | None:
    """Return two columns in a type that holds the values of both; None where there is none.

    Categories become their values, times with zones their instants in UTC.
    """
    import pyarrow as pa

    one, other = (_plain(column) for column in (before, after))
    if one.type == other.type:
        return one, other
    common = _common(one.type, other.type)
    if common is None:
        return None
    try:
        return one.cast(common), other.cast(common)
    except (
        pa.ArrowInvalid,
        pa.ArrowNotImplementedError,
    ):  # a value does not fit, such as a time that nanoseconds do not reach
        return None


def cells_that_differ(before: pa.ChunkedArray, after: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return for two columns of one type and length which cells differ; missing equals missing, NaN equals NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = [np.asarray(column.is_null()) for column in (before, after)]
    try:
        unequal = np.asarray(pc.fill_null(pc.not_equal(before, after), False))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists and structures
        unequal = np.array([a != b for a, b in zip(before.to_pylist(), after.to_pylist(), strict=True)], bool)
    if pa.types.is_floating(before.type):
        nan = [np.asarray(pc.fill_null(pc.is_nan(column), False)) for column in (before, after)]
        unequal &= ~(nan[0] & nan[1])
    return np.asarray((unequal & ~missing[0] & ~missing[1]) | (missing[0] != missing[1]), np.bool_)


def distances(before: pa.ChunkedArray, after: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return the absolute differences of two columns of numbers, where both are finite; of other columns none."""
    import pyarrow as pa

    if not (pa.types.is_integer(before.type) or pa.types.is_floating(before.type)):
        return np.zeros(0)
    one, other = (column.cast(pa.float64(), safe=False).to_numpy() for column in (before, after))
    with np.errstate(all="ignore"):
        apart = np.abs(other - one)
    return np.asarray(apart[np.isfinite(apart)], np.float64)


def cell_text(value: Any) -> str:
    """Return a cell as a person reads it: text in quotes, what is missing as such, long ones cut.

    >>> cell_text("a"), cell_text(None), cell_text(0.1), cell_text(float("nan"))
    ("'a'", 'missing', '0.1', 'NaN')
    """
    if value is None:
        return "missing"
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value)
    if isinstance(value, str):
        value = value if len(value) <= _MOST_CHARACTERS else f"{value[:_MOST_CHARACTERS]}…"
        return repr(value)
    text = str(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    import pyarrow as pa

    types = pa.types
    both = one, other

    def all_are(*tests: Any) -> bool:
        return all(any(test(dtype) for test in tests) for dtype in both)

    wide = types.is_uint64(one) or types.is_uint64(other)
    chosen: pa.DataType | None = None
    if all_are(types.is_integer):
        chosen = pa.decimal128(20) if wide else pa.int64()
    elif all_are(types.is_integer, types.is_floating):
        chosen = pa.float64()
    elif all_are(types.is_string, types.is_large_string):
        chosen = pa.large_string()
    elif all_are(types.is_binary, types.is_large_binary, types.is_fixed_size_binary):
        chosen = pa.large_binary()
    elif all_are(types.is_timestamp) and (one.tz is None) == (other.tz is None):
        units = ["s", "ms", "us", "ns"]
        chosen = pa.timestamp(max((one.unit, other.unit), key=units.index), one.tz and "UTC")
    elif all_are(types.is_date):
        chosen = pa.date64()
    elif any(types.is_null(dtype) for dtype in both):
        chosen = other if types.is_null(one) else one
    return chosen
