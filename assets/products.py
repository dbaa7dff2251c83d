"""Ptychodus products: what the group opens."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg

from assets.automation import on_new_content
from assets.code_versions import code_version
from assets.partitions import SCANS
from assets.previews import sentences
from assets.raw import violations_table
from resources import SettingsResource
from smalti import Product, Reconstruction, Scan
from smalti.contracts import validated
from smalti.contracts.violation import errors
from smalti.products import (
    product_from_reconstruction,
    raw_bundle_of,
    validate_product,
    write_product,
)
from smalti.scans.missing import missing_for_product

IS_SOUND = "is_sound"


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"hdf5"},
    code_version=code_version("smalti.products"),
    automation_condition=on_new_content("reconstruction"),
    check_specs=[
        dg.AssetCheckSpec(
            IS_SOUND,
            asset="ptychodus_product",
            blocking=True,
            description="The product file keeps its contract: unique indexes, positions on the object, finite numbers.",
        )
    ],
    output_required=False,
    description="Positions, probe, object and losses as Ptychodus HDF5, in `outputs/ptychodus_products/`. A scan whose "
    "pixel size nobody has stated has none until a card says it.",
)
def ptychodus_product(
    context: dg.AssetExecutionContext, settings: SettingsResource, scan: Scan, reconstruction: Reconstruction
) -> Iterator[dg.Output[Product] | dg.AssetCheckResult]:
    key = context.partition_key
    if missing := missing_for_product(scan):
        context.log.warning(missing)
        yield dg.AssetCheckResult(
            check_name=IS_SOUND, passed=False, severity=dg.AssetCheckSeverity.WARN, description=f"{key}: {missing}"
        )
        return
    product = validated(product_from_reconstruction(scan, reconstruction, key), key)
    path = settings.read().products / f"{key}.h5"
    write_product(path, product, raw_bundle_of(scan, reconstruction))
    yield dg.Output(product, metadata=described(product, path))
    yield is_sound(key, path)


def is_sound(key: str, path: Path) -> dg.AssetCheckResult:
    """Return whether the file of a product keeps its contract, read as any program would."""
    result = validate_product(path)
    told = [{**asdict(violation), "message": str(violation)} for violation in result.violations]
    why = result.refusal or "\n".join(map(str, errors(result.violations)))
    return dg.AssetCheckResult(
        check_name=IS_SOUND,
        passed=result.accepted,
        description=f"{key}: {why}" if why else f"{key} keeps {result.contract}",
        metadata={"contract": result.contract, "violations": violations_table(told)},
    )


def described(product: Product, path: Path) -> dict[str, Any]:
    """Return what a person wants to see of a product."""
    return {
        "file": dg.MetadataValue.path(path),
        "contract": product.contract,
        "comments": sentences(product.metadata.comments.splitlines()),
        "pixel_size_nm": product.metadata.object_pixel_width_m * 1e9,
    }
