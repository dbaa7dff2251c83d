"""Checks that stop what comes after them: does a reconstruction explain its scan, is a product file sound."""

from dataclasses import asdict

import dagster as dg

from assets.products import ptychodus_product
from assets.raw import SCANS, violations_table
from assets.reconstructions import reconstruction
from smalti import Reconstruction
from smalti.contracts.violation import errors
from smalti.products import validate_product
from smalti.settings import Settings

_WORST_R_FACTOR = 0.5


@dg.asset_check(
    asset=reconstruction,
    blocking=True,
    partitions_def=SCANS,
    description=f"The R-factor over all patterns is below {_WORST_R_FACTOR}: the object explains the scan.",
)
def explains_the_scan(reconstruction: Reconstruction) -> dg.AssetCheckResult:
    r_factor = float(reconstruction.metrics["r_factor"])
    return dg.AssetCheckResult(passed=r_factor < _WORST_R_FACTOR, metadata={"r_factor": r_factor})


@dg.asset_check(
    asset=ptychodus_product,
    blocking=True,
    partitions_def=SCANS,
    description="The product file keeps its contract: unique indexes, positions on the object, finite numbers.",
)
def is_sound(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    path = Settings().products / f"{context.partition_key}.h5"
    result = validate_product(path)
    told = [{**asdict(violation), "message": str(violation)} for violation in result.violations]
    return dg.AssetCheckResult(
        passed=result.accepted,
        description=result.refusal or "\n".join(map(str, errors(result.violations))) or None,
        metadata={"contract": result.contract, "violations": violations_table(told)},
    )
