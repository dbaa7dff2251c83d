"""Which stored value an input stands for: what this run wrote, else the latest that Dagster knows, else the store's."""

from collections.abc import Iterable, Sequence

import dagster as dg

from resources.names import called, shown_partitions
from resources.run_manifests import DIGEST
from smalti import Store
from smalti.errors import NotFound

_EPHEMERAL = "__EPHEMERAL_RUN_ID"  # of the output of a step that is not of this run
_MATERIALIZATION = dg.DagsterEventType.ASSET_MATERIALIZATION
_AT_ONCE = 500
_SHOWN = 10

Partition = str | None


def located(context: dg.InputContext, store: Store, partitions: Sequence[Partition]) -> dict[Partition, str]:
    """Return the digest of each of these partitions of the asset of an input; one that has no value is left out.

    "The latest" alone would be wrong when two runs write the same asset at once. What Dagster has never heard of, as
    where a store was copied from another machine, is found by its name in the store, and the log says so.
    """
    asset, instance = context.asset_key, _instance(context)
    found: dict[Partition, str] = {}
    if instance is not None:
        run_id = _run_of_upstream(context)
        found = _written_in(instance, run_id, asset, partitions) if run_id else {}
        wanted = [partition for partition in partitions if partition not in found]
        found |= _latest(instance, asset, wanted) if wanted else {}
        if len(found) == len(partitions) or instance.get_latest_materialization_event(asset):
            return found
    by_name = _by_name(store, asset, partitions)
    if by_name and instance is not None:
        many = f"its {len(by_name)} partitions were"
        shown = f"{called(asset, next(iter(by_name)))} was" if len(by_name) == 1 else many
        context.log.info(
            f"Dagster has no materialization of {asset.to_user_string()}, so {shown} found by name in {store.place}."
        )
    return found | by_name


def missing(context: dg.InputContext, store: Store, partitions: Sequence[Partition]) -> NotFound:
    """Return the error that says that partitions of an asset have no value, and which have."""
    asset, instance = context.asset_key, _instance(context)
    of = "" if partitions == [None] else f" of {_listed([str(partition) for partition in partitions])}"
    known = instance.get_materialized_partitions(asset) if instance else set()
    there = sorted(known or shown_partitions((named.name for named in store.names()), asset))
    has = f"; it has the partitions {_listed(there)}" if there else ""
    if there and partitions == [None]:
        has = f"; it was partitioned when it was made, into {_listed(there)}"
    where = "" if instance else f", and no instance of Dagster was given to look it up in, only {store.place}"
    return NotFound(f"{asset.to_user_string()} has no value{of}{has}{where}: materialize it first.")


def without_partition(context: dg.InputContext, store: Store) -> NotFound:
    """Return the error for a partitioned asset of which no partition was asked for."""
    asset, instance = context.asset_key, _instance(context)
    known = instance.get_materialized_partitions(asset) if instance else set()
    there = sorted(known or shown_partitions((named.name for named in store.names()), asset))
    return NotFound(
        f"{asset.to_user_string()} is partitioned and no partition was asked for; give the partition_key, one of "
        f"{_listed(there) or 'none yet: materialize one first'}."
    )


def _listed(keys: Sequence[str]) -> str:
    return ", ".join([*keys[:_SHOWN], *([f"and {len(keys) - _SHOWN} more"] if len(keys) > _SHOWN else [])])


def _instance(context: dg.InputContext) -> dg.DagsterInstance | None:
    try:
        return context.instance
    except dg.DagsterInvariantViolationError:  # none was given, as in a notebook
        return None


def _run_of_upstream(context: dg.InputContext) -> str | None:
    """Return the run that made an input: this one, or the one that it is executed again from; None if it is neither."""
    if context.upstream_output is None:
        return None
    try:
        run_id = context.upstream_output.run_id
    except dg.DagsterInvariantViolationError:
        return None
    return None if run_id == _EPHEMERAL else run_id


def _written_in(
    instance: dg.DagsterInstance, run_id: str, asset: dg.AssetKey, partitions: Sequence[Partition]
) -> dict[Partition, str]:
    """Return what a run wrote of these partitions, the last of each."""
    logged = instance.all_logs(run_id, of_type=_MATERIALIZATION)
    made = [of for entry in logged if (of := entry.asset_materialization) and of.asset_key == asset]
    return _digests(made, partitions)


def _latest(instance: dg.DagsterInstance, asset: dg.AssetKey, partitions: Sequence[Partition]) -> dict[Partition, str]:
    """Return the latest of these partitions that Dagster knows."""
    if partitions == [None]:
        return _latest_of(instance, dg.AssetRecordsFilter(asset_key=asset), None)
    wanted = {str(partition) for partition in partitions}
    numbers = sorted(instance.get_latest_storage_id_by_partition(asset, _MATERIALIZATION, wanted).values())
    made: list[dg.AssetMaterialization] = []
    for start in range(0, len(numbers), _AT_ONCE):
        some = dg.AssetRecordsFilter(asset_key=asset, storage_ids=numbers[start : start + _AT_ONCE])
        records = instance.fetch_materializations(some, limit=_AT_ONCE).records
        made += [of for record in records if (of := record.asset_materialization)]
    found = _digests(made, partitions)
    for of in made:  # the latest may be one that a person reported, which says of no value
        if of.partition not in found:
            records_of = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[str(of.partition)])
            found |= _latest_of(instance, records_of, of.partition)
    return found


def _latest_of(
    instance: dg.DagsterInstance, records: dg.AssetRecordsFilter, partition: Partition
) -> dict[Partition, str]:
    """Return the latest value of one partition; an asset without any may have had some, and those are none of it."""
    cursor, more = None, True
    while more:
        page = instance.fetch_materializations(records, limit=_AT_ONCE if cursor else 1, cursor=cursor)
        for record in page.records:
            if (of := record.asset_materialization) and of.partition == partition and DIGEST in of.metadata:
                return {partition: str(of.metadata[DIGEST].value)}
        cursor, more = page.cursor, page.has_more
    return {}


def _digests(made: Iterable[dg.AssetMaterialization], partitions: Sequence[Partition]) -> dict[Partition, str]:
    """Return the digests of what is kept in a store, of these partitions."""
    found = {of.partition: str(of.metadata[DIGEST].value) for of in made if DIGEST in of.metadata}
    return {partition: found[partition] for partition in partitions if partition in found}


def _by_name(store: Store, asset: dg.AssetKey, partitions: Sequence[Partition]) -> dict[Partition, str]:
    found: dict[Partition, str] = {}
    for partition in partitions if store.exists() else ():
        if versions := store.versions(called(asset, partition)):
            found[partition] = versions[-1].address
    return found
