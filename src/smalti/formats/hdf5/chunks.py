"""Which parts of an HDF5 dataset were never written; HDF5 itself hands out zeros for them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation, shown
from smalti.formats.source import Source

_ALWAYS_ALLOWED, _LEAST_NBYTES_OF_A_CHUNK = 1 << 16, 16  # the index of a file has an entry for each
_RANGES_SHOWN = 4
_AGAIN = "copy the file again once it is complete, or save what was written, with its positions, in a new file"


def nbytes_of(dataset: h5py.Dataset) -> int:
    """Return what its values take in memory, as its shape and type declare."""
    return math.prod(dataset.shape or ()) * int(dataset.dtype.itemsize)


def chunk_breaches(dataset: h5py.Dataset, place: str, source: Source, remedy: str) -> Iterator[Violation]:
    """Yield where chunks are too large or too many; HDF5 allocates a whole one for any part, and looks each up."""
    if not dataset.chunks:
        return
    chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
    yield from source.expansion_breaches(f"a chunk of {place}", chunk, source.nbytes, remedy)
    count, most = math.prod(_grid(dataset)), _ALWAYS_ALLOWED + source.nbytes // _LEAST_NBYTES_OF_A_CHUNK
    if count > most:
        larger = "write it again with larger chunks, e.g. one for each pattern"
        yield Violation("hdf5.chunks", place, f"{count} chunks", f"at most {most} in a file of this size", larger)


def absent_breaches(dataset: h5py.Dataset, place: str) -> Iterator[Violation]:
    """Yield what of a dataset was never written, by the numbers of its patterns where it is a stack.

    Where a writer allocated and filled everything beforehand the file does not say what was written; then nothing
    is found here. Asked only once ``chunk_breaches`` has bounded the number of chunks.
    """
    nbytes, stored = nbytes_of(dataset), dataset.id.get_storage_size()
    layout = dataset.id.get_create_plist().get_layout()
    if layout == h5py.h5d.CONTIGUOUS and stored != nbytes:
        never = ": it was never written" if stored == 0 else ""
        wanted = f"{nbytes} bytes, as its shape {shown(str(dataset.shape))} says"
        code = "hdf5.never_written" if never else "member.size"
        yield Violation(code, place, f"{stored} bytes of data{never}", wanted, _AGAIN)
    elif dataset.chunks and nbytes and dataset.id.get_num_chunks() != math.prod(_grid(dataset)):
        written = _written(dataset)
        if not written.all():
            found = f"{int(written.sum())} of {written.size} chunks written: {_absent_in_words(dataset, written)}"
            yield Violation("hdf5.never_written", place, found, "every value written", _AGAIN)


def _grid(dataset: h5py.Dataset) -> tuple[int, ...]:
    return tuple(-(-length // step) for length, step in zip(dataset.shape, dataset.chunks, strict=True))


def _written(dataset: h5py.Dataset) -> NDArray[np.bool_]:
    """Return for each chunk whether it is in the file."""
    grid, steps = _grid(dataset), dataset.chunks
    written = np.zeros(grid, np.bool_)

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        at = tuple(offset // step for offset, step in zip(chunk.chunk_offset, steps, strict=True))
        if all(index < length for index, length in zip(at, grid, strict=True)):  # others were cut off by a resize
            written[at] = True

    dataset.id.chunk_iter(note)
    return written


def _absent_in_words(dataset: h5py.Dataset, written: NDArray[np.bool_]) -> str:
    """Say which patterns (or rows) are absent: those that any absent chunk touches."""
    axis = next((i for i, length in enumerate(dataset.shape) if length > 1), 0)
    lines = np.moveaxis(written, axis, 0).reshape(written.shape[axis], -1)
    touched = ~lines.all(axis=1)
    whole = bool((~lines[touched]).all())
    step, length = dataset.chunks[axis], dataset.shape[axis]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], touched, [False]]).astype(int)))
    ranges = [(start * step, min(end * step, length) - 1) for start, end in edges.reshape(-1, 2)]
    words = [f"{first} to {last}" if last > first else str(first) for first, last in ranges[:_RANGES_SHOWN]]
    more = f" and {len(ranges) - _RANGES_SHOWN} more ranges" if len(ranges) > _RANGES_SHOWN else ""
    thing = "pattern" if dataset.ndim >= 3 else "row" if dataset.ndim == 2 else "value"
    one = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    parts = "" if whole else "a part of " if one else "parts of "
    return f"{parts}{thing}{'' if one else 's'} {', '.join(words)}{more} {'was' if one else 'were'} never written"
