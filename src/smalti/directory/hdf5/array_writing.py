"""Writing and extending one array in an HDF5 file of its own, so that a failure or a kill at any moment spoils nothing.

A whole array is written beside and moved into place. Rows are added in place, as :mod:`.pending_writes` says. What
these functions did survives the death of the process at once. After a power cut an array that was written whole is the
old one or the new one; rows that were added since the system last wrote its memory to the disk may be lost, and in a
file that was being extended earlier rows with them: ``versions.commit`` keeps what must not be lost.
"""

from __future__ import annotations

import fcntl
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.directory.folder_lock import writing_alone
from smalti.directory.hdf5.array_values import as_array, rows_like
from smalti.directory.hdf5.pending_writes import (
    PendingWrites,
    finish_changes,
    fits_a_page,
    is_marked_open,
    stated_end,
)
from smalti.directory.hdf5.reading import DATASET, dataset_of, opened, opened_dataset
from smalti.errors import Damaged, Unavailable
from smalti.store.commit import machine_errors, unique_name

if TYPE_CHECKING:
    import h5py

_CHUNK_ELEMENTS = 4096
_LARGE_NBYTES, _LARGE_CHUNK_ELEMENTS = 4 * 1024 * 1024, 32 * 1024
_BLOCK_NBYTES = 16 * 1024 * 1024  # copied at a time
_WAIT_SECONDS = 10.0  # for another program that has the file open for writing


