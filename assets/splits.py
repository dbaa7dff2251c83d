"""Splits: what trains the network and what evaluates it, positions of a scan or rows of a table as text."""

from dataclasses import replace
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import Field

from assets.code_versions import code_version
from assets.partitions import SCANS, TRAINING_TABLES
from assets.previews import sentences
from assets.tables import OF_THE_SAME_TABLE, column_lineage, roles_of, test_of
from resources import StoreResource
from resources.made_from import also_read
from resources.run_config import StepConfig
from smalti import Ref, Scan
from smalti.contracts.violation import shown
from smalti.datasets.splits import split_positions
from smalti.tabular.split import ROW, TextSplit, split_rows

_TEXTS_SHOWN = 5


class SplitConfig(StepConfig, step="scan_split"):
    """Which positions of a scan are kept back."""

    validation_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of the positions kept back, above 0 and below 1."
    )
    seed: int = Field(0, ge=0, description="Decides which.")


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"numpy"},
    code_version=code_version("smalti.datasets.splits"),
    description="Numbers of the positions for training and for validation.",
)
def scan_split(context: dg.AssetExecutionContext, config: SplitConfig, scan: Scan) -> dict[str, Any]:
    split = split_positions(scan, config.validation_fraction, config.seed)
    context.add_output_metadata({name: len(split[name]) for name in ("train", "validation")})
    return split


class TextSplitConfig(StepConfig, step="text_split"):
    """What is predicted, and which rows are kept back."""

    target: str = Field("", description="The column to predict; empty: the card's, or what the columns make clear.")
    validation_fraction: float = Field(0.1, gt=0, lt=1, description="Share of the rows kept back, above 0 and below 1.")
    seed: int = Field(0, ge=0, description="Decides which.")


@dg.asset(
    partitions_def=TRAINING_TABLES,
    ins={"raw_table": OF_THE_SAME_TABLE, "table": OF_THE_SAME_TABLE},
    group_name="tables",
    kinds={"pandas"},
    code_version=code_version("smalti.tabular.split", "smalti.templates"),
    description="Rows as text with their labels, for training and validation. How to write a row is learned from the "
    "training rows.",
)
def text_split(
    context: dg.AssetExecutionContext, config: TextSplitConfig, store: StoreResource, raw_table: Ref, table: pa.Table
) -> dict[str, Any]:
    values = store.open()
    roles, test = roles_of(values, raw_table.digest), test_of(context.instance, context.partition_key)
    if test:
        also_read(context, {f"table/{test}": values.resolve(f"table/{test}")})
    split = split_rows(
        table,
        config.target or roles.target,
        values.get(f"table/{test}") if test else None,
        validation_fraction=config.validation_fraction,
        seed=config.seed,
        id_column=roles.id,
    )
    context.add_output_metadata(described_split(split))
    return replace(split, test=None).to_tree()  # a test table that changes leaves what was trained as it is


def described_split(split: TextSplit) -> dict[str, Any]:
    """Return what a person wants to see of a split: what is predicted, how many rows, and some of the texts."""
    rows = split.train.head(_TEXTS_SHOWN).to_dict("records")
    records = [dg.TableRecord({name: shown(str(value)) for name, value in row.items()}) for row in rows]
    columns = [dg.TableColumn(name, str(kind)) for name, kind in split.train.dtypes.items()]
    read: Any = split.template["columns"]
    made_from = {
        "id": [split.id_column] if split.id_column != ROW else [],
        "text": [column["column"] for column in read],
        "label": [split.target.column],
    }
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/column_lineage": column_lineage("table", made_from),
        "target": shown(split.target.column),
        "competition_type": split.target.competition_type,
        "train": len(split.train),
        "validation": len(split.validation),
        "notes": sentences(split.notes),
        "texts": dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(column.name) for column in columns])),
    }
