"""A product file as a value: its attributes, datasets and hard links; and that value as an HDF5 file, both ways.

Nothing here knows what the names mean. Equal layouts give files of equal bytes.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import NotFound, Refused, Unavailable

# What deflate can reach at most (https://zlib.net/zlib_tech.html), and what an object header of 64 kB can hold.
_LARGEST_RATIO = 1032
_LARGEST_ATTRIBUTE = 1 << 16

Attribute = str | bool | int | float | np.generic | NDArray[Any]


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    """One array of the file, with its attributes; ``compressed`` writes gzip 4 and shuffle, a chunk a row."""

    array: NDArray[Any]
    attrs: Mapping[str, Attribute] = field(default_factory=dict)
    compressed: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Layout:
    """What a product file holds.

    Attributes:
        attrs: root attributes by name.
        datasets: datasets by path, ``probe`` or ``raw_data/diffraction``, in the order they are written.
        links: further names of datasets, path -> path.
        source: how an error message calls the file.
    """

    attrs: Mapping[str, Attribute]
    datasets: Mapping[str, Dataset]
    links: Mapping[str, str] = field(default_factory=dict)
    source: str = "the product"

    def array(self, *names: str) -> NDArray[Any] | None:
        """Return the array of the first of these datasets that is there, else None."""
        return next((self.datasets[name].array for name in names if name in self.datasets), None)

    def number(self, *names: str, on: str | None = None) -> float | None:
        """Return the first of these attributes (of the root, or of the dataset ``on``) as a float, else None.

        Raises:
            Refused: the attribute is not one number.
        """
        attrs = self.attrs if on is None else self.datasets[on].attrs
        name = next((name for name in names if name in attrs), None)
        if name is None:
            return None
        value = np.asarray(attrs[name])
        if value.size != 1 or value.dtype.kind not in "fiub":
            place = name if on is None else f"{on}.{name}"
            raise Refused(f"attribute {place} of {self.source} is {attrs[name]!r}; write it as one number.")
        return float(value.reshape(()))


def save_layout(path: Path, layout: Layout) -> None:
    """Write the file whole or not at all: a temporary file beside it, synced, then renamed over ``path``.

    Raises:
        Unavailable: the file system did not let the file be written.
    """
    import h5py

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            temporary = Path(folder, path.name)
            with h5py.File(temporary, "w") as file:
                _fill(file, layout)
            _sync(temporary)
            temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise Unavailable(f"{path} could not be written: {error}; check the folder and its space.") from error


def _fill(file: Any, layout: Layout) -> None:
    _set_attributes(file, layout.attrs)
    for path, dataset in layout.datasets.items():
        options: dict[str, Any] = {}
        if dataset.compressed:
            rows = (1, *dataset.array.shape[1:])
            options = {"chunks": rows, "compression": "gzip", "compression_opts": 4, "shuffle": True}
        # A creation time would make equal files differ.
        written = file.create_dataset(path, data=_little_endian(dataset.array), track_times=False, **options)
        _set_attributes(written, dataset.attrs)
    for name, target in layout.links.items():
        file[name] = file[target]


def _set_attributes(target: Any, attrs: Mapping[str, Attribute]) -> None:
    for name, value in attrs.items():
        target.attrs[name] = _little_endian(value) if isinstance(value, np.ndarray) else value


def _little_endian(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_layout(path: Path, names: Iterable[str]) -> Layout:
    """Read the root attributes and those of the named datasets that the file has, wholly into memory.

    Raises:
        NotFound: there is no such file.
        Refused: it is no HDF5 file, or a named dataset is no dataset, lies outside the file or cannot be read.
    """
    import h5py

    if not path.is_file():
        raise NotFound(f"there is no file {path}; give the path of an HDF5 product.")
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
    sizes = {name: math.prod(target.attrs.get_id(name).shape or ()) for name in target.attrs}
    large = [name for name, size in sizes.items() if size > _LARGEST_ATTRIBUTE]
    if large:
        raise Refused(f"attribute {large[0]} of {path} claims {sizes[large[0]]} entries; none needs so many.")
    return {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value
        for name, value in target.attrs.items()
        if isinstance(value, str | bytes | bool | int | float | np.generic | np.ndarray)
    }
