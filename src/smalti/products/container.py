"""The layout of a product as an HDF5 or NPZ file: written whole or not at all, read by content, only what is asked for.

The NPZ archive is flat: an attribute of a dataset is an array of its own, named ``object_center_x_m`` for
``center_x_m`` of ``object``. It has no place for links, nor for an attribute that ``ATTRIBUTES`` does not name: the
copy of the OPR weights at the probe is left out, their dataset is read by every release. No release reads the
``raw_data/`` members, nor, before 1.7, tilt angle, polarization and the photon counts of each position; they are there
for those who do.

Source: ``ptychodus/plugins/npz_product_file.py`` of ptychodus 1.0 to 1.7.0.
"""

from __future__ import annotations

import math
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from smalti.contracts.violation import Violation
from smalti.errors import ContractBroken, Refused, Unavailable
from smalti.formats import DEFAULT_LIMITS, Limits, opened
from smalti.formats.decompress import unwrapped
from smalti.formats.source import Source
from smalti.products.layout import ATTRIBUTES, ESSENTIAL, ROOT_ATTRIBUTES, Attribute, Dataset, Layout, little_endian

# An object header of HDF5 1.6 ends at 64 kB; since 1.8 (2008) a larger attribute may lie outside of it.
_LARGEST_IN_A_HEADER_NBYTES = 60_000
_OUTSIDE_THE_HEADER = ("v108", "v108")
# The first moment a zip can state; a time of writing would make equal files differ.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_OPR = {"probe": ("opr_weights",)}  # where Ptychodus 1.0 to 1.2 read them
_INSIDE = "copy the data into this file, e.g. with h5py"


def save_layout(path: Path, layout: Layout) -> None:
    """Write the file whole or not at all: a temporary file beside it, synced, then renamed over ``path``.

    Equal layouts give files of equal bytes.

    Raises:
        Refused: the name of the file ends in none of ``.h5``, ``.hdf5`` and ``.npz``.
        Unavailable: the file system did not let the file be written.
    """
    if path.suffix not in _WRITERS:
        raise Refused(f"{path} would be a product of unknown form; let its name end in {' or '.join(_WRITERS)}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            temporary = Path(folder, path.name)
            _WRITERS[path.suffix](temporary, layout)
            _sync(temporary)
            temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise Unavailable(f"{path} could not be written: {error}; check the folder and its space.") from error


def load_layout(path: Path, names: Iterable[str], limits: Limits = DEFAULT_LIMITS) -> Layout:
    """Read the attributes of a product, and those of the named datasets that the file has, wholly into memory.

    What is not named is not looked at. The first bytes decide whether it is an NPZ or an HDF5 file.

    Raises:
        NotFound: there is no such file.
        ContractBroken: it is neither, or what is asked for is damaged or hostile.
        Unavailable: the file may not be read.
    """
    with opened(path, limits) as source, unwrapped(source) as (content, form):
        if form == "hdf5":
            return _read_hdf5(content, names)
        if form == "zip":
            return _read_npz(content, names)
        found, remedy = f"a file in the form {form}", "give the product itself"
        raise content.refuse("file.format", "the file", found, "a product as HDF5 or NPZ", remedy)


def _write_hdf5(path: Path, layout: Layout) -> None:
    """Write the layout as a new file; what is compressed gets gzip 4 and shuffle, a chunk a row."""
    import h5py

    attributes = (value for dataset in layout.datasets.values() for value in dataset.attrs.values())
    large = any(np.asarray(value).nbytes > _LARGEST_IN_A_HEADER_NBYTES for value in attributes)
    with h5py.File(path, "w", libver=_OUTSIDE_THE_HEADER if large else None) as file:
        _set_attributes(file, layout.attrs)
        for name, dataset in layout.datasets.items():
            options: dict[str, Any] = {}
            if dataset.compressed:
                rows = (1, *dataset.array.shape[1:])
                options = {"chunks": rows, "compression": "gzip", "compression_opts": 4, "shuffle": True}
            # A creation time would make equal files differ.
            written = file.create_dataset(name, data=little_endian(dataset.array), track_times=False, **options)
            _set_attributes(written, dataset.attrs)
        for name, target in layout.links.items():
            file[name] = file[target]


def _set_attributes(target: Any, attrs: Mapping[str, Attribute]) -> None:
    for name, value in attrs.items():
        target.attrs[name] = little_endian(value) if isinstance(value, np.ndarray) else value


def _read_hdf5(source: Source, names: Iterable[str]) -> Layout:
    import h5py

    from smalti.formats.hdf5.chunks import nbytes_of
    from smalti.formats.hdf5.dataset import REMEDY, WANTED, header_breaches, values_of
    from smalti.formats.hdf5.superblock import require_closed

    require_closed(source)
    with source.mapped("the file", WANTED), h5py.File(source.file, "r") as file:
        found: dict[str, Any] = {}
        unread: tuple[Violation, ...] = ()
        for name in names:
            try:
                dataset = _dataset(file, name, source)
                if dataset is not None:
                    source.require(header_breaches(dataset, f"dataset {name}", source))
                    found[name] = dataset
            except ContractBroken as error:
                if name in ESSENTIAL:
                    raise
                unread += tuple(replace(v, severity="warning") for v in error.violations if isinstance(v, Violation))
        source.claim("the file", sum(map(nbytes_of, found.values())), REMEDY, declared=True)
        datasets = {}
        for name, dataset in found.items():
            array, _ = values_of(dataset, f"dataset {name}", source)
            datasets[name] = Dataset(
                array, _attributes(dataset, (*ATTRIBUTES.get(name, ()), *_OPR.get(name, ())), source)
            )
        return Layout(_attributes(file, ROOT_ATTRIBUTES, source), datasets, unread=unread)


def _dataset(file: Any, name: str, source: Source) -> Any:
    """Return one dataset, never of another file: HDF5 follows links and external storage without a word."""
    import h5py

    place, parts = f"dataset {name}", name.split("/")
    for end in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:end]), getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise source.refuse("hdf5.link", place, "a link to another place", "data in its place", _INSIDE)
        if end < len(parts) and not isinstance(file["/".join(parts[:end])], h5py.Group):
            return None
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise source.refuse("member.dtype", place, "a group", "an array", "write the array under this name")
    if found.external or found.is_virtual:
        raise source.refuse("hdf5.external", place, "data in another file", "data in this file", _INSIDE)
    return found


