"""Laws of comparing runs: what is said of them, and what they read and wrote, value by value."""

from __future__ import annotations

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.compare import compare_runs, page, text
from smalti.errors import NotFound


@pytest.fixture
def store() -> Store:
    store = open_store("memory:")
    data, more = store.put(np.arange(10)), store.put(np.arange(10) + (np.arange(10) == 3))
    patch = store.put(b"+ print()\n")
    first = {"parameters": {"lr": 0.1, "epochs": 5}, "metrics": {"loss": 0.5}, "environment": {"pid": 1}}
    second = {"parameters": {"lr": 0.2, "epochs": 5}, "metrics": {"loss": 0.4}, "environment": {"pid": 2}}
    store.add_manifest("one", inputs={"data": data}, outputs={"model": data}, **first, started_at="2026-01-01")
    store.add_manifest("two", inputs={"data": data}, outputs={"model": more, "more": data}, **second)
    store.add_manifest("same", inputs={"data": data}, outputs={"model": data}, **first, code={"diff": patch.digest})
    store.add_manifest("again", inputs={"data": data}, outputs={"model": data}, **first, code={"diff": patch.digest})
    return store


def test_parameters_and_values_that_differ_are_told_one_by_one(store: Store) -> None:
    found = compare_runs(store, "one", "two")
    assert [(d.path, d.happened) for d in found.differences] == [
        ("", "changed"),
        ("outputs/model", "changed"),
        ("outputs/more", "added"),
    ]
    told = "\n".join(text(found))
    assert "parameters.lr: 0.1 -> 0.2 (+100 %)" in told
    assert "metrics.loss: 0.5 -> 0.4 (-20 %)" in told
    assert "1 of 10 elements changed" in told
    assert "epochs" not in told
    assert "pid" not in told
    assert (found.same, found.equal) == (1, False)
    assert "parameters.lr" in page(found, store)


def test_runs_of_which_the_same_is_said_and_that_used_the_same_are_equal(store: Store) -> None:
    found = compare_runs(store, "same", "again")
    assert found.equal
    assert text(found) == ["equal"]


def test_seeds_that_no_double_holds_are_told_apart(store: Store) -> None:
    for run, seed in (("first", 2**64 + 1), ("second", 2**64 + 2), ("third", 2**64 + 2)):
        store.add_manifest(run, seeds={"numpy": seed})
    found = compare_runs(store, "first", "second")
    assert found.before != found.after
    assert "seeds.numpy: 18446744073709551617 -> 18446744073709551618" in "\n".join(text(found))
    assert compare_runs(store, "second", "third").equal


def test_code_that_differs_is_compared_as_the_value_it_is(store: Store) -> None:
    found = compare_runs(store, "one", "same")
    assert [(d.path, d.happened) for d in found.differences] == [("code/diff", "added")]


def test_values_that_are_gone_differ_all_the_same(store: Store) -> None:
    for run in ("one", "two", "same", "again"):
        store.release(run)
    for _ in range(2):
        store.gc(dry_run=False, grace_seconds=0)
    found = compare_runs(store, "one", "two")
    assert [d.what for d in found.differences] == ["what is said of the run", "what is gone", "what is gone"]


def test_a_run_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(NotFound, match="no manifest of a run 'three'"):
        compare_runs(store, "one", "three")
