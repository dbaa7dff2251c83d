"""Laws of captured functions: each call is a run that says what went in and out and how it ended; results are kept."""

from __future__ import annotations

import contextvars
import inspect
import linecache
import os
import threading
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smalti.errors import Refused, SmaltiError
from smalti.runs import FlexibleDataStore, RunManifest, capture_flexible_data

FRAME = pd.DataFrame({"amount": [1.0, 2.0]})


def only(store: FlexibleDataStore) -> RunManifest:
    """Return the one run that there is."""
    (run,) = store.list_runs()
    return run


def noted(run: RunManifest) -> dict[str, str]:
    """Return what was not stored, and why."""
    assert isinstance(run.notes, dict)
    found = run.notes["not_stored"]
    assert isinstance(found, dict)
    return {name: str(why) for name, why in found.items()}


def test_the_source_of_a_function_is_kept_though_no_file_holds_it(
    store: FlexibleDataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):  # a cell of a notebook, changed and run again
        cell = f"def score(x):\n    return x + {number}\n"
        monkeypatch.setitem(linecache.cache, f"<cell {number}>", (len(cell), None, cell.splitlines(True), ""))
        space: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(cell, f"<cell {number}>", "exec"), space)
        score = capture_flexible_data(store=store)(space["score"])
        assert score(score(3)) == 3 + 2 * number
    first, _, second, _ = sorted(store.list_runs(), key=lambda run: run.started_at)
    assert store.retrieve_data(str(first.code["source"])) == b"def score(x):\n    return x + 0\n"
    assert store.retrieve_data(str(second.code["source"])) == b"def score(x):\n    return x + 1\n"
    assert not store.store.fsck().problems


def test_the_source_is_stored_again_after_all_runs_that_kept_it_were_released(store: FlexibleDataStore) -> None:
    double = capture_flexible_data(store=store)(_double)
    double(1)
    store.store.release(only(store).run_id)
    for _ in range(2):
        store.store.gc(dry_run=False, grace_seconds=0)
        time.sleep(0.01)
    double(2)
    newest = next(store.store.runs())
    assert b"def _double" in store.retrieve_data(str(newest.code["source"]))
    assert not store.store.fsck().problems


def _double(x: int) -> int:
    return 2 * x


def test_a_call_is_a_run_with_parameters_inputs_and_result(store: FlexibleDataStore) -> None:
    @capture_flexible_data(store=store, run_type="production", storage_modes=["by_type", "by_date"], project="fraud")
    def score(table: pd.DataFrame, version: str, /, *more: Any, rate: float = 0.5, **named: Any) -> Any:
        """Say how likely."""
        return table["amount"].to_numpy() * rate

    result = score(FRAME, "v1", np.float32(2), np.arange(3), flag=True, raw=b"x")
    run = only(store)
    assert result.tolist() == [0.5, 1.0]
    assert (run.run_type, run.project, run.status, run.error) == ("production", "fraud", "finished", "")
    assert run.parameters == {"version": "v1", "more_0": 2.0, "rate": 0.5, "flag": True}
    assert sorted(run.inputs) == ["more_1", "raw", "table"]
    pd.testing.assert_frame_equal(store.retrieve_data(run.inputs["table"]), FRAME)
    assert store.retrieve_data(run.outputs["result"]).tolist() == [0.5, 1.0]
    assert store.find_runs_by_data(FRAME) == [run.run_id]
    assert str(run.code["function"]).endswith("<locals>.score")
    assert run.run_id.startswith("score_")
    assert (Path(store.store.place) / "runs/by_type/production" / run.run_id / "outputs/result.npy").is_file()
    assert (score.__name__, score.__doc__, list(inspect.signature(score).parameters)[:2]) == (
        "score",
        "Say how likely.",
        ["table", "version"],
    )


@capture_flexible_data
def bare(data: Any) -> Any:
    """Return what it is given."""
    return data


