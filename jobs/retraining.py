"""Which trained networks are out of date: those whose inputs have other content now than when they were trained."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from jobs.ticks import OFF, TAGS, tick

_VERSION, _INPUT_VERSION = "dagster/data_version", "dagster/input_data_version/"
_AT_ONCE = 500

train_network = dg.define_asset_job(
    "train_network",
    selection='key:"ptycho_checkpoint"',
    description="Train the network of one scan; what follows from a new checkpoint is made by itself.",
)
train_bert = dg.define_asset_job(
    "train_bert",
    selection='key:"bert_checkpoint"',
    description="Train the BERT of one table; what follows from a new checkpoint is made by itself.",
)


def outdated(trained: Mapping[str, str], current: Mapping[str, str]) -> list[str]:
    """Return the partitions that were made from other content than there is now, in order.

    Args:
        trained: partition -> data version of its input when it was made, as Dagster's tag has it.
        current: partition -> data version of the input now; what is not in it was wiped, and makes nothing outdated.
    """
    return sorted(key for key in trained.keys() & current.keys() if trained[key] not in _spellings(current[key]))


def _spellings(version: str) -> tuple[str, str]:
    """Return a data version as Dagster records it of an input: of a partitioned one, a hash of it (dagster#26563)."""
    return version, hashlib.sha256(version.encode()).hexdigest()


def outdated_partitions(
    instance: dg.DagsterInstance, asset: dg.AssetKey, inputs: list[dg.AssetKey]
) -> dict[str, dict[str, str]]:
    """Return the partitions of an asset that are out of date: each with the data versions of its inputs now.

    Only content counts: a partition that was materialized anew with equal content makes nothing outdated, and neither
    does changed code. What was never made is not out of date.
    """
    made = _latest_tags(instance, asset)
    found: dict[str, dict[str, str]] = {}
    for key in inputs:
        tag = f"{_INPUT_VERSION}{key.to_user_string()}"
        trained = {partition: tags[tag] for partition, tags in made.items() if tag in tags}
        current = {
            partition: tags[_VERSION]
            for partition, tags in _latest_tags(instance, key).items()
            if partition in trained and _VERSION in tags
        }
        for partition in outdated(trained, current):
            found.setdefault(partition, {})[key.to_user_string()] = current[partition]
    return dict(sorted(found.items()))


def _latest_tags(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[str, Mapping[str, str]]:
    """Return the tags of the latest materialization of every partition: a few queries, however many there are."""
    latest = instance.get_latest_storage_id_by_partition(asset, dg.DagsterEventType.ASSET_MATERIALIZATION)
    numbers, found = sorted(latest.values()), dict[str, Mapping[str, str]]()
    for at in range(0, len(numbers), _AT_ONCE):
        wanted = dg.AssetRecordsFilter(asset_key=asset, storage_ids=numbers[at : at + _AT_ONCE])
        for record in instance.fetch_materializations(wanted, limit=_AT_ONCE).records:
            if record.partition_key is not None and record.asset_materialization:
                found[record.partition_key] = record.asset_materialization.tags or {}
    return found


def retraining_schedules(time_zone: str) -> list[dg.ScheduleDefinition]:
    """Return the schedules that train anew what is out of date."""
    return [
        _schedule(
            "weekly_retraining_on_scans", train_network, 25, "ptycho_checkpoint", ("scan", "scan_split"), time_zone
        ),
        _schedule("weekly_retraining_on_tables", train_bert, 45, "bert_checkpoint", ("text_split",), time_zone),
    ]


def _schedule(
    name: str, job: Any, minute: int, asset: str, inputs: Sequence[str], time_zone: str
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=f"{minute} 22 * * 5",
        execution_timezone=time_zone,
        default_status=OFF,
        tags=TAGS,
        description=f"Every Friday at 22:{minute}: trains anew the partitions of {asset} whose {' or '.join(inputs)} "
        "has other content now than when they were trained, one run each, with the default config. Equal content, "
        "changed code and what was never trained ask for nothing. Off until a person turns it on.",
    )
    def retraining(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        found = outdated_partitions(context.instance, dg.AssetKey(asset), [dg.AssetKey(key) for key in inputs])
        if not found:
            yield dg.SkipReason(f"every partition of {asset} was trained on what {' and '.join(inputs)} have now.")
        for partition in found:
            yield dg.RunRequest(run_key=f"{tick(context)} {partition}", partition_key=partition)

    return retraining
