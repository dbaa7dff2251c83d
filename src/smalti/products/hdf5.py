"""A layout as an HDF5 file, both ways; equal layouts give files of equal bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from smalti.errors import Refused, Unavailable
from smalti.products.layout import Attribute, Dataset, Layout, little_endian

# What deflate can reach at most (https://zlib.net/zlib_tech.html).
_LARGEST_RATIO = 1032
# An object header of HDF5 1.6 ends at 64 kB; since 1.8 (2008) a larger attribute may lie outside of it.
_LARGEST_IN_A_HEADER_NBYTES = 60_000
_OUTSIDE_THE_HEADER = ("v108", "v108")


def write_hdf5(path: Path, layout: Layout) -> None:
    """Write the layout as a new file; what is compressed gets gzip 4 and shuffle, a chunk a row."""
    import h5py

    attributes = (value for dataset in layout.datasets.values() for value in dataset.attrs.values())
    large = any(np.asarray(value).nbytes > _LARGEST_IN_A_HEADER_NBYTES for value in attributes)
    with h5py.File(path, "w", libver=_OUTSIDE_THE_HEADER if large else None) as file:
        _fill(file, layout)


def _fill(file: Any, layout: Layout) -> None:
    _set_attributes(file, layout.attrs)
    for path, dataset in layout.datasets.items():
        options: dict[str, Any] = {}
        if dataset.compressed:
            rows = (1, *dataset.array.shape[1:])
            options = {"chunks": rows, "compression": "gzip", "compression_opts": 4, "shuffle": True}
        # A creation time would make equal files differ.
        written = file.create_dataset(path, data=little_endian(dataset.array), track_times=False, **options)
        _set_attributes(written, dataset.attrs)
    for name, target in layout.links.items():
        file[name] = file[target]


def _set_attributes(target: Any, attrs: Mapping[str, Attribute]) -> None:
    for name, value in attrs.items():
        target.attrs[name] = little_endian(value) if isinstance(value, np.ndarray) else value


def read_hdf5(path: Path, names: Iterable[str]) -> Layout:
    """Read the root attributes and those of the named datasets that the file has, wholly into memory.

    Raises:
        Refused: it is no HDF5 file, or a named dataset is no dataset, lies outside the file or cannot be read.
        Unavailable: the file may not be read.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = {name: _dataset(file, name, path) for name in names}
            present = {name: dataset for name, dataset in found.items() if dataset is not None}
            return Layout(_attributes(file, path), present, source=str(path))
    except Refused:
        raise
    except PermissionError as error:
        raise Unavailable(f"{path} may not be read: {error}.") from error
    except (OSError, LookupError, RuntimeError, TypeError, ValueError, MemoryError) as error:
        raise Refused(f"{path} cannot be read as HDF5: {error}; give a file that is whole.") from error


def _dataset(file: Any, name: str, path: Path) -> Dataset | None:
    """Read one dataset, never from another file: HDF5 follows links and external storage without a word."""
    import h5py

    parts = name.split("/")
    for end in range(1, len(parts) + 1):
        place = "/".join(parts[:end])
        link = file.get(place, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise Refused(f"{place} of {path} is a link to another place; copy what it points to into the file.")
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise Refused(f"{name} of {path} is no dataset; an array was wanted there.")
    if found.external or found.is_virtual:
        raise Refused(f"{name} of {path} keeps its data in another file; copy the data into this one.")
    if found.dtype.kind not in "iufcb":
        raise Refused(f"{name} of {path} holds {found.dtype}; numbers were wanted there.")
    if found.nbytes > _LARGEST_RATIO * path.stat().st_size:
        raise Refused(f"{name} of {path} claims {found.nbytes} bytes, which a file of that size cannot hold.")
    return Dataset(np.asarray(found[()]), _attributes(found, path))


def _attributes(target: Any, path: Path) -> dict[str, Attribute]:
    # A damaged shape asks for terabytes, and HDF5 tries.
    ids = {name: target.attrs.get_id(name) for name in target.attrs}
    sizes = {name: math.prod(id_.shape or ()) * int(id_.dtype.itemsize) for name, id_ in ids.items()}
    large = [name for name, nbytes in sizes.items() if nbytes > path.stat().st_size]
    if large:
        claimed = f"attribute {large[0]} of {path} claims {sizes[large[0]]} bytes"
        raise Refused(f"{claimed}, which a file of that size cannot hold.")
    return {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value
        for name, value in target.attrs.items()
        if isinstance(value, str | bytes | bool | int | float | np.generic | np.ndarray)
    }
