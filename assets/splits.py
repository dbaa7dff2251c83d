"""Splits: what trains the network and what evaluates it, positions of a scan or rows of a table as text."""

from dataclasses import replace
from typing import Any

import dagster as dg
import pyarrow as pa

from assets.previews import sentences
from assets.raw import DATASETS, SCANS
from assets.tables import roles_of, test_of
from resources import StoreResource
from resources.made_from import also_read
from smalti import Ref, Scan
from smalti.contracts.violation import shown
from smalti.datasets.splits import split_positions
from smalti.tabular.split import TextSplit, split_rows

_TEXTS_SHOWN = 5


class SplitConfig(dg.Config):
    """Attributes:
    validation_fraction: share of the positions that is kept back, between 0 and 1.
    seed: decides which.
    """

    validation_fraction: float = 0.1
    seed: int = 0


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"numpy"},
    description="Position numbers for training and validation.",
)
def scan_split(context: dg.AssetExecutionContext, config: SplitConfig, scan: Scan) -> dict[str, Any]:
    split = split_of(scan, config)
    context.add_output_metadata(counted(split))
    return split


def split_of(scan: Scan, config: SplitConfig) -> dict[str, Any]:
    """Return the split that the config asks for."""
    return split_positions(scan, config.validation_fraction, config.seed)


def counted(split: dict[str, Any]) -> dict[str, int]:
    """Return how many positions each part has."""
    return {name: len(split[name]) for name in ("train", "validation")}


class TextSplitConfig(dg.Config):
    """Attributes:
    target: the column to be predicted; by default what the card names, or what is clear from the columns.
    validation_fraction: share of the rows that is kept back, between 0 and 1.
    seed: decides which.
    """

    target: str | None = None
    validation_fraction: float = 0.1
    seed: int = 0


@dg.asset(
    partitions_def=DATASETS,
    group_name="tables",
    kinds={"pandas"},
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
    columns = [dg.TableColumn(name) for name in split.train.columns]
    return {
        "target": shown(split.target.column),
        "competition_type": split.target.competition_type,
        "train": len(split.train),
        "validation": len(split.validation),
        "notes": sentences(split.notes),
        "texts": dg.MetadataValue.table(records, dg.TableSchema(columns)),
    }
