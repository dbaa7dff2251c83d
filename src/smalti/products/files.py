"""Product files: written whole or not at all, read by what they are."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from smalti.errors import NotFound, Refused, Unavailable
from smalti.products.hdf5 import read_hdf5, write_hdf5
from smalti.products.layout import Layout
from smalti.products.npz import read_npz, write_npz

# How a file is written, by the end of its name.
_WRITERS = {".h5": write_hdf5, ".hdf5": write_hdf5, ".npz": write_npz}
SUFFIXES = tuple(_WRITERS)
_ZIP = b"PK"


def save_layout(path: Path, layout: Layout) -> None:
    """Write the file whole or not at all: a temporary file beside it, synced, then renamed over ``path``.

    Raises:
        Refused: the name of the file ends in none of ``SUFFIXES``.
        Unavailable: the file system did not let the file be written.
    """
    if path.suffix not in _WRITERS:
        raise Refused(f"{path} would be a product of unknown form; let its name end in {' or '.join(SUFFIXES)}.")
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


def load_layout(path: Path, names: Iterable[str]) -> Layout:
    """Read the root attributes and those of the named datasets that the file has, wholly into memory.

    The first bytes decide whether it is an NPZ or an HDF5 file.

    Raises:
        NotFound: there is no such file.
        Refused: it is neither, or what is in it cannot be read.
        Unavailable: the file may not be read.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {path}; give the path of a product.")
    try:
        with path.open("rb") as file:
            is_zip = file.read(len(_ZIP)) == _ZIP
    except OSError as error:
        raise Unavailable(f"{path} may not be read: {error}.") from error
    return read_npz(path, names) if is_zip else read_hdf5(path, names)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
