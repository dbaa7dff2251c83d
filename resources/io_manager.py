"""The content-addressed IO manager: a value's digest is its data version, and equal values are stored once."""

import math
from collections.abc import Sequence
from typing import Any

import dagster as dg
import numpy as np
from pydantic import PrivateAttr

from resources.inputs.annotations import allows_none, is_mapping, of_each, read_as
from resources.inputs.located import located, missing, without_partition
from resources.inputs.partitions import is_partitioned, may_be_several, partitions_of
from resources.made_from import as_metadata, reads_of, state
from resources.names import called, op_output_name
from resources.published import publish_output
from resources.run_manifests import begin_manifest, code_version_label
from resources.store import StoreResource
from resources.stored_value import put_version
from smalti import Store
from smalti.errors import NotFound, Refused, SmaltiError
from smalti.store import Step


class StoreIOManager(dg.ConfigurableIOManager):
    """Keeps every output in the store: of an asset under the name of its partition, of an op under the name of its run.

    An input annotated ``Ref`` is given the reference alone; ``LazyArray`` or ``Tree`` reads nothing until it is
    used; anything else is the value, verified. An input of several partitions is a dict by partition key.
    docs/io_manager.md says in which situations this differs from Dagster's own IO managers.
    """

    store: dg.ResourceDependency[StoreResource]
    _begun: set[str] = PrivateAttr(default_factory=set)  # runs that have a manifest

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store ``obj`` (a ``Ref`` says that it is stored already) and record digest, size and what it was made from.

        Raises:
            Refused: no codec can store the value exactly, or it is of several partitions, or of none.
        """
        step = context.step_context
        if not context.has_asset_key:
            store = self.store.open()
            store.put(_storable(obj), name=_op_output(context))
            context.add_output_metadata(as_metadata(reads_of(step).everything()))
            self._begin(context, store)
            return
        partition, store = _partition(context), self.store.open()
        name = called(context.asset_key, partition)
        ref, metadata = put_version(context.log, store, name, _storable(obj), context.run_id)
        # Not in the documented API of Dagster 1.13, but the only way for an IO manager to state the data
        # version (dagster#15584); tests/pipeline pins it.
        step.set_data_version(context.asset_key, dg.DataVersion(ref.digest))
        reads_of(step).written[context.asset_key] = {name: ref.digest}
        read = state(step)[context.asset_key]
        context.add_output_metadata(metadata)
        self._begin(context, store, Step(name, read, {name: ref.digest}))
        if partition is not None:
            publish_output(context.log, store, context.asset_key.to_user_string(), partition, ref)

    def _begin(self, context: dg.OutputContext, store: Store, *made: Step) -> None:
        """Begin the manifest of a run with its first output; where that cannot be, the run goes on."""
        step, run = context.step_context, context.step_context.dagster_run
        if run.run_id in self._begun:
            return
        self._begun.add(run.run_id)
        layer = step.job_def.asset_layer
        assets = {key: layer.get(key).code_version for key in layer.selected_asset_keys}
        try:
            begin_manifest(store, run, made, {code_version_label(key): of for key, of in assets.items() if of})
        except SmaltiError as error:
            context.log.warning(f"the manifest of the run is written when it has ended, not now: {error}")

    def load_input(self, context: dg.InputContext) -> Any:
        """Return the value that this run's upstream step wrote, else the latest of the same partition.

        Raises:
            NotFound: there is none.
            Refused: the input is of no partition, and its annotation does not allow None.
        """
        store, wanted = self.store.open(), context.dagster_type.typing_type
        if not context.has_asset_key:
            return _read_op_output(context, store, wanted)
        if not context.has_asset_partitions:
            if is_partitioned(context):
                raise without_partition(context, store)
            (digest,) = _read(context, store, [None]).values()
            return read_as(store, digest, wanted)
        by_partition = is_mapping(wanted) and may_be_several(context)
        keys = partitions_of(context)
        if len(keys) == 1 and not by_partition:
            digests = _read(context, store, keys)
            return read_as(store, digests[keys[0]], wanted) if digests else None
        if not keys and not by_partition:
            return _nothing(context, wanted)
        form = of_each(wanted) if is_mapping(wanted) else Any
        return {key: read_as(store, digest, form) for key, digest in _read(context, store, keys).items()}


def _read(context: dg.InputContext, store: Store, partitions: Sequence[str | None]) -> dict[Any, str]:
    """Return the digests of partitions of an input, and note that they were read.

    Raises:
        NotFound: one has no value, and the input does not have ``allow_missing_partitions`` in its metadata.
    """
    digests = located(context, store, partitions)
    if lacking := [partition for partition in partitions if partition not in digests]:
        error = missing(context, store, lacking)
        if lacking == [None] or not (context.definition_metadata or {}).get("allow_missing_partitions"):
            raise error
        context.log.warning(f"{error} The input allows partitions to be missing, so it goes on without.")
    read = {called(context.asset_key, partition): digest for partition, digest in digests.items()}
    try:
        step = context.step_context
    except dg.DagsterInvariantViolationError:  # outside of a run
        return digests
    reads_of(step).inputs.setdefault(context.asset_key, {}).update(read)
    if step.is_in_graph_asset:
        # The event of a loaded input then says what was read, to whatever process runs the last op of the graph.
        # `add_input_metadata` would add an observation of the asset, and cannot speak of several partitions
        # (dagster#27940).
        context._user_generated_metadata = as_metadata(read)
    state(step)
    return digests


def _nothing(context: dg.InputContext, wanted: Any) -> None:
    """Return None for an input of no partition, such as that of the first day of an asset that reads the day before."""
    if not allows_none(wanted):
        raise Refused(
            f"the input {context.name} is of no partition of {context.asset_key.to_user_string()} here, but it is "
            f"annotated {context.dagster_type.display_name}; allow None."
        )


def _read_op_output(context: dg.InputContext, store: Store, wanted: Any) -> Any:
    upstream = context.upstream_output
    assert upstream is not None
    name = _op_output(upstream)
    if hasattr(context.step_context.step.step_input_named(context.name).source, "sources"):  # one of a list of outputs
        wanted = of_each(wanted)
    try:
        return read_as(store, name, wanted)
    except NotFound:
        raise NotFound(
            f"the output {upstream.name} of {upstream.step_key} in the run {upstream.run_id} is not in {store.place} "
            "any more: execute that step again, too."
        ) from None


def _op_output(context: dg.OutputContext) -> str:
    return op_output_name(context.run_id, context.step_key, context.name, context.mapping_key)


def _partition(context: dg.OutputContext) -> str | None:
    """Return the partition that an output is of.

    Raises:
        Refused: it is of several, or of none although the asset is partitioned.
    """
    asset = context.asset_key.to_user_string()
    if not context.has_asset_partitions:
        if is_partitioned(context):
            raise Refused(f"{asset} is partitioned and this run is of no partition; launch it for one.")
        return None
    keys = context.asset_partition_keys
    if len(keys) != 1:
        raise Refused(
            f"{asset} was made for {len(keys)} partitions in one run, to which Dagster gives one data version "
            "together; set its backfill_policy to BackfillPolicy.multi_run(), or launch a run for each partition."
        )
    return context.asset_partition_key


def _storable(value: Any) -> Any:
    """Return a value as the store takes it: a float that JSON cannot write becomes numpy's, which is a float, too."""
    if isinstance(value, float) and not math.isfinite(value):
        return np.float64(value)
    if type(value) is dict and any(isinstance(of, float | dict) for of in value.values()):
        return {name: _storable(of) for name, of in value.items()}
    return value
