"""Raw files of every kind: they come from outside, so Dagster records them but never makes them."""

from typing import Any

import dagster as dg

from assets.partitions import PARTITIONS
from smalti.ingest.kinds import kinds

CONTRACT_CHECK = "contract"
_GROUPS = {"scan": "ptychography", "product": "ptychography", "table": "tables"}

RAW = {
    kind.name: dg.AssetSpec(
        kind.raw,
        description=f"{kind.about} As it arrived in `data/raw/`, unchanged, with the card that says what it does not.",
        group_name=_GROUPS.get(kind.name, "files"),
        partitions_def=PARTITIONS[kind.partitions],
    )
    for kind in kinds()
}


def violations_table(violations: list[dict[str, Any]]) -> dg.TableMetadataValue:
    """Return violations as the table the UI shows."""
    columns = ("severity", "code", "message")
    records = [dg.TableRecord({column: str(violation[column]) for column in columns}) for violation in violations]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(column) for column in columns]))
