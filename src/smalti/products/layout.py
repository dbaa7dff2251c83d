"""A product file as a value: its attributes, datasets and hard links, whatever form the file has.

Nothing here knows what the names mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused

Attribute = str | bool | int | float | np.generic | NDArray[Any]


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    """One array of the file, with its attributes; ``compressed`` asks for a smaller file."""

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


def little_endian(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array in C order and little-endian, so that equal arrays are written as equal bytes."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
