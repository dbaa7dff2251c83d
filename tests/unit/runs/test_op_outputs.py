"""Outputs of ops go when nothing needs them any more: decided from what is known of their runs, or by age alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smalti import open_store
from smalti.runs.op_outputs import OpOutputs, RunState, not_needed, op_outputs, outdated, release

NOW = datetime(2026, 1, 31, tzinfo=UTC)
KEEP = timedelta(days=14)


def left(run: str, days_ago: float) -> OpOutputs:
    return OpOutputs(run, (f"runs/{run}/step/result",), NOW - timedelta(days=days_ago), 1)


def gone(outputs: list[OpOutputs], **runs: RunState) -> list[str]:
    return [of.run for of in not_needed(outputs, runs, KEEP, NOW)]


def test_outputs_are_found_by_run_and_nothing_else_is(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    assert op_outputs(store) == []
    for name in ("runs/one/step/result", "runs/one/step/result/a", "runs/two/step/result"):
        store.put(np.arange(10), name)
    for name in ("runs", "runs/one", "runs/red/2024-01-01", "scan/one"):  # an asset may be called runs
        store.put("an asset", name)
    found = {of.run: of for of in op_outputs(store)}
    assert {run: of.names for run, of in found.items()} == {
        "one": ("runs/one/step/result", "runs/one/step/result/a"),
        "two": ("runs/two/step/result",),
    }
    assert found["one"].nbytes == 80, "equal values are one"
    release(store, found.values())
    assert [version.name for version in store.names()] == ["runs", "runs/one", "runs/red/2024-01-01", "scan/one"]


def test_by_age_alone_those_older_than_that_go() -> None:
    outputs = [left("old", 15), left("new", 13)]
    assert [of.run for of in outdated(outputs, KEEP, NOW)] == ["old"]


def test_outputs_of_a_run_that_finished_go_and_of_one_at_work_stay_for_ever() -> None:
    finished, running = RunState("a", "finished", 1), RunState("b", "running", 2)
    assert gone([left("a", 0), left("b", 400)], a=finished, b=running) == ["a"]


def test_outputs_of_a_run_that_failed_stay_as_long_as_it_may_be_executed_again() -> None:
    failed = RunState("a", "failed", 1)
    assert gone([left("a", 13)], a=failed) == []
    assert gone([left("a", 15)], a=failed) == ["a"]


def test_what_a_later_execution_needs_stays_with_it() -> None:
    first, again = RunState("a", "failed", 1), RunState("a", "failed", 2)
    outputs = [left("a", 20), left("b", 10)]  # b was executed again from a, ten days later
    assert gone(outputs, a=first, b=again) == []
    assert gone(outputs, a=first, b=replace(again, status="running")) == []
    assert gone(outputs, a=first, b=replace(again, status="finished")) == ["a", "b"]


def test_outputs_of_a_run_that_was_deleted_go_after_a_day() -> None:
    assert gone([left("a", 2), left("b", 0.5)]) == ["a"]


STATES = st.sampled_from(["running", "finished", "failed"])


@given(st.dictionaries(st.sampled_from("abcd"), st.tuples(st.sampled_from("abcd"), STATES, st.integers(0, 3))))
def test_no_output_goes_while_a_run_of_its_family_is_at_work(runs: dict) -> None:
    states = {run: RunState(*of) for run, of in runs.items()}
    at_work = {state.root for state in states.values() if state.status == "running"}
    released = gone([left(run, 100) for run in "abcd"], **states)
    assert not [run for run in released if run in states and states[run].root in at_work]
