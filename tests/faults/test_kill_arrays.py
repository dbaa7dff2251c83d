"""kill -9 of processes that write, extend and read arrays of one folder: no row is lost or torn, no file unreadable."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from smalti.directory.hdf5.arrays import ArrayFile, extend_array, write_array
from smalti.directory.hdf5.pending_writes import journal
from tests.forked_process import ForkedProcess, Outcome, Say

KILLS = int(os.environ.get("SMALTI_TEST_KILLS", "60"))
_ARRAYS = {"narrow": 4, "wide": 5000}  # name -> numbers in a row: many rows in a chunk, and one row in each


def work(folder: Path, first: int, say: Say) -> None:
    """Four threads: two add rows, one writes an array anew, one reads; what they acknowledge is said."""
    saying = threading.Lock()

    def acknowledge(text: str) -> None:
        with saying:
            say(text)

    def extend(name: str, begin: int) -> None:
        for number in range(begin, begin + 100_000):
            extend_array(folder / f"{name}.h5", np.full((1, _ARRAYS[name]), number))
            acknowledge(f"{name} {number}")

    def write() -> None:
        for number in range(first, first + 100_000):
            write_array(folder / "whole.h5", np.full(3000, number))

    def read() -> None:
        while True:
            check_rows(folder)

    acts = [lambda: extend("narrow", first), lambda: extend("wide", first), write, read]
    failures: list[BaseException] = []

    def guarded(act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(act,), daemon=True) for act in acts]
    for thread in threads:
        thread.start()
    while not failures:
        time.sleep(0.001)
    raise failures[0]


def check_rows(folder: Path) -> dict[str, list[int]]:
    """Return the numbers of the rows of each array, each of which has to be whole."""
    found = {}
    for name in _ARRAYS:
        if (folder / f"{name}.h5").exists():
            rows = ArrayFile(folder / f"{name}.h5")[()]
            assert (rows == rows[:, :1]).all(), f"a row of {name} is torn"
            found[name] = rows[:, 0].tolist()
    if (folder / "whole.h5").exists():
        assert len(np.unique(ArrayFile(folder / "whole.h5")[:])) == 1, "an array is of two writers"
    return found


def test_two_processes_of_four_threads_lose_nothing_under_kills(
    tmp_path: Path, child: Callable[..., ForkedProcess]
) -> None:
    rng = random.Random(4)
    acknowledged: dict[str, list[int]] = {name: [] for name in _ARRAYS}

    def start(number: int) -> ForkedProcess:
        process = child(lambda say: work(tmp_path, number * 100_000, say))
        process.release()
        return process

    def end(process: ForkedProcess) -> Outcome:
        process.kill()
        outcome = process.finish()
        assert outcome.ended == -signal.SIGKILL, outcome.said[-1]
        for line in outcome.said:
            name, number = line.split()
            acknowledged[name].append(int(number))
        return outcome

    running = [start(0)]
    for kill in range(1, KILLS // 2 + 1):
        running.append(start(kill))
        time.sleep(rng.uniform(0.005, 0.1))
        end(running.pop(0))
        check_rows(tmp_path)  # while the other goes on
    end(running.pop())
    for name in _ARRAYS:
        path = tmp_path / f"{name}.h5"
        with h5py.File(path) as file:  # as any other tool reads it
            assert (file["data"][:] == ArrayFile(path)[:]).all()
    found = check_rows(tmp_path)
    for name, numbers in acknowledged.items():
        assert len(numbers) > KILLS // 4, "few rows were added before the kills"
        assert set(numbers) <= set(found[name]), f"rows of {name} were lost"
        assert len(set(found[name])) == len(found[name]), f"rows of {name} were added twice"
    print(f"{KILLS // 2 + 1} kills, {sum(map(len, acknowledged.values()))} rows acknowledged, 0 lost")


@pytest.mark.parametrize("torn", [False, True], ids=["between writes", "in the middle of a write"])
@pytest.mark.parametrize("width", [1, 3000], ids=["chunk with room", "chunk for each row"])
def test_a_process_killed_at_any_write_leaves_the_rows_before_or_after(
    tmp_path: Path, child: Callable[..., ForkedProcess], width: int, torn: bool
) -> None:
    """Each call that changes the file is the last one, in turn."""
    for kept in range(40):
        path = tmp_path / f"{kept}.h5"
        extend_array(path, np.zeros((20, width)))
        process = child(lambda say, path=path, kept=kept: _extend_and_die(path, width, kept, torn, say))
        process.release()
        outcome = process.finish()
        possible = [0.0] * 20, [0.0] * 20 + [1.0]
        assert ArrayFile(path)[:, 0].tolist() in possible
        if not torn:
            with h5py.File(path) as file:
                assert file["data"][:, 0].tolist() in possible
        extend_array(path, np.full((1, width), 2.0))
        with h5py.File(path) as file:
            assert file["data"][:, 0].tolist() in [[*rows, 2.0] for rows in possible]
        with path.open("rb") as file:
            assert not journal(file.fileno()), "the next writer finishes what was begun"
        if outcome.said == ["done"]:
            assert kept > 3, "the process was to be killed several times"
            return
    raise AssertionError("the process was killed every time")


def _extend_and_die(path: Path, width: int, kept: int, torn: bool, say: Say) -> None:
    """Add a row, and die after ``kept`` writes to the file, or in the middle of the next one."""
    left = kept
    write, cut = os.pwrite, os.ftruncate

    def counted_write(descriptor: int, content: memoryview, at: int) -> int:
        nonlocal left
        if not left:
            if torn:
                write(descriptor, content[: len(content) // 2], at)
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return write(descriptor, content, at)

    def counted_cut(descriptor: int, size: int) -> None:
        nonlocal left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        cut(descriptor, size)

    os.pwrite, os.ftruncate = counted_write, counted_cut  # type: ignore[assignment]
    extend_array(path, np.full((1, width), 1.0))
    say("done")
