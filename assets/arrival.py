"""Recording what arrived: a materialization for each accepted file, a contract check for every judged one."""

from typing import Any
from uuid import uuid4

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from assets.raw import CONTRACT_CHECK, raw_scan, violations_table
from resources.io_manager import DIGEST


def arrival_of(verdict: dict[str, Any]) -> dg.AssetMaterialization:
    """Return the materialization of an accepted file; its data version is the digest of the stored original."""
    return dg.AssetMaterialization(
        asset_key=raw_scan.key,
        partition=verdict["key"],
        metadata={
            DIGEST: dg.MetadataValue.text(verdict["digest"]),
            "file": dg.MetadataValue.text(verdict["file"]),
            "nbytes": verdict["nbytes"],
            "new_bytes": verdict["new_bytes"],
            "shape": dg.MetadataValue.text(str(tuple(verdict["shape"]))),
            "source": dg.MetadataValue.text(verdict["source"] or "unknown"),
            "licence": dg.MetadataValue.text(verdict["licence"] or "unknown"),
        },
        tags={"dagster/data_version": verdict["digest"], "dagster/data_version_is_user_provided": "true"},
    )


def check_of(verdict: dict[str, Any], target: Target | None) -> dg.AssetCheckEvaluation:
    """Return the contract check of a judged file, its violations as a table, and the arrival it speaks of if any."""
    return dg.AssetCheckEvaluation(
        target_materialization_data=target,
        asset_key=raw_scan.key,
        check_name=CONTRACT_CHECK,
        passed=verdict["accepted"],
        partition=verdict["key"],
        description=verdict["reason"] or f"accepted under {verdict['contract']}",
        metadata={"contract": verdict["contract"], "violations": violations_table(verdict["violations"])},
    )


def record(instance: dg.DagsterInstance, verdicts: list[dict[str, Any]]) -> None:
    """Record judged files: each arrival without a run, then all checks under one run that was never launched.

    Dagster 1.13 keeps a single check evaluation of a partition that belongs to no run and fails on the second, and a
    file that is mended and dropped again needs a second one.
    """
    run = instance.add_run(dg.DagsterRun(job_name="arrival", run_id=str(uuid4()), status=dg.DagsterRunStatus.SUCCESS))
    for verdict in verdicts:
        if verdict["accepted"]:
            instance.report_runless_asset_event(arrival_of(verdict))
        check = check_of(verdict, _latest_arrival(instance, verdict["key"]) if verdict["accepted"] else None)
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
            job_name=run.job_name,
            event_specific_data=check,
            message=f"{verdict['file']}: {check.description}",
        )
        instance.report_dagster_event(event, run_id=run.run_id)


def _latest_arrival(instance: dg.DagsterInstance, key: str) -> Target:
    """Return what ties a check to the materialization it judged; without it the UI shows the check as missing."""
    wanted = dg.AssetRecordsFilter(asset_key=raw_scan.key, asset_partitions=[key])
    record = instance.fetch_materializations(wanted, limit=1).records[0]
    return Target(storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp)
