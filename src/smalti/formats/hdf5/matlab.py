"""MATLAB's own ways in an HDF5 file (save -v7.3): reversed axes, complex numbers as two parts, values that are text.

Format: https://www.mathworks.com/help/matlab/import_export/mat-file-versions.html
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

_PARTS = (("real", "imag"), ("re", "im"), ("r", "i"))
INTERNAL = ("#refs#", "#subsystem#")  # groups of MATLAB's own, not of a person


def class_of(dataset: h5py.Dataset) -> str | None:
    """Return the MATLAB class of a dataset, e.g. ``uint16`` or ``char``; None where MATLAB did not write it."""
    if "MATLAB_class" not in dataset.attrs or dataset.attrs.get_id("MATLAB_class").shape not in ((), (1,)):
        return None
    said = np.asarray(dataset.attrs["MATLAB_class"]).reshape(-1)[0]
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def is_empty(dataset: h5py.Dataset) -> bool:
    """Tell whether the dataset stands for an empty array: then its values are that array's shape."""
    return "MATLAB_empty" in dataset.attrs


def shape_of(dataset: h5py.Dataset) -> tuple[int, ...]:
    """Return the shape that its writer gave it; MATLAB counts the first axis fastest, HDF5 the last."""
    shape = tuple(dataset.shape or ())
    return shape[::-1] if class_of(dataset) else shape


def is_complex(dtype: np.dtype[Any]) -> bool:
    """Tell whether a compound is one complex number: two parts of one floating-point type."""
    if dtype.names not in _PARTS or dtype.names is None:
        return False
    real, imaginary = (dtype[name] for name in dtype.names)
    return real == imaginary and real.kind == "f" and dtype.itemsize == 2 * real.itemsize


def as_written(array: NDArray[Any], dataset: h5py.Dataset) -> tuple[NDArray[Any], str]:
    """Return the array as whoever saved it had it, and what was done in words, empty where nothing was."""
    done = []
    if is_complex(array.dtype) and array.dtype.names:
        real, imaginary = array.dtype.names
        array = _complex(array)
        done.append(f"complex numbers out of {real} and {imaginary}")
    said = class_of(dataset)
    if said == "logical" and array.dtype.kind in "iu":
        array = array.astype(np.bool_)
    if said and array.ndim > 1:
        array = array.T
        done.append(f"axes turned around to {array.shape}, as MATLAB has them")
    return array, ", ".join(done)


def _complex(pairs: NDArray[Any]) -> NDArray[Any]:
    real, imaginary = (pairs[name] for name in pairs.dtype.names or ())
    joined = np.empty(pairs.shape, np.result_type(real.dtype.newbyteorder("="), np.complex64))
    joined.real, joined.imag = real, imaginary
    return joined
