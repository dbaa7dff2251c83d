"""Letting outputs of ops go that no run of this Dagster instance needs any more."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import dagster as dg

from smalti import Store
from smalti.runs.op_outputs import OpOutputs, RunState, not_needed, op_outputs, release

_ROOT = "dagster/root_run_id"
_AT_ONCE = 500
_FAILED = {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


def release_op_outputs(
    store: Store, instance: dg.DagsterInstance, keep_days: float, dry_run: bool = False
) -> list[OpOutputs]:
    """Release the outputs of ops that nothing needs, and return them: see :func:`smalti.runs.op_outputs.not_needed`.

    Args:
        keep_days: so long those of a run that failed stay, for an execution from there.
    """
    found = op_outputs(store)
    runs = _states(instance, [of.run for of in found])
    gone = not_needed(found, runs, timedelta(days=keep_days), datetime.now(UTC))
    if not dry_run:
        release(store, gone)
    return gone


def _states(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> dict[str, RunState]:
    """Return what Dagster knows of runs, and of those that were executed again from them or that they were from."""
    states = dict(_known(instance, [dg.RunsFilter(run_ids=list(some)) for some in _batches(run_ids)]))
    roots = sorted({state.root for state in states.values()})
    of_roots = [dg.RunsFilter(run_ids=list(some)) for some in _batches(roots)]
    of_roots += [dg.RunsFilter(tags={_ROOT: list(some)}) for some in _batches(roots)]
    return states | dict(_known(instance, of_roots))


def _known(instance: dg.DagsterInstance, wanted: Sequence[dg.RunsFilter]) -> Iterator[tuple[str, RunState]]:
    for some in wanted:
        for record in instance.get_run_records(some):
            run = record.dagster_run
            began = record.create_timestamp.timestamp()
            yield run.run_id, RunState(run.tags.get(_ROOT, run.run_id), _status(run.status), began)


def _status(status: dg.DagsterRunStatus) -> Literal["running", "finished", "failed"]:
    if status == dg.DagsterRunStatus.SUCCESS:
        return "finished"
    return "failed" if status in _FAILED else "running"


def _batches(run_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (run_ids[start : start + _AT_ONCE] for start in range(0, len(run_ids), _AT_ONCE))
