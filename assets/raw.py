"""Raw files: they come from outside, so Dagster records them but never makes them."""

from typing import Any

import dagster as dg

from resources.io_manager import DIGEST

SCANS = dg.DynamicPartitionsDefinition(name="scan")

CONTRACT_CHECK = "contract"

raw_scan = dg.AssetSpec(
    "raw_scan",
    description="A scan as it arrived in `data/raw/`, unchanged, with the card that says what the file does not.",
    group_name="ptychography",
    partitions_def=SCANS,
    kinds={"numpy"},
)


def arrival_events(verdict: dict[str, Any]) -> list[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """Return what to record of a judged file: the check always, the materialization when it was accepted."""
    check = dg.AssetCheckEvaluation(
        asset_key=raw_scan.key,
        check_name=CONTRACT_CHECK,
        passed=verdict["accepted"],
        partition=verdict["key"],
        description=verdict["reason"] or f"accepted under {verdict['contract']}",
        metadata={"contract": verdict["contract"], "violations": violations_table(verdict["violations"])},
    )
    if not verdict["accepted"]:
        return [check]
    materialization = dg.AssetMaterialization(
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
    return [materialization, check]


def violations_table(violations: list[dict[str, Any]]) -> dg.TableMetadataValue:
    """Return violations as the table the UI shows."""
    columns = ("severity", "code", "message")
    records = [dg.TableRecord({column: str(violation[column]) for column in columns}) for violation in violations]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(column) for column in columns]))