def write_array(path: Path, value: object) -> None:
    """Write an array as the dataset ``data`` of an HDF5 file, in the place of what was there; missing folders are made.

    A reader finds the array before or the new one, whole; so does whoever comes after a failure, a kill or a power cut.

    Raises:
        TypeError: the value is no array that HDF5 keeps; see :func:`as_array`.
        Unavailable: the disk is full or may not be written; the array before is still there.
    """
    array = as_array(value)
    with machine_errors(f"writing {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _replacement(path) as descriptor:
            with _written_anew(descriptor) as hdf5:
                _fill(hdf5.create_dataset(DATASET, array.shape, array.dtype), array)
            os.fsync(descriptor)


def extend_array(path: Path, value: object) -> None:
    """Add rows to an array in a file, or make one of them; no rows change nothing.

    When this returns, every reader finds the rows. Those that add rows to arrays of one folder wait for each other. An
    array that cannot grow in place is written anew once, so that it can; one that another program compressed stays so
    and is written anew each time. Other datasets, groups and attributes in the file are kept.

    Raises:
        TypeError: they are no rows of such an array, or would be changed by its dtype; nothing was changed.
        Damaged: the file cannot be read.
        Unavailable: the disk is full or may not be written, or another program has the file open for writing.
    """
    array = as_array(value)
    if array.ndim == 0:
        rows_like(value, array.dtype, (0,))
    with machine_errors(f"extending {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing_alone(path.parent):
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                _make_growing(path, array)
                return
            try:
                wait_for_others(path, descriptor)
                finish_changes(descriptor)
                if len(array):
                    _extend(path, descriptor, value)
            finally:
                os.close(descriptor)


def _extend(path: Path, descriptor: int, value: object) -> None:
    end = stated_end(descriptor)
    file = PendingWrites(descriptor, end if end is not None else os.fstat(descriptor).st_size)
    header_at = None
    try:
        with opened_dataset(file, writing=True) as data:
            shape = data.shape
            rows = rows_like(value, data.dtype, shape)
            header = _header_at(data)
            if end is not None and _grows_in_place(data, shape) and fits_a_page(descriptor, header):
                _append(data, shape, rows)
                header_at = header
    except (OSError, RuntimeError, KeyError) as error:
        file.discard()
        raise Damaged(
            f"{path} cannot be extended, since it cannot be read as an HDF5 file with the dataset {DATASET!r}: "
            f"{str(error.args[0] if error.args else error).rstrip('.')}."
        ) from error
    except BaseException:
        file.discard()
        raise
    if header_at is not None:
        file.apply(last=header_at)
    else:
        file.discard()
        _extend_anew(path, descriptor, rows)


def _grows_in_place(data: h5py.Dataset, shape: tuple[int, ...]) -> bool:
    """Tell whether adding rows writes new blocks and leaves everything of the old rows where it is."""
    from h5py import h5d

    layout = data.id.get_create_plist()
    most = data.maxshape
    chunked: bool = layout.get_layout() == h5d.CHUNKED and layout.get_nfilters() == 0
    return chunked and most[0] is None and most[1:] == shape[1:]


def _append(data: h5py.Dataset, shape: tuple[int, ...], rows: NDArray[Any]) -> None:
    """Add rows, as ``data.resize`` and ``data[...] = rows`` do, but in half the time."""
    from h5py import h5s

    data.id.set_extent((shape[0] + len(rows), *shape[1:]))
    space = data.id.get_space()
    space.select_hyperslab((shape[0],) + (0,) * (len(shape) - 1), rows.shape)
    data.id.write(h5s.create_simple(rows.shape), space, np.ascontiguousarray(rows))


def _extend_anew(path: Path, descriptor: int, rows: NDArray[Any]) -> None:
    """Write the file with rows added, as one that can grow in place where it is not compressed, and replace it."""
    with _replacement(path, locked=True) as replacement:
        with opened(PendingWrites(descriptor, 0), "r") as before:
            data = dataset_of(before)
            if data.maxshape[0] is None and data.id.get_create_plist().get_nfilters():
                with open(descriptor, "rb", closefd=False) as source, open(replacement, "wb", closefd=False) as target:
                    source.seek(0)
                    shutil.copyfileobj(source, target)
                with _written_anew(replacement, "r+") as hdf5:
                    packed = dataset_of(hdf5)
                    _append(packed, packed.shape, rows)
            else:
                with _written_anew(replacement) as hdf5:
                    _copy_growing(before, data, hdf5, rows)
        os.fsync(replacement)


def _copy_growing(before: h5py.File, data: h5py.Dataset, after: h5py.File, rows: NDArray[Any]) -> None:
    for name in before:
        if name != DATASET:
            before.copy(name, after)
    shape = (data.shape[0] + len(rows), *data.shape[1:])
    copied = _create_growing(after, shape, data.dtype)
    for source, target in ((before, after), (data, copied)):
        for name in source.attrs:
            attribute = source.attrs.get_id(name)
            target.attrs.create(name, source.attrs[name], attribute.shape, attribute.dtype)
    step = _block_rows(data.shape, data.dtype)
    for start in range(0, data.shape[0], step):
        copied[start : min(start + step, data.shape[0])] = data[start : start + step]
    copied[data.shape[0] :] = rows


def _make_growing(path: Path, array: NDArray[Any]) -> None:
    with _replacement(path, locked=True) as descriptor:
        with _written_anew(descriptor) as hdf5:
            _fill(_create_growing(hdf5, array.shape, array.dtype), array)
        os.fsync(descriptor)


def _create_growing(hdf5: h5py.File, shape: tuple[int, ...], dtype: np.dtype[Any]) -> h5py.Dataset:
    chunks = (_chunk_rows(shape, dtype), *(max(1, length) for length in shape[1:]))
    most = (None, *(length or None for length in shape[1:]))  # a chunk of no length is none, so that axis could grow
    return hdf5.create_dataset(DATASET, shape, dtype, maxshape=most, chunks=chunks)


def _chunk_rows(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return the length of a chunk: what is large already is read, and listed by a commit, in larger ones."""
    row_elements = max(1, math.prod(shape[1:]))
    is_large = shape[0] * row_elements * dtype.itemsize >= _LARGE_NBYTES
    return math.ceil((_LARGE_CHUNK_ELEMENTS if is_large else _CHUNK_ELEMENTS) / row_elements)


def _fill(data: h5py.Dataset, array: NDArray[Any]) -> None:
    """Write an array without a copy of the whole."""
    if array.flags.c_contiguous and array.dtype == data.dtype:
        data[...] = array
        return
    step = _block_rows(array.shape, array.dtype)
    for start in range(0, len(array), step):
        data[start : start + step] = array[start : start + step]


def _block_rows(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    rows = max(1, _BLOCK_NBYTES // max(1, math.prod(shape[1:]) * dtype.itemsize))
    chunk = _chunk_rows(shape, dtype)
    return -(-rows // chunk) * chunk


def _header_at(data: h5py.Dataset) -> int:
    from h5py import h5o

    return int(h5o.get_info(data.id).addr)


@contextmanager
def _written_anew(descriptor: int, mode: str = "w") -> Iterator[h5py.File]:
    """Give an HDF5 file that nobody knows of yet; an error of the machine is raised at the end."""
    file = PendingWrites(descriptor, 0)
    with opened(file, mode) as hdf5:
        yield hdf5
    file.apply()


@contextmanager
def _replacement(path: Path, locked: bool = False) -> Iterator[int]:
    """Give a new file, opened, that takes the place of another in one step.

    Args:
        locked: nobody else writes arrays of this folder now.
    """
    part = path.parent / f".smalti-{unique_name()}.part"
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        if locked:
            part.replace(path)
        else:
            with writing_alone(path.parent):  # or rows that are being added now could be added to what is gone
                part.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise


def wait_for_others(path: Path, descriptor: int, seconds: float = _WAIT_SECONDS) -> None:
    """Wait until no other program has the file open for writing: HDF5 locks it then, or marks it.

    Raises:
        Unavailable: it still has after so many seconds.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if not is_marked_open(descriptor):
                return
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        except BlockingIOError:
            pass
        if time.monotonic() > until:
            raise Unavailable(
                f"{path} is open for writing in another program, or was when that was killed; close it there, "
                f"or run: h5clear -s {path}"
            )
        time.sleep(0.01)
