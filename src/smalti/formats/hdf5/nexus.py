"""What CXI and NeXus files say in words: attributes, classes of groups, and numbers with their units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation, shown
from smalti.formats.hdf5.dataset import dtype_of, header_breaches, values_of
from smalti.formats.hdf5.survey import Survey
from smalti.formats.hdf5.units import Quantity, factor_of

_LARGEST_NBYTES = 1 << 22  # a number for each of 500,000 patterns
_LONGEST_TEXT = 4096
_SI = {"length": "m", "energy": "J", "time": "s"}


def text(item: h5py.Group | h5py.Dataset, attribute: str) -> str | None:
    """Return an attribute that is one piece of text; None where there is no such."""
    if attribute not in item.attrs or item.attrs.get_id(attribute).shape not in ((), (1,)):
        return None
    value = np.asarray(item.attrs[attribute]).reshape(-1)[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def vector(item: h5py.Dataset, attribute: str = "vector") -> NDArray[np.float64] | None:
    """Return an attribute that is a direction in space, as a vector of length 1; None where there is no such."""
    if attribute not in item.attrs or item.attrs.get_id(attribute).shape != (3,):
        return None
    value = np.asarray(item.attrs[attribute])
    return unit_vector(value) if value.dtype.kind in "iuf" else None


def unit_vector(value: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return a vector at length 1; None where it has no direction."""
    along = value.astype(np.float64)
    length = float(np.linalg.norm(along))
    return along / length if np.isfinite(length) and length > 0 else None


def of_class(found: Survey, under: str, nx_class: str) -> Iterator[str]:
    """Yield the groups in the group ``under`` that have an ``NX_class``."""
    prefix = f"{under}/" if under else ""
    for path, group in found.groups.items():
        if path.startswith(prefix) and path and "/" not in path[len(prefix) :] and text(group, "NX_class") == nx_class:
            yield path


def word(found: Survey, path: str) -> str | None:
    """Return a dataset that is one piece of text; None where there is no such."""
    if not found.has(path):
        return None
    dataset = found.dataset(path)
    if dataset.shape not in ((), (1,)) or dataset.id.get_storage_size() > _LONGEST_TEXT:
        return None
    if h5py.check_string_dtype(dataset.dtype) is None:
        return None
    value = np.asarray(dataset[()]).reshape(-1)[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def unit_factor(dataset: h5py.Dataset, path: str, quantity: Quantity) -> tuple[float, str] | Violation:
    """Return metres, electronvolts or seconds per unit, and the unit; without an attribute, that of SI, as in CXI."""
    said = text(dataset, "units") or _SI[quantity]
    factor = factor_of(said, quantity)
    if factor is None:
        wanted = f"a unit of {quantity}, e.g. {_SI[quantity]}"
        found = f"the unit {shown(repr(said))}"
        return Violation("hdf5.unit", f"dataset {shown(path)}", found, wanted, "correct its attribute units")
    return factor, said


def numbers(found: Survey, path: str, largest_nbytes: int = _LARGEST_NBYTES) -> NDArray[np.float64] | Violation:
    """Return the real numbers of a small dataset, or why it does not hold such."""
    if fault := found.fault(path):
        return fault
    dataset, place = found.dataset(path), f"dataset {shown(path)}"
    if fault := next(iter(header_breaches(dataset, place, found.source)), None):
        return fault
    dtype = dtype_of(dataset)
    if dtype is None or dtype.kind not in "iuf" or dataset.size * dtype.itemsize > largest_nbytes:
        found_there = f"{dtype} of shape {dataset.shape}"
        return Violation("member.dtype", place, found_there, "real numbers, not many", "correct it")
    return values_of(dataset, place, found.source)[0].astype(np.float64)


def finite_numbers(found: Survey, path: str) -> NDArray[np.float64] | Violation:
    """Return the real numbers of a small dataset, one or more and all finite, or why it does not hold such."""
    values = numbers(found, path)
    if isinstance(values, Violation) or (values.size and np.isfinite(values).all()):
        return values
    place, found_there = f"dataset {shown(path)}", "no values" if not values.size else "values that are not finite"
    return Violation("member.values", place, found_there, "finite numbers", "correct it")