def _attributes(target: Any, names: Iterable[str], source: Source) -> dict[str, Attribute]:
    """Return those of the named attributes that are there and hold text or numbers."""
    import h5py

    found: dict[str, Attribute] = {}
    for name in names:
        if name not in target.attrs:
            continue
        id_ = target.attrs.get_id(name)
        # A damaged shape asks for terabytes, and HDF5 tries.
        nbytes = math.prod(id_.shape or ()) * int(id_.dtype.itemsize)
        if nbytes > source.nbytes:
            claimed, wanted = f"{nbytes} bytes", f"at most the {source.nbytes} bytes of the file"
            raise source.refuse("archive.overlap", f"attribute {name}", claimed, wanted, "write the file again")
        value = target.attrs[name]
        if isinstance(value, bytes):
            found[name] = value.decode(errors="replace")
        elif isinstance(value, str | bool | int | float | np.generic | np.ndarray) and not isinstance(
            value, h5py.Empty
        ):
            found[name] = value
    return found


def _write_npz(path: Path, layout: Layout) -> None:
    """Write the layout as a new archive; only what asks for compression is deflated."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, value, compressed in _members(layout):
            member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, little_endian(np.asarray(value)), allow_pickle=False)


def _members(layout: Layout) -> Iterator[tuple[str, Any, bool]]:
    yield from ((name, value, False) for name, value in layout.attrs.items())
    for path, dataset in layout.datasets.items():
        yield path, dataset.array, dataset.compressed
        for name in ATTRIBUTES.get(path, ()):
            if name in dataset.attrs:
                yield f"{path}_{name}", dataset.attrs[name], False


def _read_npz(source: Source, names: Iterable[str]) -> Layout:
    from smalti.formats import npz

    names = tuple(names)
    of_datasets = {f"{on}_{name}": (on, name) for on, of_one in ATTRIBUTES.items() for name in of_one}
    arrays = npz.read(source, {*names, *ROOT_ATTRIBUTES, *of_datasets}).arrays
    attrs: dict[str, dict[str, Attribute]] = {name: {} for name in names}
    for key, (on, name) in of_datasets.items():
        if key in arrays and on in attrs:
            attrs[on][name] = _text(arrays[key])
    datasets = {name: Dataset(arrays[name], attrs[name]) for name in names if name in arrays}
    return Layout({name: _text(arrays[name]) for name in ROOT_ATTRIBUTES if name in arrays}, datasets)


def _text(array: Any) -> Attribute:
    """Return text as such; numbers stay an array."""
    value = array.reshape(-1)[0] if array.size == 1 else array
    return (
        value.decode(errors="replace") if isinstance(value, bytes) else str(value) if isinstance(value, str) else array
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# How a file is written, by the end of its name.
_WRITERS = {".h5": _write_hdf5, ".hdf5": _write_hdf5, ".npz": _write_npz}
