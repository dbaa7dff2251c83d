"""Tables: a Parquet file as pandas or pyarrow wrote it, and a CSV file where the table gives its bytes back exactly."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.errors import Refused
from smalti.formats import read_file
from smalti.formats.content import TableContent
from smalti.migration.values.file_value import FileValue, same_bytes
from smalti.tracking.work_file import WorkFile

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def parquet_value(path: Path) -> FileValue:
    """Return the table of a Parquet file: a DataFrame where pandas wrote it, so that it equals the one it was.

    Raises:
        Refused: it is damaged, hostile or holds what a store cannot keep exactly.
    """
    table = _table(path)
    if b"pandas" not in (table.schema.metadata or {}):
        return FileValue(lambda store: store.put(table), lambda back: _same_table(table, back.to_arrow()))
    try:
        frame = table.to_pandas()
    except Exception as error:  # of what pandas is said to have written; pandas and pyarrow raise many kinds
        raise Refused(f"{path.name} says that pandas wrote it, and pandas cannot read it ({error}).") from error
    return FileValue(lambda store: store.put(frame), lambda back: _same_frame(frame, back.to_pandas()))


def csv_value(path: Path) -> FileValue:
    """Return the table of a CSV file as a DataFrame that ``to_csv(index=False)`` turns into the same bytes.

    Raises:
        Refused: there is no such table: other quotes, numbers spelled otherwise, or no table at all.
    """
    file = WorkFile(path)
    table = _table(path)
    for frame in _frames(table):
        if _gives_back(frame, file.data):
            break
    else:
        raise Refused(f"{path.name} is a table whose numbers or quotes would come back spelled otherwise.")

    def is_same(back: Any) -> bool:
        file.check_unchanged()
        return _gives_back(back.to_pandas(), file.data)

    return FileValue(lambda store: store.put(frame), is_same)


def _table(path: Path) -> pa.Table:
    content = read_file(path)
    if not isinstance(content, TableContent):
        raise Refused(f"{path.name} is no table.")
    return content.table


def _frames(table: pa.Table) -> list[pd.DataFrame]:
    """Return the table as pandas reads a CSV, and with whole numbers that may be missing."""
    import pandas as pd
    import pyarrow as pa

    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    return [table.to_pandas(), table.to_pandas(types_mapper=nullable.get)]


def _gives_back(frame: pd.DataFrame, content: memoryview) -> bool:
    written = io.BytesIO()
    frame.to_csv(written, index=False, lineterminator="\n")
    return same_bytes(content, written.getbuffer())


def _same_frame(frame: pd.DataFrame, back: pd.DataFrame) -> bool:
    """Tell whether two frames have the same labels, types and values; missing values are equal to one another."""
    named = list(frame.index.names) == list(back.index.names) and list(frame.columns.names) == list(back.columns.names)
    typed = list(frame.dtypes) == list(back.dtypes) and frame.index.dtype == back.index.dtype
    return named and typed and bool(frame.equals(back))


def _same_table(table: pa.Table, back: pa.Table) -> bool:
    if not table.schema.equals(back.schema):
        return False
    if table.equals(back):
        return True
    columns = zip(table.columns, back.columns, strict=True)  # NaN is not equal to itself; its spelling is
    return all(one.equals(other) or repr(one.to_pylist()) == repr(other.to_pylist()) for one, other in columns)
