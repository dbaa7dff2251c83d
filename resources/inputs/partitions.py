"""Which partitions an input is of, and whether it may be of several, as its partition mapping says."""

import dagster as dg
from dagster._core.definitions.partitions.utils import infer_partition_mapping


def partitions_of(context: dg.InputContext) -> list[str]:
    """Return the partitions of the asset of an input, a key of several dimensions as one that knows them."""
    definition, keys = context.asset_partitions_def, context.asset_partition_keys
    if isinstance(definition, dg.MultiPartitionsDefinition):
        return [
            key if isinstance(key, dg.MultiPartitionKey) else definition.get_partition_key_from_str(key) for key in keys
        ]
    return keys


def is_partitioned(context: dg.InputContext | dg.OutputContext) -> bool:
    """Tell whether an asset is partitioned, also where it is used without a partition."""
    try:
        return context.asset_partitions_def is not None
    except dg.DagsterInvariantViolationError:  # how Dagster says that it is not
        return False


def may_be_several(context: dg.InputContext) -> bool:
    """Tell whether an input may be of several partitions, also where it happens to be of one or none.

    A window of three days is clipped at the first day, and all partitions may be one: an input that is a dict by
    partition must not change its form then.
    """
    try:
        step = context.step_context
    except dg.DagsterInvariantViolationError:  # outside of a run
        return False
    definition = step.entity_partitions_def
    stated = step.assets_def.get_partition_mapping_for_dep(context.asset_key) if step.assets_def else None
    return _is_of_several(
        infer_partition_mapping(stated, definition, context.asset_partitions_def),
        definition,
        context.asset_partitions_def,
    )


def _is_of_several(
    mapping: dg.PartitionMapping, of: dg.PartitionsDefinition[str] | None, upstream: dg.PartitionsDefinition[str]
) -> bool:
    match mapping:
        case dg.TimeWindowPartitionMapping(start_offset=start, end_offset=end):
            same = isinstance(of, dg.TimeWindowPartitionsDefinition) and isinstance(
                upstream, dg.TimeWindowPartitionsDefinition
            )
            return start != end or not same or _cadence(of) != _cadence(upstream)
        case dg.AllPartitionMapping():
            return True
        case dg.SpecificPartitionsPartitionMapping(partition_keys=keys):
            return len(keys) != 1
        case dg.MultiToSingleDimensionPartitionMapping():
            return isinstance(upstream, dg.MultiPartitionsDefinition)
    return False  # identity, the last one, or what only the project knows: as many as there are


def _cadence(definition: object) -> str:
    assert isinstance(definition, dg.TimeWindowPartitionsDefinition)
    return definition.cron_schedule
