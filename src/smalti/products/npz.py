"""A layout as a Ptychodus NPZ product, both ways; equal layouts give files of equal bytes.

The archive is flat: an attribute of a dataset is an array of its own, named ``object_center_x_m`` for ``center_x_m``
of ``object``. It has no place for links, nor for an attribute that ``ATTRIBUTES`` does not name: the copy of the OPR
weights at the probe is left out, their dataset is read by every release. No release reads the ``raw_data/`` members,
nor, before 1.7, tilt angle, polarization and the photon counts of each position; they are there for those who do.

Source: ``ptychodus/plugins/npz_product_file.py`` of ptychodus 1.0 to 1.7.0.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused
from smalti.formats import read_arrays
from smalti.products.layout import Attribute, Dataset, Layout, little_endian
from smalti.products.names import ATTRIBUTES

# The first moment a zip can state; a time of writing would make equal files differ.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_npz(path: Path, layout: Layout) -> None:
    """Write the layout as a new archive; only what asks for compression is deflated."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, value, compressed in _members(layout):
            member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            with archive.open(member, "w", force_zip64=True) as opened:
                np.lib.format.write_array(opened, little_endian(np.asarray(value)), allow_pickle=False)


def _members(layout: Layout) -> Iterator[tuple[str, Any, bool]]:
    yield from ((name, value, False) for name, value in layout.attrs.items())
    for path, dataset in layout.datasets.items():
        yield path, dataset.array, dataset.compressed
        for name in ATTRIBUTES.get(path, ()):
            if name in dataset.attrs:
                yield f"{path}_{name}", dataset.attrs[name], False


def read_npz(path: Path, names: Iterable[str]) -> Layout:
    """Read the attributes and those of the named datasets that the archive has.

    Raises:
        ContractBroken: it is damaged or hostile, as ``smalti.formats.read_arrays`` says.
        Refused: a named dataset does not hold numbers.
    """
    arrays = read_arrays(path)
    datasets = {name: _dataset(name, arrays, path) for name in names if name in arrays}
    of_datasets = {f"{on}_{name}" for on, of_one in ATTRIBUTES.items() for name in of_one}
    attrs = {
        name: _attribute(array)
        for name, array in arrays.items()
        if array.size == 1 and name not in datasets and name not in of_datasets
    }
    return Layout(attrs, datasets, source=str(path))


def _dataset(name: str, arrays: dict[str, NDArray[Any]], path: Path) -> Dataset:
    if arrays[name].dtype.kind not in "iufcb":
        raise Refused(f"{name} of {path} holds {arrays[name].dtype}; numbers were wanted there.")
    keys = {attribute: f"{name}_{attribute}" for attribute in ATTRIBUTES.get(name, ())}
    attrs = {attribute: arrays[key] for attribute, key in keys.items() if key in arrays}
    return Dataset(arrays[name], {attribute: _attribute(a) if a.size == 1 else a for attribute, a in attrs.items()})


def _attribute(array: NDArray[Any]) -> Attribute:
    value: Any = array.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value) if isinstance(value, str) else value
