"""Raw files of every kind: they come from outside, so Dagster records them but never makes them."""

from typing import Any

import dagster as dg

from assets.partitions import PARTITIONS
from smalti.ingest.kinds import kinds

_GROUPS = {"scan": "ptychography", "product": "ptychography", "table": "tables"}

RAW = {
    kind.name: dg.AssetSpec(
        kind.raw,
        description=f"{kind.about} Each file that was accepted, unchanged, with its card. A sensor records it when it "
        f"is dropped into `data/raw/` and keeps the contract `{kind.contract_id}`; what the contract warned of is in "
        "the metadata. There is nothing to materialize: drop a file. One that was refused is in `rejected_files`.",
        group_name=_GROUPS.get(kind.name, "files"),
        partitions_def=PARTITIONS[kind.partitions],
    )
    for kind in kinds()
}


def violations_table(violations: list[dict[str, Any]]) -> dg.TableMetadataValue:
    """Return violations as the table the UI shows."""
    return text_table(("severity", "code", "message"), violations)


def text_table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> dg.TableMetadataValue:
    """Return rows as the table the UI shows, every cell as text."""
    records = [dg.TableRecord({column: str(row[column]) for column in columns}) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(column) for column in columns]))