def test_it_works_without_arguments_in_the_store_of_the_settings(
    store: FlexibleDataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bare(b"x") == b"x"
    assert only(FlexibleDataStore()).outputs["result"].size_bytes == 1


def test_data_is_stored_as_it_was_before_the_call(store: FlexibleDataStore) -> None:
    @capture_flexible_data(store=store)
    def spoil(data: Any) -> None:
        data[:] = 0

    spoil(np.arange(3))
    assert store.retrieve_data(only(store).inputs["data"]).tolist() == [0, 1, 2]
    assert dict(only(store).outputs) == {}


def test_what_cannot_be_stored_is_noted_by_type_and_the_run_goes_on(store: FlexibleDataStore) -> None:
    class Model:
        @capture_flexible_data(store=store)
        def fit(self, connection: Any, password: str, api_key: str | None, table: Any, path: Path) -> Any:
            return {"model": self, "weights": np.arange(2), "loss": 0.5}

    result = Model().fit(threading.Lock(), "secret!", None, pd.DataFrame({"a": [object()]}), Path("/x"))
    run = only(store)
    assert set(result) == {"model", "weights", "loss"}
    assert run.status == "finished"
    assert sorted(noted(run)) == ["connection", "password", "result.model", "self", "table"]
    assert noted(run)["connection"].startswith("_thread.lock: a lock has no codec")
    assert noted(run)["result.model"].split(":")[0].endswith("Model")
    assert "secret!" not in str(run.to_dict())
    assert run.parameters == {"api_key": None, "path": "/x"}
    assert sorted(run.outputs) == ["result.loss", "result.weights"]


Pair = namedtuple("Pair", "train test")


@pytest.mark.parametrize(
    ("result", "outputs"),
    [
        (None, []),
        ((np.arange(2), None, 0.5), ["result_0", "result_2"]),
        (Pair(b"a", b"b"), ["test", "train"]),
        ({"x": np.arange(2), "y": 1}, ["result"]),
        ([np.arange(2), np.arange(3)], ["result_0", "result_1"]),
        ({"accuracy": 0.9}, ["result"]),
        (0.9, ["result"]),
    ],
)
def test_a_result_becomes_outputs(store: FlexibleDataStore, result: Any, outputs: list[str]) -> None:
    assert capture_flexible_data(store=store)(lambda: result)() is result
    assert sorted(only(store).outputs) == outputs


def test_what_is_too_much_or_breaks_when_it_is_read_is_said(store: FlexibleDataStore) -> None:
    class Broken(list[int]):
        def __iter__(self) -> Any:
            raise RuntimeError("gone")

    capture_flexible_data(store=store)(lambda a, b: b)(Broken([1]), [np.arange(1)] * 101)
    run = only(store)
    assert noted(run)["a"].endswith("Broken: reading it raises RuntimeError: gone")
    assert noted(run)["b"] == "list: of its 101 items only the first 100 are stored"
    assert (len(run.inputs), len(run.outputs)) == (100, 100)


def test_what_is_stored_can_be_chosen(store: FlexibleDataStore) -> None:
    @capture_flexible_data(store=store, input_params=["a"], output_param="predictions")
    def some(a: Any, b: Any) -> Any:
        return {"predictions": a, "scratch": b}

    @capture_flexible_data(store=store, store_inputs=False, store_outputs=False)
    def none(a: Any, rate: float) -> Any:
        return a

    some(np.arange(2), np.arange(3))
    run = only(store)
    assert (list(run.inputs), list(run.outputs)) == (["a"], ["predictions"])
    assert noted(run) == {"b": "numpy.ndarray: not among input_params"}
    none(np.arange(9), 0.5)
    run = next(run for run in store.list_runs() if run.run_id.startswith("none"))
    assert (dict(run.inputs), dict(run.outputs), run.parameters) == ({}, {}, {"rate": 0.5})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"run_type": "prod"}, "'prod' is no run type; there are experiment"),
        ({"storage_modes": ["by_team"]}, "'by_team' is no storage mode"),
        ({"storage_modes": "{x}"}, "has the field 'x'"),
        ({"input_params": ["c"]}, "input_params names 'c', but .* takes a, b"),
    ],
)
def test_what_is_wrong_is_refused_when_the_function_is_decorated(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        capture_flexible_data(**options)(lambda a, b: None)
    with pytest.raises(Refused, match="records the calls of functions"):
        capture_flexible_data(Path)


def test_an_exception_is_raised_unchanged_and_the_run_says_so(store: FlexibleDataStore) -> None:
    error = ValueError("no such column")

    @capture_flexible_data(store=store)
    def fail(data: Any) -> None:
        raise error

    with pytest.raises(ValueError, match="no such column") as raised:
        fail(b"x")
    run = only(store)
    assert raised.value is error
    assert error.__cause__ is error.__context__ is None
    assert (run.status, run.error, list(run.inputs)) == ("failed", "ValueError: no such column", ["data"])
    assert isinstance(run.notes, dict)
    assert "raise error" in str(run.notes["traceback"])
    with pytest.raises(TypeError, match=r"fail\(\) missing 1 required positional argument: 'data'"):
        fail()
    assert only(store).run_id == run.run_id


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_a_call_that_is_stopped_says_so(store: FlexibleDataStore, error: BaseException) -> None:
    @capture_flexible_data(store=store)
    def stop() -> None:
        raise error

    with pytest.raises(type(error)):
        stop()
    assert only(store).status == "stopped"


def test_calls_in_calls_are_parts_and_threads_keep_theirs_apart(store: FlexibleDataStore, tmp_path: Path) -> None:
    @capture_flexible_data  # in the store of the outer run
    def inner(number: int) -> int:
        return number

    @capture_flexible_data(root=tmp_path / "other")
    def elsewhere() -> None: ...

    @capture_flexible_data(store=store)
    def outer(number: int, barrier: Any) -> None:
        barrier.wait()
        inner(number)
        elsewhere()
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(inner, number + 100))
        thread.start()
        thread.join()

    barrier = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: outer(number, barrier), range(4)))
    runs = store.list_runs()
    outers = {run.run_id: run.parameters["number"] for run in runs if run.run_id.startswith("outer")}
    parts = sorted((outers[run.parent], run.parameters["number"]) for run in runs if run.run_id.startswith("inner"))
    assert parts == sorted((number, number + more) for number in range(4) for more in (0, 100))
    assert [run.parent for run in FlexibleDataStore(root=tmp_path / "other").list_runs()] == [""] * 4


