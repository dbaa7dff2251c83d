"""Scans that were ingested: each is reconstructed in a run of its own, so that none waits for or fails with another."""

import dagster as dg

from assets.splits import scan_split
from jobs import reconstruct
from jobs.ingest import ARRIVAL

_AT_ONCE = 100


@dg.sensor(
    target=reconstruct,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reconstructs every scan that was ingested because it arrived, and writes its product.",
)
def ingested_scans(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    wanted = dg.AssetRecordsFilter(asset_key=scan_split.key, after_storage_id=int(context.cursor or 0))
    records = context.instance.fetch_materializations(wanted, limit=_AT_ONCE, ascending=True).records
    if not records:
        return dg.SkipReason("nothing was ingested since the last look")
    requests = [
        dg.RunRequest(run_key=f"{record.partition_key}:{tags[ARRIVAL]}", partition_key=record.partition_key)
        for record in records
        if record.asset_materialization and ARRIVAL in (tags := record.asset_materialization.tags or {})
    ]
    return dg.SensorResult(run_requests=requests, cursor=str(records[-1].storage_id))
