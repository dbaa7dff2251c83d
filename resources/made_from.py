"""What a materialization was made from: the digest of everything that its step read, or the steps of its graph.

It is the metadata ``made_from`` of every materialization of an asset whose inputs the IO manager loads, also of one
that it does not store. Dagster's own tags ``dagster/input_data_version/...`` say the latest of any partition where an
asset is made by a graph of ops; this says what was read.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import dagster as dg
from dagster._core.errors import DagsterInvalidPropertyError
from dagster._core.execution.context.system import StepExecutionContext

MADE_FROM = "made_from"


@dataclass
class StepReads:
    """What one attempt at a step has read and written until now.

    Attributes:
        inputs: by asset, what was loaded of it: what it is called in the store -> digest.
        others: what else was read, likewise.
        written: by asset, what the step stored.
    """

    inputs: dict[dg.AssetKey, dict[str, str]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    written: dict[dg.AssetKey, dict[str, str]] = field(default_factory=dict)

    def everything(self) -> dict[str, str]:
        """Return all that was read."""
        return {name: digest for of in (*self.inputs.values(), self.others) for name, digest in of.items()}

    def read_for(self, asset: dg.AssetKey, parents: frozenset[dg.AssetKey]) -> dict[str, str]:
        """Return what was read for one of the assets of the step: what does not belong to another of them alone."""
        made_here = {key: of for key, of in self.written.items() if key != asset}
        found = [of for key, of in (*self.inputs.items(), *made_here.items()) if key in parents]
        return {name: digest for of in (*found, self.others) for name, digest in of.items()}


# An attempt at a step is one object of Dagster's, so runs, threads and retries are told apart, and nothing is kept.
_READS: WeakKeyDictionary[StepExecutionContext, StepReads] = WeakKeyDictionary()
_LOCK = threading.Lock()


def reads_of(step: StepExecutionContext) -> StepReads:
    """Return what an attempt at a step has read until now."""
    with _LOCK:
        return _READS.setdefault(step, StepReads())


def also_read(context: dg.AssetExecutionContext | dg.OpExecutionContext, read: Mapping[str, str]) -> None:
    """State that an asset is made from something beside its inputs; call it before the output is handed over.

    Args:
        read: what each value is called in the store -> its digest.
    """
    try:
        step = context.get_step_execution_context()
    except DagsterInvalidPropertyError:  # called by hand, as in a test
        context.add_output_metadata(as_metadata(read))
        return
    reads_of(step).others.update(read)
    state(step)


def state(step: StepExecutionContext) -> dict[dg.AssetKey, dict[str, str]]:
    """Put what was read until now on the materializations of the assets that a step makes, and return it by asset."""
    found: dict[dg.AssetKey, dict[str, str]] = {}
    assets, reads = step.get_output_asset_keys(), reads_of(step)
    of_graph = dict(_read_in_graph(step)) if assets and step.is_in_graph_asset else {}
    for asset in assets:
        if step.is_in_graph_asset:
            read = of_graph | reads.everything()
        else:
            read = reads.read_for(asset, frozenset(step.job_def.asset_layer.get(asset).parent_keys))
        step.add_asset_metadata(as_metadata(read), asset_key=asset)
        found[asset] = read
    return found


def as_metadata(read: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata that says what was read: what each value is called in the store -> its digest."""
    return {MADE_FROM: dg.MetadataValue.json(dict(sorted(read.items())))} if read else {}


def made_from(metadata: Mapping[str, dg.MetadataValue]) -> dict[str, str]:
    """Return what metadata says was read; nothing where it says nothing."""
    stated = metadata.get(MADE_FROM)
    if stated is None:
        return {}
    read = stated.value if isinstance(stated.value, dict) else json.loads(str(stated.value))
    return {str(name): str(digest) for name, digest in read.items()}


def _read_in_graph(step: StepExecutionContext) -> Iterator[tuple[str, str]]:
    """Yield what the ops of a step's graph have read, those too that an earlier run of this one's re-execution ran.

    They may have run in other processes: the events of the run tell, of inputs and of outputs of ops.
    """
    assert step.node_handle.parent is not None
    above = f"{step.node_handle.root}."
    run: dg.DagsterRun | None = step.dagster_run
    runs: list[dg.DagsterRun] = []
    while run is not None:
        runs.insert(0, run)
        run = step.instance.get_run_by_id(run.parent_run_id) if run.parent_run_id else None
    wanted = {dg.DagsterEventType.LOADED_INPUT, dg.DagsterEventType.HANDLED_OUTPUT}
    for one in runs:
        for entry in step.instance.all_logs(one.run_id, of_type=wanted):
            if entry.dagster_event is not None and str(entry.step_key).startswith(above):
                yield from made_from(entry.dagster_event.event_specific_data.metadata).items()
