"""Reading the dataset ``data`` of an HDF5 file that others may be extending or replacing; nothing is ever written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from smalti.directory.hdf5.interrupts import Uninterrupted
from smalti.directory.hdf5.pending_writes import Change, PendingWrites, journal, unmarked
from smalti.errors import Damaged, Unavailable

if TYPE_CHECKING:
    import h5py

DATASET = "data"
_TRIES = 100
_WAIT_SECONDS = 0.002

T = TypeVar("T")


def read_dataset(path: Path, act: Callable[[h5py.Dataset], T]) -> T:
    """Return what ``act`` makes of the dataset; the file is open only meanwhile.

    What is read is one state of the array, with all rows of every ``extend_array`` that has returned, in this process
    or another. Reading goes on where a writer was killed, where another program has the file open for writing, and in
    a folder that may not be written.

    Raises:
        FileNotFoundError: there is no file.
        Damaged: it is no HDF5 file that can be read, or has no such dataset.
        Unavailable: it may not be read, or was written to whenever it was read.
    """
    changes: list[Change] = []
    failed_on: tuple[int, ...] = ()
    for _ in range(_TRIES):
        with _descriptor(path) as descriptor:
            try:
                return _read(descriptor, unmarked(descriptor) + changes, act)
            except (OSError, RuntimeError, KeyError) as error:
                changes = journal(descriptor)
                status = os.fstat(descriptor)
                look = status.st_ino, status.st_size, status.st_mtime_ns, len(changes)
                if look == failed_on:
                    raise _unreadable(path, error) from error
                failed_on = look
        time.sleep(_WAIT_SECONDS)  # a block of the file was written while it was read, or its writer was killed
    raise Unavailable(f"{path} was written to whenever it was read, {_TRIES} times; try again.")


@contextmanager
def opened(file: PendingWrites, mode: str) -> Iterator[h5py.File]:
    """Give what h5py sees in a file of ours."""
    import h5py

    with Uninterrupted(), h5py.File(file, mode, libver="latest") as hdf5:
        yield hdf5


def dataset_of(hdf5: h5py.File) -> h5py.Dataset:
    """Return the dataset ``data``.

    Raises:
        KeyError: there is none.
    """
    import h5py

    found = hdf5.get(DATASET)
    if not isinstance(found, h5py.Dataset):
        raise KeyError(f"there is no dataset {DATASET!r} in it, but {sorted(hdf5)}")
    return found


@contextmanager
def opened_dataset(file: PendingWrites, writing: bool = False) -> Iterator[h5py.Dataset]:
    """Give the dataset ``data`` in a file of ours, without what ``h5py.File`` does besides, which takes longer.

    Raises:
        KeyError: there is none, or its values are those of other files.
    """
    import h5py
    from h5py import h5d, h5f, h5fd, h5p

    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    access.set_libver_bounds(h5f.LIBVER_LATEST, h5f.LIBVER_LATEST)
    access.set_fileobj_driver(h5fd.fileobj_driver, file)
    mode = h5f.ACC_RDWR if writing else h5f.ACC_RDONLY
    with Uninterrupted(), closing(h5f.open(b"array", mode, access)) as hdf5:
        dataset = h5d.open(hdf5, DATASET.encode())
        if _lies_elsewhere(hdf5, dataset):
            raise KeyError(
                f"its values are in other files, which are not opened; copy them: h5repack -l {DATASET}:CONTI"
            )
        yield h5py.Dataset(dataset)


def _lies_elsewhere(hdf5: h5py.h5f.FileID, dataset: h5py.h5d.DatasetID) -> bool:
    """Tell whether a dataset is a view of other files: whoever sends a file would choose which others are read."""
    from h5py import h5d, h5l

    if hdf5.links.get_info(DATASET.encode()).type == h5l.TYPE_EXTERNAL:
        return True
    properties = dataset.get_create_plist()
    layout = properties.get_layout()
    return bool(layout == h5d.VIRTUAL or (layout == h5d.CONTIGUOUS and properties.get_external_count()))


def _read(descriptor: int, changes: list[Change], act: Callable[[h5py.Dataset], T]) -> T:
    """Read through a file of our own: two that HDF5 opens by name share what it has cached, however old that is."""
    with opened_dataset(PendingWrites(descriptor, 0, changes)) as data:
        return act(data)


@contextmanager
def _descriptor(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}; mend that and try again.") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _unreadable(path: Path, error: Exception) -> Damaged:
    reason = str(error.args[0] if error.args else error).rstrip(".")
    return Damaged(f"{path} cannot be read as an HDF5 file with the dataset {DATASET!r}: {reason}.")
