"""Products that other programs wrote and that were dropped: kept, and written beside ours for Ptychodus to open."""

from typing import Any

import dagster as dg

from assets.code_versions import code_version
from assets.outputs import shown_scan
from assets.partitions import PRODUCTS
from assets.products import described
from resources import Ingest, StoreResource
from smalti import Product, Ref, Store
from smalti.outputs.parts import Part
from smalti.products import write_product
from smalti.ptycho.report.outputs import product_part
from smalti.settings import Settings


@dg.asset(
    partitions_def=PRODUCTS,
    group_name="ptychography",
    kinds={"hdf5"},
    code_version=code_version("smalti.products"),
    description="A product that was dropped, read by its contract and written as Ptychodus HDF5 into "
    "`outputs/ptychodus_products/`, beside those that were computed here. Nothing is reconstructed from it.",
)
def imported_product(context: dg.AssetExecutionContext, store: StoreResource, ingest: Ingest, raw_product: Ref) -> Ref:
    values, key = store.open(), context.partition_key
    product: Product = ingest.value_of(raw_product.digest)
    ref = values.put(product)
    outputs = shown_scan(context, part_of(values, product, ref, key))
    context.add_output_metadata({**exported(product, key), **outputs})
    return ref


def exported(product: Product, key: str) -> dict[str, Any]:
    """Write the file of a product that arrived, and return what a person wants to see of it.

    Keys are given to files of every kind together, so no product that is computed here has the same file.
    """
    path = Settings().products / f"{key}.h5"
    write_product(path, product)
    return described(product, path)


def part_of(_: Store, product: Product, ref: Ref, key: str) -> Part:
    """Return what the outputs of a product show of it."""
    return product_part(
        f"ptychodus_products/{key}.h5",
        ref.digest,
        {},
        object_=product.object[-1],
        pixel_size_m=product.metadata.object_pixel_width_m,
    )
