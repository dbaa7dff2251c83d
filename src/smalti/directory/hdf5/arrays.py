"""One array in an HDF5 file of its own, used like an array of numpy; the file is open only while it is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import DTypeLike, NDArray

from smalti.directory.hdf5.array_values import as_array
from smalti.directory.hdf5.array_writing import extend_array, write_array
from smalti.directory.hdf5.reading import read_dataset

if TYPE_CHECKING:
    import h5py

__all__ = ["ArrayFile", "as_array", "extend_array", "write_array"]

_BLOCK_NBYTES = 4 * 1024 * 1024
_HANDLES = {"dims", "file", "id", "parent", "ref", "regionref"}  # what h5py gives is of no use in a closed file


class ArrayFile(NDArrayOperatorsMixin):
    """The dataset ``data`` of an HDF5 file, as it is whenever it is asked for: nothing is kept in memory.

    ``x[...]`` reads what h5py reads; an index that h5py does not take (``x[::-1]``, numbers in any order) is applied
    to the whole. Operators, comparisons, numpy's functions and the methods of an array (``x.mean()``) read the whole
    and give what numpy gives. Everything else that a dataset of h5py has (``chunks``, ``maxshape``) is asked of it;
    ``attrs`` is a dict of the attributes. It is read only: write with ``write_array`` and ``extend_array``.

    A method of an array that would change it changes the copy that was read, not the file.
    """

    __slots__ = ("path",)  # so that x.note = 1 is an error: it would be in no file
    __hash__ = None  # type: ignore[assignment]  # equality is that of the elements

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        try:
            found = f"shape={self.shape}, dtype={self.dtype}"
        except OSError:  # a list of entries is shown whatever is in one of them
            found = "unreadable"
        return f"ArrayFile({str(self.path)!r}, {found})"

    @property
    def shape(self) -> tuple[int, ...]:
        """As numpy's."""
        return read_dataset(self.path, _shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """As numpy's."""
        return read_dataset(self.path, lambda data: data.dtype)

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes of the dataset, a copy."""
        return read_dataset(self.path, lambda data: dict(data.attrs))

    def __len__(self) -> int:
        shape = self.shape
        if not shape:
            raise TypeError("len() of an array without axes")
        return shape[0]

    def __setitem__(self, key: Any, value: object) -> None:
        raise TypeError(
            "an ArrayFile is read only; take a copy, x[...], change that, and store it: directory.x = copy."
        )

    def __getitem__(self, key: Any) -> Any:
        return read_dataset(self.path, lambda data: _indexed(data, key))

    def __iter__(self) -> Iterator[Any]:
        """Return the rows, read some at a time."""
        shape, dtype = self.shape, self.dtype
        if not shape:
            raise TypeError("iteration over an array without axes")
        row_nbytes = max(1, int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize)
        step = max(1, _BLOCK_NBYTES // row_nbytes)
        return (row for start in range(0, shape[0], step) for row in self[start : start + step])

    def __contains__(self, item: Any) -> bool:
        return item in self._whole()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError(f"{self.path} is a file, which is never read without a copy of its content in memory.")
        array: NDArray[Any] = self._whole()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(out, ArrayFile) for out in kwargs.get("out", ())):
            raise TypeError("an ArrayFile is read only; take a copy, x[...], to write to.")
        whole = (item._whole() if isinstance(item, ArrayFile) else item for item in inputs)
        return getattr(ufunc, method)(*whole, **kwargs)

    def __bool__(self) -> bool:
        return bool(self._whole())

    def __int__(self) -> int:
        return int(self._whole())

    def __float__(self) -> float:
        return float(self._whole())

    def __complex__(self) -> complex:
        return complex(self._whole())

    def __index__(self) -> int:
        whole: SupportsIndex = self._whole()
        return whole.__index__()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "path":  # what copying and pickling ask for
            raise AttributeError(name)
        if name in _HANDLES:
            raise AttributeError(f"{name!r} is of use in an open file only: with h5py.File(x.path) as file: ...")
        if callable(getattr(np.ndarray, name, None)):
            return getattr(self._whole(), name)
        found = read_dataset(self.path, lambda data: (hasattr(data, name), getattr(data, name, None)))
        if not found[0] and hasattr(np.ndarray, name):
            return getattr(self._whole(), name)
        if not found[0]:
            raise AttributeError(f"an array in a file has no attribute {name!r}; neither has an array or a dataset.")
        return _when_called(self.path, name) if callable(found[1]) else found[1]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(np.ndarray)})

    def _whole(self) -> Any:
        """Return all of it: an array, also of a single value."""
        return read_dataset(self.path, lambda data: np.asarray(data[()], data.dtype))


def _shape(data: h5py.Dataset) -> tuple[int, ...]:
    if data.shape is None:
        raise KeyError("it holds HDF5's empty value, which is no array")
    return tuple(data.shape)


def _indexed(data: h5py.Dataset, key: Any) -> Any:
    try:
        return data[key]
    except (TypeError, ValueError):
        return np.asarray(data[()], data.dtype)[key]


def _when_called(path: Path, name: str) -> Any:
    def method(*args: Any, **kwargs: Any) -> Any:
        return read_dataset(path, lambda data: getattr(data, name)(*args, **kwargs))

    return method
