"""The health of the store: its size, what deduplication saves, when it was last checked, and the room that is left."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from assets.amounts import days_since, gigabytes, moment, rounded
from resources import StoreResource
from smalti.ingest.quarantine import Quarantine
from smalti.settings import Settings
from smalti.store import Checked, StoreHealth

UNDAMAGED, ROOM, CHECKED = "undamaged", "enough_free_disk", "fully_checked_lately"


class HealthConfig(dg.Config):
    """When the store counts as healthy."""

    least_free_GB: float = Field(10.0, ge=0, description="Less free disk than this, in GB, fails the check.")
    full_check_days: float = Field(15.0, gt=0, description="A full check longer ago than this fails the check.")


def _spec(name: str, description: str, *, blocking: bool = False) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name, asset="store_health", description=description, blocking=blocking)


@dg.asset(
    group_name="store",
    kinds={"smalti"},
    deps=["sampled_check", "full_check", "garbage_collection"],
    freshness_policy=dg.FreshnessPolicy.time_window(timedelta(hours=50), timedelta(hours=26)),
    op_tags={"smalti/maintenance": "health"},
    check_specs=[
        _spec(UNDAMAGED, "The last check that read content found nothing damaged or missing.", blocking=True),
        _spec(ROOM, "There is room on the disk of the store."),
        _spec(CHECKED, "Every byte was read by a full check not long ago."),
    ],
    description="How the store is, refreshed daily and after every check. Every record is read and no content, which "
    "takes about 0.1 s for 1,000 objects. What the last checks found is known whoever made them, `smalti "
    "fsck` too. Where damage stands, the run fails, so that whatever watches runs notices.",
)
def store_health(context: dg.AssetExecutionContext, config: HealthConfig, store: StoreResource) -> dg.MaterializeResult:
    health = store.open().health()
    results = [_undamaged(health), _room(health, config.least_free_GB), _checked(health, config.full_check_days)]
    for result in results:
        context.log.log("INFO" if result.passed else "WARNING", f"{result.check_name}: {result.description}")
    stats = health.stats
    return dg.MaterializeResult(
        metadata={
            "stored_GB": gigabytes(stats.nbytes_kept),
            "logical_GB": gigabytes(stats.nbytes),
            "deduplication_ratio": rounded(health.deduplication_ratio),
            "objects": stats.objects,
            "names": stats.names,
            "versions": stats.versions,
            "manifests": health.manifests,
            "unreadable": len(health.unreadable),
            "quarantined_files": len(Quarantine(Settings().quarantine).entries()),
            "quarantined_objects": health.set_aside,
            **({} if health.free_nbytes is None else {"free_disk_GB": gigabytes(health.free_nbytes)}),
            **dict(_said_of_checks(health)),
        },
        check_results=results,
    )


def _said_of_checks(health: StoreHealth) -> Iterator[tuple[str, Any]]:
    for kind in ("sampled", "full"):
        if check := health.checks.get(kind):
            yield f"last_{kind}_check", moment(check.at)
            yield f"last_{kind}_check_problems", check.problems
            yield f"last_{kind}_check_days", days_since(check.at)


def _undamaged(health: StoreHealth) -> dg.AssetCheckResult:
    last = health.standing
    if health.unreadable:
        said = f"{len(health.unreadable)} names or records cannot be read, the first is {health.unreadable[0]}; "
        said += "smalti fsck says what is wrong with each."
    elif last is None:
        said = "no check has ended yet; launch check_everything."
    elif last.problems:
        said = f"the {last.kind} check of {last.at} left {last.problems} problems"
        said += f", the first object is {last.damaged[0]}" * bool(last.damaged)
        said += "; smalti fsck --full --repair-from REMOTE mends them."
    else:
        said = f"the {last.kind} check of {last.at} found nothing wrong with {last.objects} objects."
    found = bool(health.unreadable or (last and last.problems))
    never = last is None and not health.unreadable
    severity = dg.AssetCheckSeverity.WARN if never else dg.AssetCheckSeverity.ERROR
    damaged: dict[str, Any] = {"damaged": dg.MetadataValue.json(list(last.damaged))} if last and last.damaged else {}
    return dg.AssetCheckResult(
        check_name=UNDAMAGED, passed=not (found or never), severity=severity, description=said, metadata=damaged
    )


def _room(health: StoreHealth, least_GB: float) -> dg.AssetCheckResult:
    if health.free_nbytes is None:
        return dg.AssetCheckResult(check_name=ROOM, passed=True, description="the store is on no disk of this machine.")
    free = gigabytes(health.free_nbytes)
    return dg.AssetCheckResult(
        check_name=ROOM,
        passed=free >= least_GB,
        description=f"{free} GB are free, and {least_GB} GB are wanted"
        + ("." if free >= least_GB else "; make room, or let garbage_collection and retention."),
    )


def _checked(health: StoreHealth, most_days: float) -> dg.AssetCheckResult:
    last: Checked | None = health.checks.get("full")
    if last is None:
        said, lately = "no full check has ended yet; launch check_everything.", False
    else:
        days = days_since(last.at)
        lately = days <= most_days
        said = f"the last full check ended {days} days ago; it may be {most_days} days."
    return dg.AssetCheckResult(check_name=CHECKED, passed=lately, severity=dg.AssetCheckSeverity.WARN, description=said)
