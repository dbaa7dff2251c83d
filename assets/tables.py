"""Tables: raw files read by their contract, as columns with types."""

from typing import Any

import dagster as dg
import pyarrow as pa

from assets.raw import DATASETS
from resources import Ingest
from smalti import Ref
from smalti.contracts.violation import shown

_ROWS_SHOWN = 10


@dg.asset(
    partitions_def=DATASETS,
    group_name="tables",
    kinds={"arrow"},
    description="The rows of a raw table, each column of one type; missing values are null.",
)
def table(context: dg.AssetExecutionContext, ingest: Ingest, raw_table: Ref) -> pa.Table:
    value = ingest.value_of(raw_table.digest)
    context.add_output_metadata(described_table(value))
    return value


def described_table(table: pa.Table) -> dict[str, Any]:
    """Return what a person wants to see of a table: its columns and its first rows."""
    columns = [dg.TableColumn(shown(field.name), str(field.type)) for field in table.schema]
    rows = table.slice(0, _ROWS_SHOWN).to_pylist()
    records = [dg.TableRecord({shown(name): shown(str(value)) for name, value in row.items()}) for row in rows]
    as_text = dg.TableSchema([dg.TableColumn(column.name) for column in columns])
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/row_count": table.num_rows,
        "preview": dg.MetadataValue.table(records, as_text),
    }
