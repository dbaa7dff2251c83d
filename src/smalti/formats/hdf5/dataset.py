"""One HDF5 dataset: whether it can be read, by its header alone, and its values as whoever saved it had them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation, shown
from smalti.errors import ContractBroken
from smalti.formats.hdf5 import matlab
from smalti.formats.hdf5.chunks import absent_breaches, chunk_breaches, nbytes_of
from smalti.formats.hdf5.filters import BUILT_IN, REPACK, codes_of, filter_breaches, name_of
from smalti.formats.source import Source

WANTED = "a whole HDF5 file"
REMEDY = "write it again as plain arrays with h5py"
_NUMBERS = "biufc"


def dtype_of(dataset: h5py.Dataset) -> np.dtype[Any] | None:
    """Return the type of its values; None where NumPy has none for it."""
    try:
        dtype: np.dtype[Any] = dataset.dtype
    except TypeError:
        return None
    return dtype


def is_text(dataset: h5py.Dataset) -> bool:
    """Tell whether it holds text, which is metadata, never an array of a scan."""
    dtype = dtype_of(dataset)
    if dtype is None:
        return False
    return dtype.kind in "SU" or h5py.check_string_dtype(dtype) is not None or matlab.class_of(dataset) == "char"


def header_breaches(dataset: h5py.Dataset, place: str, source: Source) -> Iterator[Violation]:
    """Yield what is wrong by type, size, chunks and filters; nothing of its data has been read."""
    dtype = dtype_of(dataset)
    plain = dtype is not None and dtype.subdtype is None and (dtype.kind in _NUMBERS or matlab.is_complex(dtype))
    if dtype is None or not plain:
        found = f"values of type {shown(str(dtype)) if dtype is not None else 'unknown to NumPy'}"
        yield Violation("member.dtype", place, found, "plain numbers", REMEDY)
        return
    if dataset.shape is None or matlab.is_empty(dataset):
        yield Violation("member.size", place, "no values at all", "an array", "save it with its values")
        return
    nbytes, stored = nbytes_of(dataset), dataset.id.get_storage_size()
    faults = [
        *chunk_breaches(dataset, place, source, REMEDY),
        *source.expansion_breaches(place, nbytes, source.stored_nbytes, REMEDY, declared=True),
        *filter_breaches(dataset, place),
    ]
    if stored > source.nbytes:
        found, wanted = f"{stored} bytes that overlap", f"at most the {source.nbytes} bytes of the file"
        faults.insert(0, Violation("archive.overlap", place, found, wanted, REMEDY))
    bounded = not any(fault.code in ("hdf5.chunks", "archive.expansion") for fault in faults)
    yield from absent_breaches(dataset, place) if bounded else absent_contiguous(dataset, place)
    yield from faults


def absent_contiguous(dataset: h5py.Dataset, place: str) -> Iterator[Violation]:
    """Yield as ``absent_breaches`` does, but look up no chunk."""
    if not dataset.chunks:
        yield from absent_breaches(dataset, place)


def values_of(dataset: h5py.Dataset, place: str, source: Source) -> tuple[NDArray[Any], str]:
    """Return its values, and what was done to them in words, empty where nothing was.

    Raises:
        ContractBroken: they are damaged, or a filter cannot undo what was done to them.
    """
    foreign = [code for code in codes_of(dataset) if code not in BUILT_IN]
    try:
        with source.mapped(place, WANTED):
            return matlab.as_written(np.asarray(dataset[()]), dataset)
    except ContractBroken as error:
        [damage] = (v for v in error.violations if isinstance(v, Violation))
        if not foreign or damage.code != "file.damaged":
            raise
        found = f"chunks that {name_of(foreign[0])} cannot undo, {damage.found}"
        remedy = f"copy the file again from its source, or {REPACK}"
        raise source.refuse("hdf5.filter", place, found, "chunks that can be undone", remedy) from error
