"""Ptychodus products: what the group opens."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg

from assets.automation import on_new_content
from assets.code_versions import code_version
from assets.outputs import shown_scan
from assets.partitions import SCANS
from assets.previews import measured, sentences
from assets.raw import violations_table
from resources import SettingsResource, StoreResource
from smalti import Product, Reconstruction, Ref, Scan
from smalti.contracts import validated
from smalti.contracts.violation import errors
from smalti.products import (
    product_from_reconstruction,
    raw_bundle_of,
    validate_product,
    write_product,
)
from smalti.ptycho.report.outputs import arrays_digest, product_part
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
    context: dg.AssetExecutionContext, settings: SettingsResource, store: StoreResource, scan: Ref, reconstruction: Ref
) -> Iterator[dg.Output[Ref] | dg.AssetCheckResult]:
    values, key = store.open(), context.partition_key
    of_scan: Scan = values.get(scan)
    if missing := missing_for_product(of_scan):
        context.log.warning(missing)
        yield dg.AssetCheckResult(
            check_name=IS_SOUND, passed=False, severity=dg.AssetCheckSeverity.WARN, description=f"{key}: {missing}"
        )
        return
    found: Reconstruction = values.get(reconstruction)
    product = validated(product_from_reconstruction(of_scan, found, key), key)
    path = settings.read().products / f"{key}.h5"
    write_product(path, product, raw_bundle_of(of_scan, found))
    ref, arrays = values.put(product), arrays_digest(values.record(scan).children)
    made_from = {"reconstruction": reconstruction.digest}
    part = product_part(f"{path.parent.name}/{path.name}", ref.digest, made_from, arrays=arrays)
    yield dg.Output(ref, metadata={**described(product, path), **shown_scan(context, part)})
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
        "pixel_size_nm": measured(product.metadata.object_pixel_width_m * 1e9),
    }
