"""Raw files: they come from outside, so Dagster records them but never makes them."""

from typing import Any

import dagster as dg

SCANS = dg.DynamicPartitionsDefinition(name="scan")

CONTRACT_CHECK = "contract"

raw_scan = dg.AssetSpec(
    "raw_scan",
    description="A scan as it arrived in `data/raw/`, unchanged, with the card that says what the file does not.",
    group_name="ptychography",
    partitions_def=SCANS,
    kinds={"numpy"},
)


def violations_table(violations: list[dict[str, Any]]) -> dg.TableMetadataValue:
    """Return violations as the table the UI shows."""
    columns = ("severity", "code", "message")
    records = [dg.TableRecord({column: str(violation[column]) for column in columns}) for violation in violations]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(column) for column in columns]))
