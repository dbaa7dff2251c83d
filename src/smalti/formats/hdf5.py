"""Arrays out of an HDF5 file that keeps all of its data within itself: products, CXI, or arrays under names."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation, shown
from smalti.formats import cxi
from smalti.formats.content import Content
from smalti.formats.hdf5_survey import Survey, survey
from smalti.formats.sniff import recognise
from smalti.formats.source import Source

_WANTED = "a whole HDF5 file"
_REMEDY = "write it again as plain arrays with h5py"
_NUMBERS = "biufc"
_RAW = "raw_data"  # the scan that PtychoPINN puts into a Ptychodus product
_CHUNKS_ALWAYS_ALLOWED, _LEAST_NBYTES_OF_A_CHUNK = 1 << 16, 16  # the index of a file has an entry for each
# Those inside the HDF5 library and h5py; any other would be looked for in folders of plugins.
_BUILT_IN_FILTERS = {1, 2, 3, 4, 5, 6, 32000}
_FILTER_NAMES = {
    32001: "Blosc", 32004: "LZ4", 32008: "bitshuffle", 32013: "ZFP", 32015: "Zstandard", 32017: "SZ", 32026: "Blosc2"
}  # fmt: skip


def read(source: Source, _wanted: Collection[str] | None = None) -> Content:
    """Return the arrays of the file under the names they have for a scan.

    Of a Ptychodus product with a ``raw_data`` group, that group; of a CXI or NeXus file, what ``cxi`` finds; else
    every dataset of numbers under its path. Text is left out: it is metadata.
    """
    with _surveyed(source) as found:
        wanted = _names(found)
        datasets = _claimed(found, wanted, source)
        read_once: dict[h5py.h5d.DatasetID, NDArray[Any]] = {}  # hard links are many names of one dataset
        for name, dataset in datasets.items():
            with source.mapped(f"dataset {shown(wanted[name])}", _WANTED):
                if dataset.id not in read_once:
                    read_once[dataset.id] = np.asarray(dataset[()])
        arrays = {name: read_once[dataset.id] for name, dataset in datasets.items()}
        return Content(cxi.arrays(arrays, found, source) if cxi.entry(found) else arrays)


def names(source: Source) -> list[str]:
    """Return the path of every dataset in the file."""
    with _surveyed(source) as found:
        listed = found.paths()
    source.file.seek(0)
    return listed


def require_sound(source: Source) -> None:
    """Judge the file as ``read`` does, and make room for all of it, but read none of its arrays.

    Raises:
        ContractBroken: it is damaged or hostile.
    """
    if (form := recognise(source)) != "hdf5":
        found_there, remedy = f"a file in the form {form}", "give an HDF5 file"
        raise source.refuse("file.format", "the file", found_there, "an HDF5 file", remedy)
    with _surveyed(source) as found:
        _claimed(found, {path: path for path in found.paths() if not _is_text(found, path)}, source)


@contextmanager
def _surveyed(source: Source) -> Iterator[Survey]:
    with source.mapped("the file", _WANTED), h5py.File(source.file, "r") as file:
        yield survey(file, source)


def _claimed(found: Survey, wanted: Mapping[str, str], source: Source) -> dict[str, h5py.Dataset]:
    """Return the datasets that are wanted, once their headers have been judged and room has been made for them."""
    source.require(_breaches(found, wanted, source))
    datasets = {name: found.dataset(path) for name, path in wanted.items()}
    once = {dataset.id: dataset for dataset in datasets.values()}
    source.claim("the file", sum(_nbytes(dataset) for dataset in once.values()), _REMEDY)
    return datasets


def _names(found: Survey) -> Mapping[str, str]:
    """Return name -> path of what is read."""
    if cxi.entry(found):
        return cxi.paths(found)
    paths = [path for path in found.paths() if not _is_text(found, path)]
    raw = {path.removeprefix(f"{_RAW}/"): path for path in paths if path.startswith(f"{_RAW}/")}
    return raw or {path: path for path in paths}


def _is_text(found: Survey, path: str) -> bool:
    dtype = found.dataset(path).dtype
    return dtype.kind in "SU" or h5py.check_string_dtype(dtype) is not None


def _breaches(found: Survey, wanted: Mapping[str, str], source: Source) -> Iterator[Violation]:
    if len(wanted) > source.limits.members:
        count, most = f"{len(wanted)} datasets", f"at most {source.limits.members}"
        yield Violation("archive.members", "the file", count, most, "keep the arrays of one scan in a file")
    for path in wanted.values():
        yield from _dataset_breaches(found.dataset(path), f"dataset {shown(path)}", source)


def _dataset_breaches(dataset: h5py.Dataset, place: str, source: Source) -> Iterator[Violation]:
    """Judge what the header of a dataset says of type, size and filters; nothing of its data has been read."""
    kind = dataset.dtype.kind
    if kind not in _NUMBERS or dataset.dtype.subdtype is not None:
        found = f"values of type {shown(str(dataset.dtype))}"
        yield Violation("member.dtype", place, found, "plain numbers", _REMEDY)
        return
    nbytes, stored, creation = _nbytes(dataset), dataset.id.get_storage_size(), dataset.id.get_create_plist()
    if dataset.shape is None:
        yield Violation("member.size", place, "no values at all", "an array", "save it with its values")
        return
    if stored > source.nbytes:
        found, wanted = f"{stored} bytes that overlap", f"at most the {source.nbytes} bytes of the file"
        yield Violation("archive.overlap", place, found, wanted, _REMEDY)
    if creation.get_layout() == h5py.h5d.CONTIGUOUS and stored != nbytes:
        found = f"{stored} bytes of data"
        wanted = f"{nbytes} bytes, as its shape {shown(str(dataset.shape))} says"
        yield Violation("member.size", place, found, wanted, "copy the file again; it was not written to its end")
    if dataset.chunks:
        yield from _chunk_breaches(dataset, place, source)
    yield from source.expansion_breaches(place, nbytes, source.stored_nbytes, _REMEDY)
    for code in (creation.get_filter(i)[0] for i in range(creation.get_nfilters())):
        if code not in _BUILT_IN_FILTERS:
            found = f"compression by {_FILTER_NAMES.get(code, 'a plugin')} (filter {code})"
            remedy = "write it again with gzip, e.g. h5repack -f GZIP=4 old.h5 new.h5"
            yield Violation("hdf5.filter", place, found, "no compression, gzip or LZF", remedy)


def _chunk_breaches(dataset: h5py.Dataset, place: str, source: Source) -> Iterator[Violation]:
    """HDF5 allocates a whole chunk for any part of it, and looks every chunk up, the absent ones too."""
    chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
    yield from source.expansion_breaches(f"a chunk of {place}", chunk, source.nbytes, _REMEDY)
    count = math.prod(-(-length // step) for length, step in zip(dataset.shape, dataset.chunks, strict=True))
    most = _CHUNKS_ALWAYS_ALLOWED + source.nbytes // _LEAST_NBYTES_OF_A_CHUNK
    if count > most:
        remedy = "write it again with larger chunks, e.g. one for each pattern"
        yield Violation("hdf5.chunks", place, f"{count} chunks", f"at most {most} in a file of this size", remedy)


def _nbytes(dataset: h5py.Dataset) -> int:
    return math.prod(dataset.shape or ()) * int(dataset.dtype.itemsize)


def read_datasets(datasets: Mapping[str, h5py.Dataset], source: Source) -> dict[str, NDArray[Any]]:
    """Return the arrays of datasets of an open file, by the same names; nothing else in the file is looked at.

    Raises:
        ContractBroken: one is damaged or hostile, or they are more than a file of this size may hold.
    """
    source.require(
        breach
        for name, dataset in datasets.items()
        for breach in _dataset_breaches(dataset, f"dataset {shown(name)}", source)
    )
    source.claim("the file", sum(_nbytes(dataset) for dataset in datasets.values()), _REMEDY)
    arrays = {}
    for name, dataset in datasets.items():
        with source.mapped(f"dataset {shown(name)}", _WANTED):
            arrays[name] = np.asarray(dataset[()])
    return arrays
