"""One store used from threads, forked and spawned processes at once: all is there afterwards, nobody waits forever."""

from __future__ import annotations

import multiprocessing
import pickle
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.errors import Refused
from smalti.testing import form
from tests.forked_process import ForkedProcess, Say

LARGE = 1_500_000  # 12 MB of float64: several threads hash, write and verify it


def value(number: int) -> dict[str, Any]:
    """A tree of a large array that differs from others by a row, a small one, and JSON."""
    rows = np.zeros((LARGE // 500, 500))
    rows[number % len(rows)] = number
    return {"large": rows, "small": np.full(9, number), "n": number}


def run_forked(acts: list[Callable[[Say], None]]) -> None:
    processes = [ForkedProcess(act) for act in acts]
    for process in processes:
        process.release()
    outcomes = [process.finish() for process in processes]
    assert [outcome.ended for outcome in outcomes] == [0] * len(acts), [outcome.said for outcome in outcomes]


def is_whole(store: Store) -> None:
    report = store.fsck(full=True)
    assert report.clean, report.problems
    with closing(sqlite3.connect(Path(store.place) / "index.sqlite")) as index:
        assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def test_children_of_a_process_that_has_used_a_store_go_on_with_it(store: Store) -> None:
    store.put(value(0), name="parent")
    store.add_manifest("parent", inputs={"x": "parent"})
    lazy = store.open("parent").children["large"]
    assert lazy[5, 0] == 0

    def child(number: int) -> Callable[[Say], None]:
        def act(say: Say) -> None:
            assert form(store.get("parent")) == form(value(0))
            assert lazy.take([5, 0])[1, 0] == 0
            for turn in range(2):
                ref = store.put(value(10 * number + turn), name=f"child/{number}/{turn}")
                store.add_manifest(f"child-{number}-{turn}", outputs={"x": ref}, inputs={"x": "parent"})
            assert len(store.runs_of("parent")) >= 3

        return act

    run_forked([child(number) for number in range(1, 5)])
    for number in range(1, 5):
        for turn in range(2):
            assert form(store.get(f"child/{number}/{turn}")) == form(value(10 * number + turn))
    assert len(store.runs_of("parent")) == 9
    store.put(value(99), name="parent")
    is_whole(store)


def test_a_process_that_is_forked_while_threads_put_goes_on(store: Store) -> None:
    store.put(value(0), name="parent")
    stop = threading.Event()

    def write(first: int) -> None:
        for number in range(first, first + 1000):
            if stop.is_set():
                return
            store.put(value(number), name=f"thread/{first}")

    writers = [threading.Thread(target=write, args=(first,)) for first in (1000, 2000)]
    for writer in writers:
        writer.start()

    def child(number: int) -> Callable[[Say], None]:
        def act(say: Say) -> None:
            store.put(value(number), name=f"child/{number}")
            assert form(store.get(f"child/{number}")) == form(value(number))

        return act

    try:
        for number in range(1, 5):
            run_forked([child(number)])
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert all(form(store.get(f"child/{number}")) == form(value(number)) for number in range(1, 5))
    is_whole(store)


def test_processes_that_begin_a_store_at_once_make_one(tmp_path: Path) -> None:
    for turn in range(3):
        place = tmp_path / f"{turn}"

        def create(number: int, place: Path = place) -> Callable[[Say], None]:
            return lambda say: open_store(place).put({"x": np.full(2000, number)}, name=f"n{number}") and None

        run_forked([create(number) for number in range(6)])
        store = open_store(place)
        assert [named.name for named in store.names()] == [f"n{number}" for number in range(6)]
        is_whole(store)


def _work_in_another(store: Store, lazy: Any) -> tuple[str, float]:
    assert form(store.get("parent")) == form(value(7))
    return store.put(value(8), name="spawned").digest, float(lazy[7, 3])


def test_a_store_and_what_it_opened_go_to_a_spawned_process(store: Store) -> None:
    store.put(value(7), name="parent")
    lazy = store.open("parent").children["large"]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        digest, number = pool.apply(_work_in_another, (store, lazy))
    assert (store.resolve("spawned"), number) == (digest, 7.0)
    assert form(store.get("spawned")) == form(value(8))


def test_a_store_in_memory_goes_to_no_other_process() -> None:
    with pytest.raises(Refused, match="the store memory: cannot be pickled: no other process sees it"):
        pickle.dumps(open_store("memory:"))


def test_threads_that_read_write_look_up_and_collect_with_one_store_disturb_nobody(store: Store) -> None:
    for number in range(4):
        store.put(value(number), name=f"old/{number}")
    lazy = store.open("old/3").children["large"]
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            for turn in range(4):
                ref = store.put(value(100 * number + turn), name=f"{number}/{turn}")
                store.add_manifest(f"run-{number}-{turn}", outputs={"x": ref})
                assert form(store.get(f"old/{turn}")) == form(value(turn))
                assert lazy[3].sum() == lazy.take([3]).sum() == 1500
                assert [use.run for use in store.runs_of(ref)] == [f"run-{number}-{turn}"]
                store.gc(dry_run=turn % 2 == 0)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert len(list(store.names())) == 4 + 6 * 4
    is_whole(store)
