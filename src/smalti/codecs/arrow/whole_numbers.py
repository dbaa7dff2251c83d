"""Whole numbers of Arrow in pandas, whose own types have no missing ones: a float where it is exact, else nullable."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_FIRST_INEXACT = 2**53  # of float64
_NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return a table as ``table.to_pandas()`` does, but for columns of which that would round numbers: these are
    ``Int64`` or ``UInt64``.
    """
    frame: pd.DataFrame = table.to_pandas()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in frame.columns and would_round(column):
            exact = column.to_pandas(types_mapper=_NULLABLE.get)
            frame[name] = pd.Series(exact.array, frame.index)
    return frame


def would_round(column: pa.ChunkedArray) -> bool:
    """Tell whether pandas makes floats of these whole numbers that are not equal to them."""
    if column.type not in _NULLABLE or not column.null_count:
        return False
    ends = pc.min_max(column).as_py()
    return ends["min"] is not None and max(-ends["min"], ends["max"]) > _FIRST_INEXACT


def column_of(column: pa.ChunkedArray) -> pd.Series:
    """Return whole numbers that may be missing as ``Int64`` or ``UInt64``, others as pandas does."""
    values: pd.Series = column.to_pandas(types_mapper=_NULLABLE.get)
    return values
