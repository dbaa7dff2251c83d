"""A table in a directory: a CSV file that any tool reads, and beside it what CSV loses.

``key.csv``              the table as text; the index is in it unless it only numbers the rows from 0
``_key.DIGEST.arrow``    the same table as an Arrow file: types, index, missing values; DIGEST is the BLAKE3 of the CSV

The Arrow file counts as long as the CSV is the one it was written with. Once another tool has changed the CSV, the
table is what that says.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from smalti.directory.errors import EntryMissing, WrongType
from smalti.errors import Damaged
from smalti.store.commit import machine_errors
from smalti.tracking.work_file import remove_parts, replace_file

if TYPE_CHECKING:
    from pandas import DataFrame

SUFFIX = ".csv"
_DIGEST_LENGTH = 32
_TRIES = 10  # to read a table that is replaced just then


def is_table(value: object) -> bool:
    """Tell whether a value is a pandas DataFrame, without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def check_table(frame: DataFrame) -> None:
    """Check that a table can be read back as it is.

    Raises:
        WrongType: a column cannot, with the reason.
    """
    _arrow_table(frame)


def write_table(path: Path, frame: DataFrame) -> None:
    """Replace the table at ``path``, a ``.csv``, in one step.

    Raises:
        WrongType: it cannot be read back as it is.
        Unavailable: the disk is full, or may not be written.
    """
    arrow = _arrow_bytes(frame)
    text = frame.to_csv(index=not _numbers_rows(frame)).encode()
    beside = _beside(path, text)
    replace_file(beside, arrow)  # first: a reader of the new CSV finds it, one of the old CSV does not look for it
    replace_file(path, text)
    with machine_errors(f"writing {path}"):
        for file in _all_beside(path):
            if file != beside:
                file.unlink(missing_ok=True)
        remove_parts(path.parent, [file.name for file in path.parent.iterdir()])


def read_table(path: Path) -> DataFrame:
    """Return the table at ``path``, a ``.csv``.

    Raises:
        EntryMissing: there is none.
        Damaged: it cannot be read as CSV, or the Arrow file beside it as Arrow.
    """
    import pandas as pd
    import pyarrow as pa

    for _ in range(_TRIES):
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            raise EntryMissing(f"{path} does not exist.") from None
        beside = _beside(path, text)
        try:
            return _from_arrow(pa.ipc.open_file(pa.BufferReader(beside.read_bytes())).read_all())
        except FileNotFoundError:
            if path.read_bytes() != text:
                continue  # it was replaced in between
        except (pa.ArrowException, ValueError) as error:
            raise Damaged(
                f"{beside} cannot be read as Arrow: {error}; without it, the table is what {path} says."
            ) from error
        try:
            return pd.read_csv(io.BytesIO(text))
        except ValueError as error:
            said = " ".join(str(error).split()).rstrip(".")
            raise Damaged(f"{path} cannot be read as a table in CSV and UTF-8: {said}; mend or delete it.") from error
    raise EntryMissing(f"{path} is replaced again and again while it is read; try again.")


def extend_table(path: Path, frame: DataFrame) -> None:
    """Append rows to the table at ``path``, a ``.csv``; it is created when it does not exist.

    Raises:
        WrongType: its columns are not those of the table.
    """
    import pandas as pd

    if not path.is_file():
        write_table(path, frame)
        return
    before = read_table(path)
    if set(before.columns) != set(frame.columns):
        raise WrongType(
            f"a table with the columns {', '.join(map(str, before.columns))} cannot be extended by rows of "
            f"{', '.join(map(str, frame.columns))}; give the same columns."
        )
    if len(frame):
        both = [before, frame[list(before.columns)]] if len(before) else [frame[list(before.columns)]]
        write_table(path, pd.concat(both, ignore_index=_numbers_rows(before) and _numbers_rows(frame)))


def delete_table(path: Path) -> None:
    """Delete the table at ``path``, a ``.csv``, where there is one."""
    path.unlink(missing_ok=True)
    for file in _all_beside(path):
        file.unlink(missing_ok=True)


def _numbers_rows(frame: DataFrame) -> bool:
    """Tell whether the index is the one that pandas gives by itself."""
    import pandas as pd

    index = frame.index
    return isinstance(index, pd.RangeIndex) and (index.start, index.step, index.name) == (0, 1, None)


def _arrow_table(frame: DataFrame) -> Any:
    import pyarrow as pa

    try:
        return pa.Table.from_pandas(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        said = " ".join(map(str, error.args)) if error.args else str(error)
        raise WrongType(f"this table cannot be stored: {said}; give each column one type.") from error


def _arrow_bytes(frame: DataFrame) -> bytes:
    import pyarrow as pa

    table, sink = _arrow_table(frame), io.BytesIO()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _from_arrow(table: Any) -> DataFrame:
    import pandas as pd
    import pyarrow as pa

    frame: DataFrame = table.to_pandas()
    for at, field in enumerate(table.schema):
        if pa.types.is_nested(field.type) and at < frame.shape[1]:  # pandas would be given arrays for lists
            lists = pd.Series(table.column(at).to_pylist(), index=frame.index, dtype=object)
            frame.isetitem(at, lists)  # type: ignore[arg-type]
    return frame


def _beside(path: Path, text: bytes) -> Path:
    return path.with_name(f"_{path.stem}.{blake3(text).hexdigest()[:_DIGEST_LENGTH]}.arrow")


def _all_beside(path: Path) -> Iterator[Path]:
    begin, end = f"_{path.stem}.", ".arrow"
    with suppress(FileNotFoundError):
        for file in list(path.parent.iterdir()):
            name, middle = file.name, file.name[len(begin) : -len(end)]
            if name.startswith(begin) and name.endswith(end) and len(middle) == _DIGEST_LENGTH and middle.isalnum():
                yield file
