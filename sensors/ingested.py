"""What follows from new content: a scan is reconstructed, a table trained on, each in a run of its own."""

from collections.abc import Iterable

import dagster as dg

from assets.arrival import latest
from assets.partitions import SCANS, TRAINING_TABLES
from assets.reconstructions import reconstruction
from assets.scans import scan
from assets.tables import roles_in, table, to_train
from jobs import export, predict, reconstruct, train_on_table
from jobs.training import BERT_CHECKPOINT
from resources import StoreResource
from smalti.codecs.scan import differ_for_reconstruction, open_scan
from smalti.scans.missing import missing_for_reconstruction

_AT_ONCE = 100
_EVERY_S = 5
_PENDING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


@dg.sensor(
    jobs=[reconstruct, export],
    minimum_interval_seconds=_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reconstructs a scan whose content is new and writes its product. Where only its card says something "
    "else, e.g. the pixel size, the product alone is written again.",
)
def ingested_scans(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult | dg.SkipReason:
    instance, values, requests = context.instance, store.open(), list[dg.RunRequest]()
    records = _since(context, scan.key)
    keys = _keys(records) & set(instance.get_dynamic_partitions(str(SCANS.name)))
    made = latest(instance, reconstruction.key, sorted(keys))
    for key, (first, last) in _by_key(records, keys).items():
        before, now = _version_before(instance, scan.key, key, first), _version(last)
        if now != before:
            if missing := missing_for_reconstruction(open_scan(values, now)):
                context.log.warning(f"{key}: {missing}")
                continue
            card_only = before and key in made and not differ_for_reconstruction(values, before, now)
            job = export if card_only else reconstruct
            requests.append(dg.RunRequest(f"{key}:{last.storage_id}", job_name=job.name, partition_key=key))
    return _result(records, requests)


@dg.sensor(
    jobs=[train_on_table, predict],
    minimum_interval_seconds=_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Trains on a table whose content is new, if its name says train or its card names a target. The rows "
    "of a new test table are predicted with the checkpoint that there is.",
)
def ingested_tables(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    instance, records = context.instance, _since(context, table.key)
    there = set(instance.get_dynamic_partitions(str(TRAINING_TABLES.name)))
    wanted: dict[str, tuple[str, int]] = {}  # training table -> job, storage id
    for key, (first, last) in _by_key(records, _keys(records)).items():
        trained = to_train(instance, key)
        before = _before(instance, table.key, key, first)
        if trained not in there or (before and _told(before) == _told(last)):
            continue
        job = train_on_table if key == trained or not _is_trained(instance, trained) else predict
        other, number = wanted.get(trained, (job.name, 0))
        both = train_on_table.name if train_on_table.name in (other, job.name) else job.name
        wanted[trained] = (both, max(number, last.storage_id))
    return _result(
        records,
        [
            dg.RunRequest(f"{trained}:{number}", job_name=job, partition_key=trained)
            for trained, (job, number) in wanted.items()
        ],
    )


def _is_trained(instance: dg.DagsterInstance, key: str) -> bool:
    """Tell whether a table has a checkpoint, or a run that makes one."""
    waiting = dg.RunsFilter(job_name=train_on_table.name, statuses=_PENDING, tags={"dagster/partition": key})
    return bool(latest(instance, BERT_CHECKPOINT.key, [key])) or instance.get_runs_count(waiting) > 0


def _told(record: dg.EventLogRecord) -> tuple[str, dict[str, str]]:
    """Return the version of a table and what its card says of its columns."""
    return _version(record), roles_in(record.asset_materialization.tags or {} if record.asset_materialization else {})


def _since(context: dg.SensorEvaluationContext, asset: dg.AssetKey) -> list[dg.EventLogRecord]:
    wanted = dg.AssetRecordsFilter(asset_key=asset, after_storage_id=int(context.cursor or 0))
    return list(context.instance.fetch_materializations(wanted, limit=_AT_ONCE, ascending=True).records)


def _keys(records: Iterable[dg.EventLogRecord]) -> set[str]:
    return {record.partition_key for record in records if record.partition_key}


def _by_key(
    records: Iterable[dg.EventLogRecord], keys: set[str]
) -> dict[str, tuple[dg.EventLogRecord, dg.EventLogRecord]]:
    """Return the first and the last record of each of these partitions."""
    found: dict[str, tuple[dg.EventLogRecord, dg.EventLogRecord]] = {}
    for record in records:
        if record.partition_key in keys:
            first, _ = found.get(record.partition_key, (record, record))
            found[record.partition_key] = (first, record)
    return found


def _before(
    instance: dg.DagsterInstance, asset: dg.AssetKey, key: str, record: dg.EventLogRecord
) -> dg.EventLogRecord | None:
    wanted = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[key], before_storage_id=record.storage_id)
    return next(iter(instance.fetch_materializations(wanted, limit=1).records), None)


def _version_before(
    instance: dg.DagsterInstance, asset: dg.AssetKey, key: str, record: dg.EventLogRecord
) -> str | None:
    before = _before(instance, asset, key, record)
    return _version(before) if before else None


def _version(record: dg.EventLogRecord) -> str:
    """Return the data version of a materialization, the digest of its value."""
    made = record.asset_materialization
    return (made.tags or {}).get("dagster/data_version", "") if made else ""


def _result(records: list[dg.EventLogRecord], requests: list[dg.RunRequest]) -> dg.SensorResult | dg.SkipReason:
    if not records:
        return dg.SkipReason("nothing was ingested since the last look")
    return dg.SensorResult(run_requests=requests, cursor=str(records[-1].storage_id))
