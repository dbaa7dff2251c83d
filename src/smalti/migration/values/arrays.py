"""Arrays: an ``.npy`` file, mapped, and the dataset ``data`` of an ``.h5`` file, some rows at a time."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation, broken
from smalti.errors import Refused
from smalti.formats import opened
from smalti.formats.source import Source
from smalti.migration.values.file_value import CHUNK_NBYTES, FileValue
from smalti.store import Ref, Store
from smalti.tracking.work_file import WorkFile

_LONGEST_HEADER_NBYTES = 16 << 10
_WHOLE_NBYTES = 64 << 20  # up to which a dataset is read in one go
_KINDS = "biufcSUmM"
_DATASET = "data"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def npy_value(path: Path) -> FileValue:
    """Return the array of an ``.npy`` file; its header must account for every byte.

    Raises:
        Refused: it is no such file, damaged, or holds pickled objects, which are never unpickled.
    """
    file = WorkFile(path)
    head = io.BytesIO(file.data[:_LONGEST_HEADER_NBYTES])
    try:
        shape, fortran_order, dtype = _HEADERS[np.lib.format.read_magic(head)](head)
    except Exception as error:  # whatever a parser raises, it is the file's fault
        raise Refused(f"{path.name} has no header of an .npy array ({error}).") from error
    if dtype.hasobject:
        raise Refused(f"{path.name} holds pickled Python objects, which can run code and are not opened.")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != file.data.nbytes - head.tell():
        raise Refused(f"{path.name} has another size than its header says ({dtype.str}, shape {shape}).")
    flat = np.frombuffer(file.data, np.uint8)[head.tell() :].view(dtype) if math.prod(shape) else np.empty(0, dtype)
    array = flat.reshape(shape[::-1]).T if fortran_order else flat.reshape(shape)

    def is_same(back: Any) -> bool:
        file.check_unchanged()
        return same_array(array, back)

    return FileValue(lambda store: store.put(array), is_same)


def hdf5_value(path: Path) -> FileValue:
    """Return the dataset ``data`` of an HDF5 file, as datamate writes it; of a large one some rows are read at a time.

    Raises:
        Refused: the file is damaged, leads elsewhere, holds anything else than ``data``, or of a type with no array.
    """
    with _dataset(path) as dataset:
        shape, dtype = dataset.shape, dataset.dtype
    whole = math.prod(shape) * dtype.itemsize <= _WHOLE_NBYTES or not shape

    def put(store: Store) -> Ref:
        with _dataset(path) as dataset:
            return store.put(_read(dataset, ())) if whole else store.put_rows(_blocks(dataset))

    def is_same(back: Any) -> bool:
        with _dataset(path) as dataset:
            if whole:
                return same_array(_read(dataset, ()), back)
            if (back.shape, back.dtype) != (shape, dtype.newbyteorder("<")):
                return False
            ends = range(0, shape[0], _rows_at_once(dataset))
            pairs = zip(ends, _blocks(dataset), strict=True)
            return all(_bits(block) == _bits(back[start : start + len(block)]) for start, block in pairs)

    return FileValue(put, is_same)


def same_array(array: NDArray[Any], back: Any) -> bool:
    """Tell whether an array read back has the same shape, dtype (byte order apart) and bits, some rows at a time."""
    if back.shape != array.shape or back.dtype != array.dtype.newbyteorder("<"):
        return False
    if not array.shape:
        return _bits(array) == _bits(np.asarray(back))
    rows = max(1, CHUNK_NBYTES // max(1, array.nbytes // max(1, len(array))))
    starts = range(0, len(array), rows)
    return all(_bits(array[at : at + rows]) == _bits(np.asarray(back[at : at + rows])) for at in starts)


def _bits(block: NDArray[Any]) -> bytes:
    if block.dtype.kind == "b":  # any byte but 0 is true, and is stored as 1
        block = block != 0
    little: bytes = np.asarray(block, block.dtype.newbyteorder("<")).tobytes()
    return little


@contextmanager
def _dataset(path: Path) -> Iterator[Any]:
    """Give the dataset; the file is looked through without following any link out of it."""
    import h5py

    from smalti.formats.hdf5.superblock import require_closed
    from smalti.formats.hdf5.survey import survey

    with opened(path) as source, source.mapped("the file", "an HDF5 file of datamate"):
        require_closed(source)
        with h5py.File(source.file, "r") as file:
            found = survey(file, source)
            others = sorted({*found.datasets, *found.links, *found.elsewhere, *found.groups} - {_DATASET, ""})
            if others or _DATASET not in found.datasets:
                here = ", ".join(others[:3]) or "nothing"
                raise Refused(f"{path.name} holds {here} where datamate writes one dataset, {_DATASET!r}.")
            dataset = found.datasets[_DATASET]
            if faults := _breaches(dataset, source):
                raise broken(path.name, faults)
            if dataset.shape is None or dataset.dtype.kind not in _KINDS:
                raise Refused(f"{path.name} holds values of type {dataset.dtype}, for which there is no plain array.")
            if math.prod(dataset.shape) * dataset.dtype.itemsize > source.limits.allowed(source.nbytes, declared=True):
                raise Refused(f"{path.name} declares an array far larger than its file.")
            yield dataset


def _breaches(dataset: Any, source: Source) -> list[Violation]:
    """Return what is wrong by the header; text of fixed size, which is no array of a scan, is one here."""
    from smalti.formats.hdf5.chunks import chunk_breaches
    from smalti.formats.hdf5.dataset import REMEDY, header_breaches
    from smalti.formats.hdf5.filters import filter_breaches

    place = f"dataset {_DATASET}"
    if dataset.dtype.kind == "S" and dataset.shape is not None:
        return [*chunk_breaches(dataset, place, source, REMEDY), *filter_breaches(dataset, place)]
    return list(header_breaches(dataset, place, source))


def _read(dataset: Any, rows: Any) -> NDArray[Any]:
    return np.asarray(dataset[rows], dataset.dtype)


def _rows_at_once(dataset: Any) -> int:
    row_nbytes = max(1, math.prod(dataset.shape[1:]) * dataset.dtype.itemsize)
    rows = max(1, _WHOLE_NBYTES // row_nbytes)
    chunk: int = dataset.chunks[0] if dataset.chunks else 1
    return max(chunk, int(rows - rows % chunk))


def _blocks(dataset: Any) -> Iterator[NDArray[Any]]:
    rows = _rows_at_once(dataset)
    return (_read(dataset, slice(at, at + rows)) for at in range(0, dataset.shape[0], rows))
