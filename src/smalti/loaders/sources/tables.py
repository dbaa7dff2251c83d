"""Tables: pandas, pyarrow, lazy ones of a store, and Parquet files, as columns of numpy arrays."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from smalti.codecs import LazyTable
from smalti.errors import NotFound, Refused
from smalti.loaders.buffers import Buffers
from smalti.loaders.collate import Columns
from smalti.loaders.sources.arrow import TableColumn, table_columns
from smalti.loaders.sources.source import regular_cuts

if TYPE_CHECKING:
    import pyarrow as pa

_MEMORY_SHARE = 0.5  # of the machine's memory that the columns of one table may take


class TableSource:
    """A table of pandas or pyarrow, or a lazy one.

    Rows in any order are taken from columns held in memory, which are made when first needed. A range of rows of a
    lazy table is read on its own.
    """

    bound_to_thread = False

    def __init__(self, table: pa.Table | LazyTable) -> None:
        self._table = table
        self._lock = threading.Lock()

    @property
    def what(self) -> str:
        return f"{len(self)} rows of {', '.join(self._table.schema.names)}"

    @property
    def digests(self) -> Mapping[str, str]:
        return {"table": self._table.digest} if isinstance(self._table, LazyTable) else {}

    @property
    def row_nbytes(self) -> int:
        return int(self._table.nbytes) // max(1, len(self))

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def read(self, rows: NDArray[np.int64], buffers: Buffers) -> Columns:
        with self._lock:
            columns = self._columns
        return {name: column.take(rows, buffers) for name, column in columns.items()}

    def read_range(self, start: int, stop: int, buffers: Buffers) -> Columns:
        if isinstance(self._table, LazyTable):
            return _whole(table_columns(as_arrow(self._table[start:stop])))
        return self.read(np.arange(start, stop, dtype=np.int64), buffers)

    def cuts(self, samples: int) -> Sequence[int]:
        return regular_cuts(len(self), samples)

    @cached_property
    def _columns(self) -> dict[str, TableColumn]:
        refuse_too_large(self.what, self._table.nbytes)
        return table_columns(as_arrow(self._table[:]) if isinstance(self._table, LazyTable) else self._table)


class ParquetSource:
    """A Parquet file. Rows in any order are taken from columns in memory; ranges are read by whole row groups."""

    bound_to_thread = False

    def __init__(self, path: Path) -> None:
        """
        Raises:
            NotFound, Refused: there is no such file, or it is none of Parquet.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not path.is_file():
            raise NotFound(f"there is no file {path}; name the Parquet file to read.")
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise Refused(f"{path} is no Parquet file ({error}); write it again.") from error
        about = self._file.metadata
        groups = [about.row_group(number) for number in range(about.num_row_groups)]
        self._ends = list(accumulate((group.num_rows for group in groups), initial=0))
        self._nbytes = sum(group.total_byte_size for group in groups)
        self._lock = threading.Lock()

    @property
    def what(self) -> str:
        return f"{len(self)} rows of {self._path}"

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """The BLAKE3 digest of the file, which is read for it."""
        return {"file": file_digest(self._path)}

    @property
    def row_nbytes(self) -> int:
        return int(self._nbytes) // max(1, len(self))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, rows: NDArray[np.int64], buffers: Buffers) -> Columns:
        with self._lock:
            columns = self._columns
        return {name: column.take(rows, buffers) for name, column in columns.items()}

    def read_range(self, start: int, stop: int, buffers: Buffers) -> Columns:
        first, last = (int(np.searchsorted(self._ends, at, "right")) - 1 for at in (start, stop - 1))
        with self._lock:
            table = self._read(list(range(first, last + 1)))
        return _whole(table_columns(table.slice(start - self._ends[first], stop - start)))

    def cuts(self, samples: int) -> Sequence[int]:
        """Return where row groups begin: less than one is not read at once, however few ``samples`` are wanted."""
        return sorted(set(self._ends))

    @cached_property
    def _columns(self) -> dict[str, TableColumn]:
        refuse_too_large(self.what, self._nbytes)
        return table_columns(self._read())

    def _read(self, groups: list[int] | None = None) -> pa.Table:
        import pyarrow as pa

        try:
            return self._file.read() if groups is None else self._file.read_row_groups(groups)
        except (pa.ArrowInvalid, OSError) as error:
            raise Refused(f"{self._path} is damaged ({error}); write it again.") from error


def as_arrow(table: Any) -> pa.Table:
    """Return a table of pandas or pyarrow as one of pyarrow; a pandas index is left out."""
    import pyarrow as pa

    if isinstance(table, pa.Table):
        return table
    try:
        return pa.Table.from_pandas(table, preserve_index=False)
    except pa.ArrowException as error:
        raise Refused(f"the DataFrame has a column of mixed values ({error}); convert that column.") from error


def file_digest(path: Path) -> str:
    """Return ``blake3:<hex>`` of a file."""
    return f"blake3:{blake3().update_mmap(path).hexdigest()}"


def refuse_too_large(what: str, nbytes: int) -> None:
    """
    Raises:
        Refused: ``nbytes`` are more than a table may take of this machine's memory.
    """
    memory_nbytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if nbytes > _MEMORY_SHARE * memory_nbytes:
        raise Refused(
            f"{what} take {nbytes / 1e9:.1f} GB, too much to hold in memory for rows in any order; stream them "
            "with StreamingPipeline, or store their columns as arrays, which are mapped."
        )


def _whole(columns: Mapping[str, TableColumn]) -> Columns:
    return {name: column.whole() for name, column in columns.items()}
