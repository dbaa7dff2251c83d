"""Ptychodus products as files, HDF5 or NPZ, that every Ptychodus from 1.0 to 1.7 opens with its whole content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from smalti.codecs.product import Product, RawBundle
from smalti.contracts.builtin.product import READABLE_PRODUCT
from smalti.contracts.violation import Violation, broken, errors
from smalti.products.container import load_layout, save_layout
from smalti.products.layout import DATASETS, PRODUCT_DATASETS, Attribute
from smalti.products.translation import layout_of
from smalti.products.validate import validate_layout

# What PtychoPINN recommends to write into an HDF5 product; no Ptychodus reads it.
_HDF5_FORMAT: dict[str, Attribute] = {"format_id": "ptychodus.product.hdf5", "format_version": "1.0"}


def write_product(path: Path, product: Product, raw: RawBundle | None = None) -> tuple[Violation, ...]:
    """Write a product, whole or not at all, and return what a person should know about it (warnings only).

    The name of the file says in which form: ``.h5``, ``.hdf5`` or ``.npz`` (``smalti.products.container`` says what
    that has no place for). Equal products give equal bytes. Values that are None are written as 0, and named in
    ``unknown_values``.

    Args:
        path: where it is written.
        product: what is written.
        raw: the patterns that travel with it; by default those of the product, if it has any.

    Raises:
        ContractBroken: the product breaks its contract, so it was not written.
        Refused: the name of the file ends otherwise.
        Unavailable: the file could not be written.
    """
    layout = layout_of(product, raw)
    violations = validate_layout(layout).violations
    if found := errors(violations):
        raise broken(path.name, found)
    save_layout(path, layout if path.suffix == ".npz" else replace(layout, attrs={**_HDF5_FORMAT, **layout.attrs}))
    return violations


def read_product(path: Path) -> Product:
    """Read a product of any Ptychodus from 0.7 on, or of PtychoPINN, without the patterns that travel with it.

    What the file does not say is None. A file that can be read is read, though ``validate_product`` may call it wrong.

    Raises:
        NotFound: there is no such file.
        ContractBroken: it is no product, or one whose parts do not fit; every fault is named.
        Unavailable: the file may not be read.
    """
    return _read(path, PRODUCT_DATASETS)


def read_raw_bundle(path: Path) -> RawBundle | None:
    """Read the ``/raw_data`` group of a product file, or None when it has none, or not all of one.

    Raises:
        NotFound, ContractBroken, Unavailable: as ``read_product``.
    """
    return read_with_raw(path).patterns


def read_with_raw(path: Path) -> Product:
    """Read a product with the patterns that travel with it; raises as ``read_product`` does."""
    return _read(path, DATASETS)


def _read(path: Path, names: Iterable[str]) -> Product:
    result = validate_layout(load_layout(path, names), READABLE_PRODUCT)
    if not isinstance(result.value, Product):
        raise broken(path.name, errors(result.violations))
    return result.value
