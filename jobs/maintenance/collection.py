"""What nothing needs any more: old versions of names by policy, then the objects that only they needed."""

from collections import Counter

import dagster as dg
from pydantic import Field

from assets.amounts import gigabytes
from assets.previews import records
from resources import StoreResource
from resources.op_outputs import release_op_outputs
from smalti.settings import Settings
from smalti.store import GcReport, Retention

_ROWS_SHOWN = 200


class CollectionConfig(dg.Config):
    """How objects are collected."""

    dry_run: bool = Field(
        True, description="Only say what would be condemned and removed; the job collect_garbage acts."
    )
    grace_hours: float = Field(
        24.0,
        ge=1,
        description="Nothing younger is touched, and what is condemned is removed by a collection that comes so many "
        "hours later, if nothing needs it then.",
    )


@dg.asset(
    group_name="store",
    kinds={"smalti"},
    op_tags={"smalti/maintenance": "collection"},
    description="The outputs that ops left for the next op are released: at once where their run finished, else after "
    "SMALTI_OP_OUTPUTS_DAYS. Objects that no version of a name, no pin and no kept run leads to are condemned; "
    "those that an earlier collection condemned, a grace period ago, and that still nothing needs, are removed. "
    "All is planned before anything is changed, and nothing is removed where something that is needed is missing "
    "or damaged. Manifests stay.",
)
def garbage_collection(
    context: dg.AssetExecutionContext, config: CollectionConfig, store: StoreResource
) -> dg.MaterializeResult:
    values = store.open()
    outputs = release_op_outputs(values, context.instance, Settings().op_outputs_days, config.dry_run)
    report = values.gc(dry_run=config.dry_run, grace_seconds=config.grace_hours * 3600)
    count = Counter(item.state for item in report.unneeded)
    context.log.info(
        f"{report.needed} of {report.objects} objects are needed; {count['removed']} {'would be ' * config.dry_run}"
        f"removed, {count['condemned']} condemned"
    )
    return dg.MaterializeResult(
        metadata={
            "dry_run": config.dry_run,
            "released_op_outputs": sum(len(of.names) for of in outputs),
            "objects": report.objects,
            "needed": report.needed,
            **{f"{state}_objects": count[state] for state in ("removed", "condemned", "young")},
            "freed_GB": gigabytes(0 if config.dry_run else report.nbytes("removed")),
            "condemned_GB": gigabytes(report.nbytes("condemned")),
            "unneeded": _table(report),
        }
    )


def _table(report: GcReport) -> dg.TableMetadataValue:
    largest = sorted(report.unneeded, key=lambda item: -item.nbytes)[:_ROWS_SHOWN]
    return records([{"object": item.address, "state": item.state, "bytes": item.nbytes} for item in largest])


class RetentionConfig(dg.Config):
    """Which old versions of names are taken away."""

    dry_run: bool = Field(True, description="Only say which versions would go.")
    names: list[str] = Field(
        [],
        description="Patterns of the names that the policy is about, such as 'reconstruction/*'; * matches / too. "
        "None: nothing is taken away.",
    )
    keep_last: int = Field(10, ge=1, description="So many of the newest versions of each name stay.")
    older_than_days: float = Field(
        90.0, ge=0, description="Only versions that were replaced by a newer one longer ago than this may go."
    )


@dg.asset(
    group_name="store",
    kinds={"smalti"},
    op_tags={"smalti/maintenance": "retention"},
    description="Old versions of names that fit the patterns are taken away: those neither among the newest few nor "
    "young. What a name stands for now stays, a pinned version stays and so do those that came after it, and "
    "all manifests stay: they still say what was there. A value goes when garbage_collection finds that "
    "nothing else needs it; a run that made it keeps it until the run is released (`smalti runs release`).",
)
def retention(context: dg.AssetExecutionContext, config: RetentionConfig, store: StoreResource) -> dg.MaterializeResult:
    policy = Retention(tuple(config.names), config.keep_last, config.older_than_days)
    found = store.open().retain(policy, dry_run=config.dry_run)
    versions = sum(one.versions for one in found)
    context.log.info(f"{versions} versions of {len(found)} names {'would be ' * config.dry_run}taken away")
    rows = [
        {
            "name": one.name,
            "versions": one.versions,
            "first_kept": one.first_kept,
            "kept": one.kept,
            "held_by_pin": one.held_by_pin,
        }
        for one in found[:_ROWS_SHOWN]
    ]
    return dg.MaterializeResult(
        metadata={
            "dry_run": config.dry_run,
            "names": len(found),
            "versions": versions,
            **({"taken_away": records(rows)} if rows else {}),
        }
    )
