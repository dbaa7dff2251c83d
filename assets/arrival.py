"""Recording what arrived: a materialization for each accepted file, a contract check for every one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from assets.raw import CONTRACT_CHECK, PARTITIONS, RAW, violations_table
from resources.names import called
from resources.run_manifests import ARRIVAL_JOB, DIGEST, placed
from smalti.contracts.violation import shown
from smalti.ingest.kinds import Kind, kinds
from smalti.ingest.ledger import Arrival
from smalti.store import Step

_NUMBER = "smalti/arrival"
STILL_VALIDATING = "still validating"  # how a sensor begins its reason when it found nothing and is not done


def ledger_path(instance: dg.DagsterInstance) -> Path:
    """Return where the ledger lies: with the records it must agree with, so that both are lost or kept together."""
    return Path(instance.root_directory) / "arrivals.sqlite"


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


def arrival_tag(arrived: Latest, number: int | None = None) -> str:
    """Return what tells this arrival from every other of its partition, also from one of the same bytes.

    Args:
        number: of the arrival, where a file of the same bytes was dropped again; by default that of the recorded one.
    """
    digits = arrived.data_version.removeprefix("sha256:")[:32]
    return f"{digits}-{arrived.tags.get(_NUMBER, '') if number is None else number}"


def kind_of(arrival: Arrival) -> Kind:
    """Return the kind of a file that arrived; one whose kind has gone since is a plain file."""
    every = {kind.name: kind for kind in kinds()}
    return every.get(arrival.report.get("kind") or "scan", every["file"])


def arrival_of(arrival: Arrival) -> dg.AssetMaterialization:
    """Return the materialization of an accepted file; its data version is the digest of the stored original."""
    report = arrival.report
    twin = report.get("same_bytes_as")
    return dg.AssetMaterialization(
        asset_key=RAW[kind_of(arrival).name].key,
        partition=arrival.key,
        metadata={
            DIGEST: dg.MetadataValue.text(report["digest"]),
            "file": dg.MetadataValue.text(shown(arrival.name)),
            "nbytes": report["nbytes"],
            "new_bytes": report["new_bytes"],
            "source": dg.MetadataValue.text(report["source"] or "unknown"),
            "licence": dg.MetadataValue.text(report["licence"] or "unknown"),
            **({"shape": dg.MetadataValue.text(str(tuple(report["shape"])))} if report.get("shape") else {}),
            **_contents(report.get("contents") or {}),
            **({"same_bytes_as": dg.MetadataValue.text(twin)} if twin else {}),
        },
        tags={
            "dagster/data_version": report["digest"],
            "dagster/data_version_is_user_provided": "true",
            _NUMBER: str(arrival.number),
        },
    )


def _contents(contents: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns and first rows of a table, or the arrays of a file, as the UI shows them."""
    if "columns" in contents:
        columns = [dg.TableColumn(column["name"], column["type"]) for column in contents["columns"]]
        as_text = dg.TableSchema([dg.TableColumn(column.name) for column in columns])
        return {
            "dagster/column_schema": dg.TableSchema(columns),
            "dagster/row_count": contents["rows"],
            "preview": dg.MetadataValue.table([dg.TableRecord(row) for row in contents["first"]], as_text),
        }
    if "arrays" in contents:
        names = ("name", "dtype", "shape")
        records = [dg.TableRecord({name: str(array[name]) for name in names}) for array in contents["arrays"]]
        return {"arrays": dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in names]))}
    return {}


def check_of(arrival: Arrival, target: Target | None) -> dg.AssetCheckEvaluation:
    """Return the contract check of a file, its violations as a table, and the arrival it speaks of if any."""
    report = arrival.report
    metadata: dict[str, Any] = {
        "contract": report["contract"] or "none",
        "violations": violations_table(report["violations"]),
        "file": dg.MetadataValue.text(shown(arrival.name)),
    }
    if arrival.place:
        metadata["quarantine"] = dg.MetadataValue.path(arrival.place)
    return dg.AssetCheckEvaluation(
        target_materialization_data=target,
        asset_key=RAW[kind_of(arrival).name].key,
        check_name=CONTRACT_CHECK,
        passed=arrival.accepted,
        partition=arrival.key,
        description=report["reason"] or f"accepted under {report['contract']}",
        metadata=metadata,
    )


def record(instance: dg.DagsterInstance, arrivals: Sequence[Arrival]) -> None:
    """Record files of one run: each arrival, then all checks under that run, which was never launched.

    Called again after it was interrupted, it records what is missing. No partition may be there twice: Dagster 1.13
    keeps one check evaluation of a partition for each run, and only one without any run, while a file that is mended
    and dropped again needs a second one.
    """
    (run_id,) = {arrival.run for arrival in arrivals}
    assert run_id
    of_kind: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        of_kind.setdefault(kind_of(arrival).name, []).append(arrival)
    interrupted = instance.has_run(run_id)
    if not interrupted:
        instance.add_run(dg.DagsterRun(job_name=ARRIVAL_JOB, run_id=run_id, status=dg.DagsterRunStatus.SUCCESS))
    for name, some in of_kind.items():
        _record_kind(instance, name, some, run_id, interrupted=interrupted)


def manifest_of(arrivals: Sequence[Arrival]) -> dict[str, Any]:
    """Return the fields of the manifest of one such run: which values came from outside, and what came with them."""
    accepted = [(called(RAW[kind_of(one).name].key, one.key), one) for one in arrivals if one.accepted]
    shown_at = placed(ARRIVAL_JOB, {}, datetime.now(UTC))
    told = ("contract", "nbytes", "source", "licence", "reason")
    return {
        "outputs": {name: one.report["digest"] for name, one in accepted},
        "steps": [Step(name, outputs={name: one.report["digest"]}) for name, one in accepted],
        "status": "finished",
        **shown_at,
        "notes": {
            "job": ARRIVAL_JOB,
            "files": [
                {"file": shown(one.name), "from": one.source, "key": one.key, "accepted": one.accepted}
                | {what: one.report[what] for what in told if one.report.get(what)}
                for one in arrivals
            ],
        },
    }


def _record_kind(
    instance: dg.DagsterInstance, kind: str, arrivals: Sequence[Arrival], run_id: str, *, interrupted: bool
) -> None:
    asset, keys = RAW[kind], [arrival.key for arrival in arrivals]
    assert asset.partitions_def in PARTITIONS.values()
    instance.add_dynamic_partitions(str(asset.partitions_def.name), keys)
    there = {at.tags.get(_NUMBER) for at in latest(instance, asset.key, keys).values()} if interrupted else set()
    for arrival in arrivals:
        if arrival.accepted and str(arrival.number) not in there:
            instance.report_runless_asset_event(arrival_of(arrival))
    arrived = latest(instance, asset.key, [arrival.key for arrival in arrivals if arrival.accepted])
    for arrival in arrivals:
        check = check_of(arrival, arrived[arrival.key].target if arrival.accepted else None)
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
            job_name=ARRIVAL_JOB,
            event_specific_data=check,
            message=f"{shown(arrival.name)}: {check.description}",
        )
        instance.report_dagster_event(event, run_id=run_id)


def record_gone(instance: dg.DagsterInstance, kind: Kind, key: str, filename: str) -> None:
    """Record that a file is not where it arrived any more; what was stored of it stays."""
    observation = dg.AssetObservation(
        asset_key=RAW[kind.name].key,
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
