"""Recording what arrived: a materialization for each accepted file, a contract check for every judged one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from assets.raw import CONTRACT_CHECK, SCANS, raw_scan, violations_table
from resources.io_manager import DIGEST
from smalti.contracts.violation import shown
from smalti.ingest.ledger import Arrival

_NUMBER = "smalti/arrival"


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest materialization of one partition: where Dagster keeps it, and its tags."""

    storage_id: int
    run_id: str
    timestamp: float
    tags: Mapping[str, str]

    @property
    def data_version(self) -> str:
        """The digest of the value."""
        return self.tags["dagster/data_version"]

    @property
    def target(self) -> Target:
        """What a check says that it speaks of; without it, the UI shows the check as missing."""
        return Target(storage_id=self.storage_id, run_id=self.run_id, timestamp=self.timestamp)


def arrival_tag(arrived: Latest) -> str:
    """Return what tells this arrival from every other of its partition, also from one of the same bytes."""
    return f"{arrived.data_version.removeprefix('sha256:')[:32]}-{arrived.tags.get(_NUMBER, '')}"


def arrival_of(arrival: Arrival) -> dg.AssetMaterialization:
    """Return the materialization of an accepted file; its data version is the digest of the stored original."""
    verdict = arrival.verdict
    twin = verdict.get("same_bytes_as")
    return dg.AssetMaterialization(
        asset_key=raw_scan.key,
        partition=arrival.key,
        metadata={
            DIGEST: dg.MetadataValue.text(verdict["digest"]),
            "file": dg.MetadataValue.text(shown(arrival.name)),
            "nbytes": verdict["nbytes"],
            "new_bytes": verdict["new_bytes"],
            "shape": dg.MetadataValue.text(str(tuple(verdict["shape"]))),
            "source": dg.MetadataValue.text(verdict["source"] or "unknown"),
            "licence": dg.MetadataValue.text(verdict["licence"] or "unknown"),
            **({"same_bytes_as": dg.MetadataValue.text(twin)} if twin else {}),
        },
        tags={
            "dagster/data_version": verdict["digest"],
            "dagster/data_version_is_user_provided": "true",
            _NUMBER: str(arrival.number),
        },
    )


def check_of(arrival: Arrival, target: Target | None) -> dg.AssetCheckEvaluation:
    """Return the contract check of a judged file, its violations as a table, and the arrival it speaks of if any."""
    verdict = arrival.verdict
    metadata: dict[str, Any] = {
        "contract": verdict["contract"],
        "violations": violations_table(verdict["violations"]),
        "file": dg.MetadataValue.text(shown(arrival.name)),
    }
    if arrival.place:
        metadata["quarantine"] = dg.MetadataValue.path(arrival.place)
    return dg.AssetCheckEvaluation(
        target_materialization_data=target,
        asset_key=raw_scan.key,
        check_name=CONTRACT_CHECK,
        passed=arrival.accepted,
        partition=arrival.key,
        description=verdict["reason"] or f"accepted under {verdict['contract']}",
        metadata=metadata,
    )


def record(instance: dg.DagsterInstance, arrivals: Sequence[Arrival]) -> None:
    """Record judged files of one run: each arrival, then all checks under that run, which was never launched.

    Called again after it was interrupted, it records what is missing. No partition may be there twice: Dagster 1.13
    keeps one check evaluation of a partition for each run, and only one without any run, while a file that is mended
    and dropped again needs a second one.
    """
    (run_id,) = {arrival.run for arrival in arrivals}
    assert run_id
    keys = [arrival.key for arrival in arrivals]
    instance.add_dynamic_partitions(str(SCANS.name), keys)
    if interrupted := instance.has_run(run_id):
        there = {arrived.tags.get(_NUMBER) for arrived in latest(instance, raw_scan.key, keys).values()}
    else:
        instance.add_run(dg.DagsterRun(job_name="arrival", run_id=run_id, status=dg.DagsterRunStatus.SUCCESS))
    for arrival in arrivals:
        if arrival.accepted and not (interrupted and str(arrival.number) in there):
            instance.report_runless_asset_event(arrival_of(arrival))
    arrived = latest(instance, raw_scan.key, [arrival.key for arrival in arrivals if arrival.accepted])
    for arrival in arrivals:
        check = check_of(arrival, arrived[arrival.key].target if arrival.accepted else None)
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
            job_name="arrival",
            event_specific_data=check,
            message=f"{shown(arrival.name)}: {check.description}",
        )
        instance.report_dagster_event(event, run_id=run_id)


def record_gone(instance: dg.DagsterInstance, key: str, filename: str) -> None:
    """Record that a file is not where it arrived any more; what was stored of it stays."""
    observation = dg.AssetObservation(
        asset_key=raw_scan.key,
        partition=key,
        description="the file is gone from where it arrived; what was stored of it stays",
        metadata={"file": dg.MetadataValue.text(shown(filename)), "gone": True},
    )
    instance.report_runless_asset_event(observation)


def latest(instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Sequence[str]) -> dict[str, Latest]:
    """Return the latest materialization of each of these partitions that has any."""
    found: dict[str, Latest] = {}
    cursor = None
    while keys and len(found) < len(keys):
        wanted = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=list(keys))
        page = instance.fetch_materializations(wanted, limit=2 * len(keys), cursor=cursor)
        for record in page.records:
            if record.partition_key and (materialization := record.asset_materialization):
                at = Latest(record.storage_id, record.run_id, record.timestamp, materialization.tags or {})
                found.setdefault(record.partition_key, at)
        cursor = page.cursor
        if not page.has_more:
            break
    return found
