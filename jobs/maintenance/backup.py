"""The backup of the store, and the drill that proves that it comes back."""

import random
import time
from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from assets.amounts import gigabytes, moment, rounded
from assets.previews import records
from jobs.maintenance.progress import logged
from resources import StoreResource
from smalti import Store, open_store
from smalti.errors import NotFound
from smalti.products.drill import drill
from smalti.settings import Settings

RESTORED = "comes_back"
NO_BACKUP = (
    "no backup is configured: set SMALTI_BACKUP_URL to a folder on another disk or to s3://bucket/prefix, in .env or "
    "the environment of the code server, and reload it."
)


def backup_place() -> Store:
    """Return the store that backups go to.

    Raises:
        NotFound: none is configured.
    """
    place = Settings().backup_url
    if place is None:
        raise NotFound(NO_BACKUP)
    return open_store(place)


@dg.asset(
    group_name="store",
    kinds={"smalti"},
    op_tags={"smalti/maintenance": "backup"},
    description="Everything that the store keeps is pushed to `SMALTI_BACKUP_URL`: every version of every name, every "
    "pin, every manifest, and the objects of them that are missing or damaged there. Nothing is removed "
    "there. Interrupted, the next backup goes on. A retry of the whole is cheap, so a backup that cannot be "
    "reached is tried three times.",
    retry_policy=dg.RetryPolicy(max_retries=2, delay=120, backoff=dg.Backoff.EXPONENTIAL),
)
def backup(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    target, started = backup_place(), time.monotonic()
    report = store.open().push(target, progress=logged(context.log, f"backing up to {target.place}"))
    context.log.info(f"{report.sent} of {report.needed} objects sent to {target.place}")
    return dg.MaterializeResult(
        metadata={
            "backup": target.place,
            "sent_objects": report.sent,
            "objects": report.needed,
            "names": len(report.names),
            "grown_GB": gigabytes(report.nbytes),
            "minutes": rounded((time.monotonic() - started) / 60),
        }
    )


class DrillConfig(dg.Config):
    """What a restore drill takes back."""

    seed: int | None = Field(None, description="Decides which values are restored; by default others each time.")
    most_GB: float = Field(
        2.0, gt=0, description="Larger values are passed over, in GB; there is room for one of them."
    )


@dg.asset(
    group_name="store",
    kinds={"smalti"},
    deps=[backup],
    op_tags={"smalti/maintenance": "backup"},
    check_specs=[
        dg.AssetCheckSpec(
            RESTORED, asset="restore_drill", description="What was taken from the backup is whole, verified and opens."
        )
    ],
    description="A random product and one random other value are pulled from `SMALTI_BACKUP_URL` into an empty "
    "temporary store; every byte of them is read and hashed again, the product is written as HDF5, read and held "
    "against its contract, and both are compared with what stands in the store. Nothing is written to either "
    "store.",
)
def restore_drill(context: dg.AssetExecutionContext, config: DrillConfig, store: StoreResource) -> dg.MaterializeResult:
    most_nbytes = round(config.most_GB * 1e9)
    report = drill(store.open(), backup_place(), random.Random(config.seed), most_nbytes=most_nbytes)
    failed = [one for one in report.restored if one.problem]
    said = "; ".join(f"{one.name}: {one.problem or one.stands}" for one in report.restored)
    context.log.log("ERROR" if failed else "INFO", said)
    rows = [
        {
            "name": one.name,
            "kind": one.kind,
            "from": one.at,
            "seconds": one.seconds,
            "objects": one.objects,
            "bytes": one.nbytes,
            "digest": one.digest,
            "result": one.problem or f"restored; {one.stands}",
        }
        for one in report.restored
    ]
    newest = datetime.fromisoformat(report.newest_at)
    return dg.MaterializeResult(
        metadata={
            "restored": records(rows),
            "values": len(rows) - len(failed),
            "failed": len(failed),
            "seconds": rounded(sum(one.seconds for one in report.restored)),
            "backup": report.backup,
            "backup_names": report.names,
            "newest_in_backup": moment(report.newest_at),
            "newest_in_backup_days": rounded((datetime.now(UTC) - newest).total_seconds() / 86400),
        },
        check_results=[dg.AssetCheckResult(check_name=RESTORED, passed=not failed, description=said)],
    )
