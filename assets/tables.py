"""Tables: raw files read by their contract, as columns with types; and which of them are trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from assets.arrival import latest
from assets.code_versions import code_version
from assets.outputs import shown_dataset
from assets.partitions import DATASETS
from resources import Ingest, StoreResource
from smalti import Ref, Store
from smalti.contracts.violation import shown
from smalti.ingest.keys import file_key
from smalti.outputs.parts import Part
from smalti.scans.card import TableRoles
from smalti.tabular import pairs
from smalti.tabular.report.outputs import table_part

_ROWS_SHOWN = 10
# Only a table to train on has a split and a checkpoint, so those have fewer partitions, of the same keys.
OF_THE_SAME_TABLE = dg.AssetIn(partition_mapping=dg.IdentityPartitionMapping())
_TARGET, _TEST = "smalti/target", "smalti/test"  # tags of a table: what its card says


@dg.asset(
    partitions_def=DATASETS,
    group_name="tables",
    kinds={"arrow"},
    code_version=code_version("smalti.formats", "smalti.contracts.tables"),
    description="The rows of a raw table, each column of one type; missing values are null.",
)
def table(context: dg.AssetExecutionContext, store: StoreResource, ingest: Ingest, raw_table: Ref) -> Ref:
    values, value = store.open(), ingest.value_of(raw_table.digest)
    ref = values.put(value)
    context.add_output_metadata({**described_table(value), **shown_dataset(context, part_of(values, value, ref))})
    return ref


def part_of(_: Store, table: pa.Table, ref: Ref) -> Part:
    """Return what the outputs of a table show of it."""
    return table_part(table.num_rows, table.num_columns, ref.digest)


def described_table(table: pa.Table) -> dict[str, Any]:
    """Return what a person wants to see of a table: its columns and its first rows."""
    columns = [dg.TableColumn(shown(field.name), str(field.type)) for field in table.schema]
    rows = table.slice(0, _ROWS_SHOWN).to_pylist()
    records = [dg.TableRecord({shown(name): shown(str(value)) for name, value in row.items()}) for row in rows]
    as_text = dg.TableSchema([dg.TableColumn(column.name) for column in columns])
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/column_lineage": column_lineage("raw_table", {column.name: [column.name] for column in columns}),
        "dagster/row_count": table.num_rows,
        "preview": dg.MetadataValue.table(records, as_text),
    }


def column_lineage(asset: str, made_from: Mapping[str, Sequence[str]]) -> dg.TableColumnLineage:
    """Return from which columns of an asset each column was made."""
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(asset_key=dg.AssetKey(asset), column_name=shown(name)) for name in names]
            for column, names in made_from.items()
        }
    )


def roles_of(store: Store, raw: str) -> TableRoles:
    """Return what the card of a raw table says of its columns."""
    card = store.open(raw).attrs["card"]
    return TableRoles.model_validate(card.get("table", {}))


def role_tags(roles: TableRoles) -> dict[str, str]:
    """Return the tags by which :func:`to_train` knows what a card says."""
    target = {_TARGET: "stated"} if roles.target else {}  # the name itself may be no tag
    return target | ({_TEST: file_key(roles.test)} if roles.test else {})


def roles_in(tags: Mapping[str, str]) -> dict[str, str]:
    """Return those of the tags of a table that :func:`role_tags` gave it."""
    return {name: tags[name] for name in (_TARGET, _TEST) if name in tags}


def is_to_be_trained_on(key: str, tags: Mapping[str, str]) -> bool:
    """Tell whether a table is one to train on: its card names a target, or its name says train."""
    return _TARGET in tags or pairs.matching_test(key) is not None


def test_of(instance: dg.DagsterInstance, train: str) -> str | None:
    """Return the partition of the table whose rows a training table is to predict; None where it has not arrived."""
    named = _tags(instance, [train]).get(train, {}).get(_TEST) or pairs.matching_test(train)
    return named if named in _there(instance) else None


def to_train(instance: dg.DagsterInstance, arrived: str) -> str | None:
    """Return the partition that is to be trained because a table arrived, itself or that of its training table."""
    there = _there(instance)
    tags = _tags(instance, there)
    targets = {key for key, of in tags.items() if _TARGET in of}
    tests = {of[_TEST]: key for key, of in tags.items() if _TEST in of}
    return tests.get(arrived) or pairs.to_train(arrived, targets, there)


def _there(instance: dg.DagsterInstance) -> Sequence[str]:
    return instance.get_dynamic_partitions(str(DATASETS.name))


def _tags(instance: dg.DagsterInstance, keys: Sequence[str]) -> dict[str, Mapping[str, str]]:
    return {key: at.tags for key, at in latest(instance, table.key, keys).items()}