def test_methods_of_every_kind_are_recorded(store: FlexibleDataStore) -> None:
    class Model:
        @capture_flexible_data(store=store)
        @staticmethod
        def plain(a: int) -> int:
            return a

        @capture_flexible_data(store=store)
        @classmethod
        def of_class(cls, a: int) -> str:
            return cls.__name__

        @capture_flexible_data(store=store)
        def of_instance(self, a: int) -> int:
            return a

    assert (Model.plain(1), Model.of_class(2), Model().of_instance(3)) == (1, "Model", 3)
    assert sorted(str(run.parameters) for run in store.list_runs()) == ["{'a': 1}", "{'a': 2}", "{'a': 3}"]


def test_a_store_that_cannot_be_used_is_said_before_the_function_is_called(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    calls: list[int] = []
    function = capture_flexible_data(root=tmp_path / "file" / "store")(calls.append)
    with pytest.raises(SmaltiError):
        function(1)
    assert calls == []


def test_a_result_is_not_lost_to_a_store_that_breaks_meanwhile(store: FlexibleDataStore) -> None:
    place = Path(store.store.place)

    @capture_flexible_data(store=store)
    def work() -> Any:
        for name in ("data", "tmp", "manifests"):
            (place / name).exists() and (place / name).rename(place / f"{name}.gone")
            (place / name).write_text("in the way")
        return np.arange(3)

    with pytest.warns(RuntimeWarning, match="of the run work_.* could not be recorded in"):
        assert work().tolist() == [0, 1, 2]


def test_references_among_the_arguments_are_inputs_and_not_copied(store: FlexibleDataStore) -> None:
    reference = store.store_data(FRAME, "training_data")
    capture_flexible_data(store=store)(lambda data, ref: data)(reference, store.store.ref("training_data"))
    run = only(store)
    assert {run.inputs["data"].hash, run.inputs["ref"].hash, run.outputs["result"].hash} == {reference.hash}


def test_a_call_that_stores_nothing_new_waits_for_the_disk_twice(
    store: FlexibleDataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the file of its manifest, and for the folder of that; what lies there before the end is not waited for."""
    reference = store.store_data(b"data", "data")
    function = capture_flexible_data(store=store, storage_modes=["by_type", "by_date"])(lambda data: None)
    function(reference)
    waits: list[int] = []
    monkeypatch.setattr(os, "fsync", waits.append)
    function(reference)
    assert len(waits) == 2
