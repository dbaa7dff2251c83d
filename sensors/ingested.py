"""What was ingested: a scan is reconstructed, a table trained on, each in a run of its own: none fails with another."""

from collections.abc import Callable, Iterator

import dagster as dg

from assets.arrival import latest
from assets.scans import scan
from assets.tables import table, test_of, to_train
from jobs import reconstruct, train_on_table

_AT_ONCE = 100
_EVERY_S = 5


@dg.sensor(
    target=reconstruct,
    minimum_interval_seconds=_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reconstructs every scan that was ingested because it arrived, and writes its product.",
)
def ingested_scans(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    return _runs(context, scan.key, lambda key, version: (key, version))


@dg.sensor(
    target=train_on_table,
    minimum_interval_seconds=_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Trains on every table that arrived to be trained on: its name says train, or its card names a target. "
    "A test table that arrives is predicted.",
)
def ingested_tables(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    return _runs(context, table.key, lambda key, _: _training(context.instance, key))


def _training(instance: dg.DagsterInstance, arrived: str) -> tuple[str, ...] | None:
    """Return the table to train on because one arrived, and the newest arrivals of it and of its test table."""
    train = to_train(instance, arrived)
    if train is None:
        return None
    pair = [key for key in (train, test_of(instance, train)) if key]
    return (train, *(at.data_version for at in latest(instance, table.key, pair).values()))


def _runs(
    context: dg.SensorEvaluationContext, asset: dg.AssetKey, wanted_by: Callable[[str, str], tuple[str, ...] | None]
) -> dg.SensorResult | dg.SkipReason:
    """Return a request for each run that follows from what was ingested since the cursor because it arrived.

    Args:
        wanted_by: gives the partition of the run that a key and its arrival ask for, and what tells it from others.
    """
    wanted = dg.AssetRecordsFilter(asset_key=asset, after_storage_id=int(context.cursor or 0))
    records = context.instance.fetch_materializations(wanted, limit=_AT_ONCE, ascending=True).records
    if not records:
        return dg.SkipReason("nothing was ingested since the last look")
    runs = dict.fromkeys(run for arrival in _arrivals(records) if (run := wanted_by(*arrival)))
    requests = [dg.RunRequest(run_key=":".join(run), partition_key=run[0]) for run in runs]
    return dg.SensorResult(run_requests=requests, cursor=str(records[-1].storage_id))


def _arrivals(records: list[dg.EventLogRecord]) -> Iterator[tuple[str, str]]:
    for record in records:
        tags = (record.asset_materialization.tags or {}) if record.asset_materialization else {}
        if record.partition_key:
            yield record.partition_key, tags["dagster/data_version"]
