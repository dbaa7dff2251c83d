"""Ptychodus products: what the group opens."""

from pathlib import Path
from typing import Any

import dagster as dg

from assets.previews import sentences
from assets.raw import SCANS
from smalti import Product, Reconstruction, Scan
from smalti.contracts import validated
from smalti.products import product_from_reconstruction, raw_bundle_of, write_product
from smalti.settings import Settings


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"hdf5"},
    description="Positions, probe, object and losses as Ptychodus HDF5, in `outputs/ptychodus_products/`.",
)
def ptychodus_product(context: dg.AssetExecutionContext, scan: Scan, reconstruction: Reconstruction) -> Product:
    product = validated(product_from_reconstruction(scan, reconstruction, context.partition_key), context.partition_key)
    path = Settings().products / f"{context.partition_key}.h5"
    write_product(path, product, raw_bundle_of(scan, reconstruction))
    context.add_output_metadata(described(product, path))
    return product


def exported(product: Product, key: str) -> dict[str, Any]:
    """Write the file of a product that arrived, and return what a person wants to see of it."""
    path = Settings().products / f"{key}.h5"
    write_product(path, product)
    return described(product, path)


def described(product: Product, path: Path) -> dict[str, Any]:
    """Return what a person wants to see of a product."""
    return {
        "file": dg.MetadataValue.path(path),
        "contract": product.contract,
        "comments": sentences(product.metadata.comments.splitlines()),
        "pixel_size_nm": product.metadata.object_pixel_width_m * 1e9,
    }
