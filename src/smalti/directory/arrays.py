"""Stub until the array files are here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from smalti.directory.errors import WrongType


class ArrayFile:
    """Reader for one HDF5 file with the dataset ``data``."""

    def __init__(self, path: Path) -> None:
        import h5py

        self.path = path
        with h5py.File(path, "r") as file:
            self.shape = file["data"].shape
            self.dtype = file["data"].dtype

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        import h5py

        with h5py.File(self.path, "r") as file:
            return file["data"][key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self[...], dtype)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(np.asarray(self[...]), name)


def as_array(value: object) -> Any:
    """Return what ``write_array`` would store."""
    array = np.asarray(value)
    if array.dtype.kind not in "biufcSV":
        raise WrongType(f"{value!r} is no array of numbers or byte strings; use byte strings, array.astype('S').")
    return array


def write_array(path: Path, value: object) -> None:
    """Replace the array."""
    import h5py

    beside = path.with_name(f"_{path.name}.{os.getpid()}.part")
    with h5py.File(beside, "w") as file:
        file["data"] = as_array(value)
    beside.replace(path)


def extend_array(path: Path, value: object) -> None:
    """Append on axis 0."""
    array = as_array(value)
    if path.exists():
        array = np.concatenate([ArrayFile(path)[...], array])
    write_array(path, array)
