"""Which form a file is stored in, by its name, and its value in that form; what cannot be read stays bytes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Literal

from smalti.errors import Refused
from smalti.migration.values.file_value import FileValue

Form = Literal["array", "table", "document", "bytes", "hdf5 array", "csv table"]

KINDS: dict[Form, tuple[str, ...]] = {
    "array": ("array",),
    "hdf5 array": ("array",),
    "table": ("table",),
    "csv table": ("table",),
    "document": ("tree", "json"),
    "bytes": ("bytes",),
}
# Imported when a file of that form is there: Arrow and HDF5 take long.
_READERS: dict[Form, str] = {
    "array": "arrays.npy_value",
    "hdf5 array": "arrays.hdf5_value",
    "table": "tables.parquet_value",
    "csv table": "tables.csv_value",
    "document": "documents.json_value",
    "bytes": "file_value.bytes_value",
}
_FORMS: dict[str, Form] = {".npy": "array", ".parquet": "table", ".json": "document"}


def form_of(path: str) -> Form:
    """Return the form of a data file of MLtrack by its ending; bytes for every other file, pickles among them."""
    return _FORMS.get(PurePosixPath(path).suffix.lower(), "bytes")


def value_of(path: Path, form: Form) -> FileValue:
    """Return a file as a value in a form.

    Raises:
        Refused: it cannot be read in that form.
        Unavailable: the machine cannot read it.
    """
    if form not in _READERS:
        raise Refused(f"{form!r} is no form of a file; there are {', '.join(_READERS)}.")
    module, _, name = _READERS[form].partition(".")
    value: FileValue = getattr(import_module(f"{__package__}.{module}"), name)(path)
    return value
