"""Fetching datasets of others again, each in a run of its own, and the partitions that they are."""

import dagster as dg

from assets.external import EXTERNAL, external_dataset
from jobs.ticks import OFF, TAGS, tick
from resources import StoreResource
from smalti.datasets.refreshing import fetched_before, refreshable
from smalti.settings import Settings

refresh_external_datasets = dg.define_asset_job(
    "refresh_external_datasets",
    selection=dg.AssetSelection.assets(external_dataset),
    description="Fetch a dataset of others from its source again. It goes to the network.",
)


def partitions_to_change(instance: dg.DagsterInstance) -> tuple[list[str], list[str]]:
    """Return which partitions external_dataset lacks, and which it has of datasets that cannot be fetched any more."""
    there = set(instance.get_dynamic_partitions(str(EXTERNAL.name)))
    wanted = set(refreshable(Settings().root / "data" / "datasets"))
    return sorted(wanted - there), sorted(there - wanted)


def external_schedule(time_zone: str) -> dg.ScheduleDefinition:
    """Return the schedule that refreshes what was fetched before."""

    @dg.schedule(
        job=refresh_external_datasets,
        cron_schedule="30 4 * * 1",
        execution_timezone=time_zone,
        default_status=OFF,
        tags=TAGS,
        description="Every Monday at 4:30: each dataset of others that was fetched before is asked for at its source "
        "again, in a run of its own, so that one that fails keeps no other back. Off until a person turns it on: it "
        "goes to the network. What was never fetched is materialized by hand once.",
    )
    def weekly_external_refresh(
        context: dg.ScheduleEvaluationContext, store: StoreResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        names = set(context.instance.get_dynamic_partitions(str(EXTERNAL.name)))
        wanted = sorted(fetched_before(store.open(), names))
        if not wanted:
            return dg.SkipReason(
                f"none of {len(names)} datasets was fetched before; materialize a partition of external_dataset once."
            )
        return [dg.RunRequest(run_key=f"{tick(context)} {name}", partition_key=name) for name in wanted]

    return weekly_external_refresh
