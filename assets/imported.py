"""Products that other programs wrote and that were dropped: kept, and written beside ours for Ptychodus to open."""

from typing import Any

import dagster as dg

from assets.code_versions import code_version
from assets.partitions import PRODUCTS
from assets.previews import sentences
from resources import Ingest
from smalti import Product, Ref
from smalti.products import write_product
from smalti.settings import Settings


@dg.asset(
    partitions_def=PRODUCTS,
    group_name="ptychography",
    kinds={"hdf5"},
    code_version=code_version("smalti.products"),
    description="A product that was dropped, read by its contract and written as Ptychodus HDF5 into "
    "`outputs/ptychodus_products/`, beside those that were computed here. Nothing is reconstructed from it.",
)
def imported_product(context: dg.AssetExecutionContext, ingest: Ingest, raw_product: Ref) -> Product:
    product: Product = ingest.value_of(raw_product.digest)
    context.add_output_metadata(written(product, context.partition_key))
    return product


def written(product: Product, key: str) -> dict[str, Any]:
    """Write the file of a product that arrived, and return what a person wants to see of it.

    Keys are given to files of every kind together, so no product that is computed here has the same file.
    """
    path = Settings().products / f"{key}.h5"
    write_product(path, product)
    return {
        "file": dg.MetadataValue.path(path),
        "contract": product.contract,
        "comments": sentences(product.metadata.comments.splitlines()),
        "pixel_size_nm": product.metadata.object_pixel_width_m * 1e9,
    }
