"""How foreign bytes become arrays and tables, safely: one module for each format, and ``read_file``, which finds it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from smalti.contracts.violation import Violation, broken
from smalti.formats.content import Content, Skipped, Statement, TableContent
from smalti.formats.decompress import unwrapped
from smalti.formats.regular_file import open_regular
from smalti.formats.sniff import Form
from smalti.formats.source import DEFAULT_LIMITS, Limits, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "DEFAULT_LIMITS",
    "Content",
    "Limits",
    "OpenedFile",
    "Skipped",
    "Statement",
    "TableContent",
    "open_file",
    "opened",
    "read_arrays",
    "read_file",
]

# Imported when a file of that form is there, so that reading an .npz does not wait for HDF5 and Arrow.
_READERS: dict[Form, str] = {
    "zip": "npz",
    "npy": "npy",
    "hdf5": "hdf5.reader",
    "safetensors": "safetensors",
    "csv": "tables.csv",
    "tsv": "tables.csv",
    "jsonl": "tables.jsonl",
    "parquet": "tables.parquet",
    "arrow": "tables.arrow",
    "arrow stream": "tables.arrow",
}


def read_file(
    path: Path, limits: Limits = DEFAULT_LIMITS, wanted: Collection[str] | None = None
) -> Content | TableContent:
    """Return what a file holds: arrays by name, or a table; content decides what it is, then the name.

    Nothing is allocated that was not declared, checked against ``limits`` and against the size of the file;
    nothing outside the file is opened; no code in it is run.

    Args:
        wanted: names of the arrays that are asked for; any other may be skipped, and its faults refuse nothing. None:
            every array is asked for.

    Raises:
        NotFound: there is no such file.
        ContractBroken: it is not a regular file, of no known form, damaged, hostile or too large.
        Unavailable: the machine cannot read it (permission, disk).
    """
    with open_file(path, limits) as file:
        return file.read(wanted)


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A foreign file whose format is known and whose data has not been read.

    Attributes:
        source: its content, unwrapped.
        form: its format.
    """

    source: Source
    form: Form

    def names(self) -> frozenset[str]:
        """Return the names of the arrays in it, without reading them; of a table, or a file of one array, none."""
        listed = getattr(self._reader(), "names", None)
        return frozenset(listed(self.source)) if listed else frozenset()

    def read(self, wanted: Collection[str] | None = None) -> Content | TableContent:
        """Return what it holds; see :func:`read_file`."""
        content: Content | TableContent = self._reader().read(self.source, wanted)
        return content

    def _reader(self) -> ModuleType:
        return import_module(f"{__name__}.{_READERS[self.form]}")


@contextmanager
def open_file(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[OpenedFile]:
    """Open a foreign file and recognise its format by its content, then by its name; raises as ``read_file`` does."""
    with opened(path, limits) as source, unwrapped(source) as (content, form):
        yield OpenedFile(content, form)


def read_arrays(path: Path, limits: Limits = DEFAULT_LIMITS) -> dict[str, NDArray[Any]]:
    """Return every array of a file by name.

    Raises:
        NotFound, ContractBroken, Unavailable: as ``read_file``; a table is refused too.
    """
    content = read_file(path, limits)
    if not isinstance(content, Content):
        found = f"a table of {content.table.num_rows} rows and {content.table.num_columns} columns"
        remedy = "give a file of arrays, or read the table with read_file"
        raise broken(path.name, [Violation("file.form", "the file", found, "arrays", remedy)])
    return dict(content.arrays)


@contextmanager
def opened(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Source]:
    """Open a regular file that is not too large; raises as ``read_file`` does."""
    with open_regular(path) as file:
        nbytes = os.fstat(file.fileno()).st_size
        source = Source(file, path.name, nbytes, nbytes, limits)
        if nbytes > limits.file_nbytes:
            found, wanted = f"{nbytes} bytes", f"at most {limits.file_nbytes} bytes"
            raise source.refuse("file.too_large", "the file", found, wanted, "cut it into several files")
        yield source
