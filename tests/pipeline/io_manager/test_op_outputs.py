"""Outputs of ops are released when Dagster needs them no more: its own records of the runs say so."""

from typing import Any

import dagster as dg
import numpy as np
import pytest

from resources.op_outputs import release_op_outputs

FAILS = []


@dg.op
def big() -> np.ndarray:
    return np.random.default_rng().random(1000)


@dg.op
def mean(x: np.ndarray) -> float:
    if FAILS:
        raise ValueError(FAILS[0])
    return float(x.mean())


@dg.job
def nightly() -> None:
    mean(big())


def run(ours: Any, **tags: str) -> str:
    done = nightly.execute_in_process(
        instance=ours.instance, resources=ours.resources, raise_on_error=False, tags=dict(tags)
    )
    return done.run_id


def outputs(ours: Any) -> set[str]:
    return {version.name.split("/")[1] for version in ours.store.names()}


@pytest.fixture
def failing() -> Any:
    FAILS.append("no beam")
    yield FAILS
    FAILS.clear()


def test_outputs_of_a_run_that_finished_are_released_and_a_dry_run_releases_none(ours: Any) -> None:
    finished = run(ours)
    assert [of.run for of in release_op_outputs(ours.store, ours.instance, 14, dry_run=True)] == [finished]
    assert outputs(ours) == {finished}
    (released,) = release_op_outputs(ours.store, ours.instance, 14)
    assert set(released.names) == {f"runs/{finished}/big/result", f"runs/{finished}/mean/result"}
    assert outputs(ours) == set()


def test_outputs_of_a_run_that_failed_stay_until_the_days_are_over(ours: Any, failing: Any) -> None:
    failed = run(ours)
    assert release_op_outputs(ours.store, ours.instance, 14) == []
    assert outputs(ours) == {failed}
    assert [of.run for of in release_op_outputs(ours.store, ours.instance, -1)] == [failed]


def test_outputs_go_when_the_execution_from_the_failure_finished(ours: Any, failing: Any) -> None:
    failed = run(ours)
    failing.clear()
    again = run(ours, **{"dagster/root_run_id": failed, "dagster/parent_run_id": failed})
    assert {of.run for of in release_op_outputs(ours.store, ours.instance, 14)} == {failed, again}


def test_the_output_of_an_op_that_is_gone_is_named_with_the_way_out(ours: Any) -> None:
    @dg.op(ins={"start": dg.In(dg.Nothing)})
    def late(x: np.ndarray) -> np.ndarray:
        return x

    @dg.op(out=dg.Out(dg.Nothing))
    def clean(context: dg.OpExecutionContext, x: np.ndarray) -> None:
        ours.store.forget(f"runs/{context.run_id}/big/result")

    @dg.job
    def cleaned() -> None:
        value = big()
        late(value, start=clean(value))

    said = ours.outcome(lambda: ours.run(cleaned))
    assert said.startswith("NotFound: the output result of big in the run ")
    assert said.endswith("any more: execute that step again, too.")
