"""Where the arrays of an HDF5 file lie in it: contiguous datasets, and those in unfiltered chunks of whole rows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import h5py

from smalti.codecs.containers.sound import LEAST_NBYTES, MOST_ARRAYS, MOST_RUNS
from smalti.codecs.dtype import describe_dtype
from smalti.formats.hdf5.dataset import WANTED, dtype_of
from smalti.formats.hdf5.survey import survey
from smalti.formats.source import Source
from smalti.store.values import ArrayInside

_NUMBERS = "biufc"


def stored_arrays(source: Source) -> tuple[ArrayInside, ...]:
    """Return the arrays of numbers of 64 KiB or more whose bytes lie in the file as they are in memory, little-endian.

    That is: not compressed, compact, virtual, in another file, converted when read, or written in part. Of a dataset in
    chunks each chunk must be a run of the array in C order; what pads the last one is left out.

    Raises:
        ContractBroken: it cannot be read, or holds too many objects.
    """
    with source.mapped("the file", WANTED), h5py.File(source.file, "r") as file:
        once = {h5py.h5o.get_info(d.id).addr: d for d in survey(file, source).datasets.values()}  # hard links
        found: list[ArrayInside] = []
        count = 0
        for dataset in once.values():
            runs = tuple(_runs(dataset)) if _is_plain(dataset) else ()
            count += len(runs)
            if len(found) == MOST_ARRAYS or count > MOST_RUNS:
                break
            if runs:
                found.append(ArrayInside(describe_dtype(dataset.dtype), dataset.shape, runs))
        return tuple(found)


def _is_plain(dataset: h5py.Dataset) -> bool:
    """Tell whether its elements lie in the file as in an array in memory."""
    dtype = dtype_of(dataset)
    if dtype is None or dtype.kind not in _NUMBERS or dtype.byteorder == ">" or not dataset.shape:
        return False
    if math.prod(dataset.shape) * dtype.itemsize < LEAST_NBYTES or dataset.id.get_create_plist().get_nfilters():
        return False
    # Of another type, e.g. of 12 bits in 16, HDF5 converts the elements when it reads them.
    return bool(h5py.h5t.py_create(dtype, logical=True) == dataset.id.get_type())


def _runs(dataset: h5py.Dataset) -> Iterator[tuple[int, int]]:
    """Yield offset in the file and nbytes of each run of the elements, in C order; of none where they lie otherwise."""
    layout = dataset.id.get_create_plist().get_layout()
    if layout == h5py.h5d.CONTIGUOUS:
        offset = dataset.id.get_offset()
        if offset is not None:
            yield offset, math.prod(dataset.shape) * dataset.dtype.itemsize
    elif layout == h5py.h5d.CHUNKED:
        yield from _chunk_runs(dataset)


def _chunk_runs(dataset: h5py.Dataset) -> Iterator[tuple[int, int]]:
    shape, chunk, itemsize = dataset.shape, dataset.chunks, dataset.dtype.itemsize
    axis = next((i for i, length in enumerate(chunk) if length > 1), len(chunk) - 1)  # along which chunks are cut
    grid = math.prod(-(-length // step) for length, step in zip(shape, chunk, strict=True))
    unlimited = [i for i, most in enumerate(dataset.maxshape) if most is None]
    if len(unlimited) == 1 and unlimited != [0]:  # HDF5 2.0 names wrong places: its index has that axis first
        return
    if chunk[axis + 1 :] != shape[axis + 1 :] or grid > MOST_RUNS:
        return
    step_nbytes = math.prod(chunk[axis + 1 :]) * itemsize
    placed: dict[tuple[int, ...], tuple[int, int]] = {}

    def note(info: h5py.h5d.StoreInfo) -> None:
        rows = min(chunk[axis], shape[axis] - info.chunk_offset[axis])
        placed[info.chunk_offset] = (info.byte_offset, rows * step_nbytes)

    dataset.id.chunk_iter(note)
    if len(placed) == grid:
        yield from (run for _, run in sorted(placed.items()))
