"""Readers of foreign files: one module for each format, and ``read_file``, which finds the right one by content."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.contracts.readers.form import Form
from smalti.contracts.readers.source import DEFAULT_LIMITS, Limits, Source
from smalti.contracts.readers.wrapping import unwrapped
from smalti.contracts.regular_file import open_regular

if TYPE_CHECKING:
    import pyarrow
    from numpy.typing import NDArray

__all__ = ["DEFAULT_LIMITS", "Limits", "opened", "read_file"]

# Imported when a file of that form is there, so that reading an .npz does not wait for HDF5 and Arrow.
_READERS: dict[Form, str] = {
    "zip": "npz",
    "npy": "npy",
    "hdf5": "hdf5",
    "safetensors": "safetensors",
    "csv": "delimited",
    "tsv": "delimited",
    "jsonl": "jsonlines",
    "parquet": "parquet",
    "arrow": "arrow",
    "arrow stream": "arrow",
}


def read_file(path: Path, limits: Limits = DEFAULT_LIMITS) -> Mapping[str, NDArray[Any]] | pyarrow.Table:
    """Return what a file holds: arrays by name, or a table; content decides what it is, then the name.

    Nothing is allocated that was not declared, checked against ``limits`` and against the size of the file;
    nothing outside the file is opened; no code in it is run.

    Raises:
        NotFound: there is no such file.
        ContractBroken: it is not a regular file, of no known form, damaged, hostile or too large.
        Unavailable: the machine cannot read it (permission, disk).
    """
    with opened(path, limits) as source, unwrapped(source) as (content, form):
        read = import_module(f"{__name__}.{_READERS[form]}").read
        arrays_or_table: Mapping[str, NDArray[Any]] | pyarrow.Table = read(content)
        return arrays_or_table


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
