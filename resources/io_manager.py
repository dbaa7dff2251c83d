"""The content-addressed IO manager: a value's digest is its data version, and equal values are stored once."""

from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from resources.published import publish_output
from resources.run_manifests import DIGEST, READ, called
from resources.store import StoreResource
from resources.stored_value import put_version
from smalti import LazyArray, Ref, Store, Tree


class StoreIOManager(dg.ConfigurableIOManager):
    """Keeps every output in the store under a name made of its asset key and partition.

    An input annotated ``Ref`` is given the reference alone; ``LazyArray`` or ``Tree`` reads nothing until it is
    used; anything else is the value, verified. A run over several partitions gets a dict by partition key.
    """

    store: dg.ResourceDependency[StoreResource]
    # By the step that runs: what each input is called -> digest.
    _read: dict[str, str] = PrivateAttr(default_factory=dict)
    _read_by: tuple[str, str] = PrivateAttr(default=("", ""))

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store ``obj`` (a ``Ref`` says that it is stored already) and record digest, size and cost."""
        store = self.store.open()
        if not context.has_asset_key:
            store.put(obj, name=_op_output_name(context))
            return
        ref, metadata = put_version(context.log, store, _asset_name(context), obj, context.run_id)
        # Not in the documented API of Dagster 1.13, but the only way for an IO manager to state the data
        # version (dagster#15584); tests/pipeline pins it.
        context.step_context.set_data_version(context.asset_key, dg.DataVersion(ref.digest))
        read = {READ + name: digest for name, digest in self._read_in(context.run_id, context.step_key).items()}
        context.add_output_metadata(metadata | read)
        if context.has_asset_partitions:
            publish_output(context.log, store, context.asset_key.to_user_string(), context.asset_partition_key, ref)

    def load_input(self, context: dg.InputContext) -> Any:
        """Return the value that this run's upstream step wrote, else the latest of the same partition."""
        store = self.store.open()
        wanted = context.dagster_type.typing_type
        if not context.has_asset_key:
            upstream = context.upstream_output
            assert upstream is not None
            return _read(store, _op_output_name(upstream), wanted)
        keys = context.asset_partition_keys if context.has_asset_partitions else [None]
        digests = {key: _digest(context, key) for key in keys}
        read = self._read_in(context.step_context.run_id, context.step_context.step.key)
        read |= {called(context.asset_key, key): digest for key, digest in digests.items()}
        values = {key: _read(store, digest, wanted) for key, digest in digests.items()}
        return values if len(keys) > 1 else values[keys[0]]

    def _read_in(self, run_id: str, step_key: str) -> dict[str, str]:
        """Return what was read in a step so far; there is one at a time."""
        if self._read_by != (run_id, step_key):
            self._read_by, self._read = (run_id, step_key), {}
        return self._read


def _read(store: Store, reference: str, wanted: Any) -> Any:
    if wanted is Ref:
        return store.ref(reference)
    return store.open(reference) if wanted in (LazyArray, Tree) else store.get(reference)


def _asset_name(context: dg.OutputContext) -> str:
    return called(context.asset_key, context.asset_partition_key if context.has_asset_partitions else None)


def _op_output_name(context: dg.OutputContext) -> str:
    return f"runs/{context.run_id}/{context.step_key}/{context.name}"


def _digest(context: dg.InputContext, partition: str | None) -> str:
    """Return the digest of an upstream asset: what this very run wrote, else the latest materialization.

    "The latest" alone would be wrong when two runs write the same asset at once.
    """
    partitions = [partition] if partition is not None else None
    upstream = context.upstream_output
    found = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=partitions), limit=20
    ).records
    mine = [record for record in found if upstream is not None and record.run_id == upstream.run_id]
    for record in mine or found:
        materialization = record.asset_materialization
        if materialization is not None and DIGEST in materialization.metadata:
            return str(materialization.metadata[DIGEST].value)
    of = f" of partition {partition}" if partition is not None else ""
    raise dg.DagsterInvariantViolationError(
        f"{context.asset_key.to_user_string()}{of} has no materialization with a digest; materialize it first."
    )
