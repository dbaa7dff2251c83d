"""Eight processes write equal and different values, another collects without end: nothing acknowledged is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from smalti import open_store
from smalti.testing import FolderBytes, form

WRITERS = 8
GRACE_S = 3.0  # has to exceed the slowest put, here on a loaded machine
ROUNDS = int(os.environ.get("SMALTI_TEST_ROUNDS", "6"))


def run_all(child: Callable[..., Any], acts: list[Callable[[Any], None]], seconds: float = 100) -> list[list[str]]:
    """Run every act in a process; return what each acknowledged."""
    processes = [child(act) for act in acts]
    for process in processes:
        process.release()
    outcomes = [process.finish(seconds) for process in processes]
    assert [outcome.ended for outcome in outcomes] == [0] * len(acts), [outcome.said[-1:] for outcome in outcomes]
    return [outcome.said for outcome in outcomes]


def test_writers_of_equal_and_different_values_beside_a_collector_lose_nothing(
    tmp_path: Path, value: Callable[[int], Any], child: Callable[..., Any]
) -> None:
    stop = tmp_path / "stop"
    open_store(tmp_path / "store").init()  # the collector may be the first

    def writing(number: int) -> Callable[[Any], None]:
        def write(say: Callable[[str], None]) -> None:
            store = open_store(tmp_path / "store")
            for turn in range(ROUNDS):
                store.put(value(turn), name=f"all/{turn}")  # all writers, at about the same time
                say(f"all/{turn} {turn}")
                store.put(value(1000 * number + turn), name=f"own/{number}/{turn}")
                say(f"own/{number}/{turn} {1000 * number + turn}")
                store.put(value(500 + turn))  # nobody needs it
            stop.with_name(f"stop{number}").touch()

        return write

    def collect(say: Callable[[str], None]) -> None:
        store = open_store(tmp_path / "store")
        collections = removed = 0
        while len(list(tmp_path.glob("stop*"))) < WRITERS:
            report = store.gc(dry_run=False, grace_seconds=GRACE_S)
            collections += 1
            removed += sum(item.state == "removed" for item in report.unneeded)
            time.sleep(0.01)
        say(f"{collections} collections removed {removed}")

    *acknowledged, collector = run_all(child, [*(writing(n) for n in range(1, WRITERS + 1)), collect])
    store = open_store(tmp_path / "store")
    report = store.fsck(full=True)
    assert report.clean, report.problems
    for said in acknowledged:
        assert len(said) == 2 * ROUNDS
        for line in said:
            name, number = line.split()
            assert form(store.get(name)) == form(value(int(number)))
    print(collector, sum(map(len, acknowledged)), "acknowledged")


def test_names_given_by_many_processes_all_count(tmp_path: Path, child: Callable[..., Any]) -> None:
    def naming(number: int) -> Callable[[Any], None]:
        def name(say: Callable[[str], None]) -> None:
            store = open_store(tmp_path)
            for turn in range(ROUNDS):
                say(store.put(np.array([number, turn]), name="busy").digest)

        return name

    acknowledged = run_all(child, [naming(n) for n in range(WRITERS)])
    versions = open_store(tmp_path).versions("busy")
    assert [v.version for v in versions] == list(range(1, WRITERS * ROUNDS + 1))
    assert {v.address for v in versions} == {digest for said in acknowledged for digest in said}


def test_a_damaged_value_is_repaired_by_many_processes_at_once(tmp_path: Path, child: Callable[..., Any]) -> None:
    array = np.random.default_rng(0).random((200, 2048))

    def put(say: Callable[[str], None]) -> None:
        store = open_store(tmp_path)
        say(store.put(array).digest)
        np.testing.assert_array_equal(store.get(store.put(array)), array)

    ref = open_store(tmp_path).put(array, name="kept")
    for row in range(ROUNDS):
        stored = FolderBytes(tmp_path)
        key = next(key for key in stored if key.endswith("data.npy"))
        content = bytearray(stored[key])
        content[content.find(array[row].tobytes())] ^= 1
        stored[key] = bytes(content)
        assert run_all(child, [put] * WRITERS) == [[ref.digest]] * WRITERS
        assert open_store(tmp_path).fsck(full=True).clean
