"""kill -9 of processes that write tables, arrays and metadata of one directory: what was acknowledged is there."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import yaml

from smalti.directory import Directory
from tests.forked_process import Act, ForkedProcess, Say

KILLS = int(os.environ.get("SMALTI_TEST_KILLS", "60"))
THREADS = 4


def work(folder: Path, first: int, say: Say) -> None:
    """Four threads: each adds rows to one table and one array, writes an array and reads; each says so."""
    saying = threading.Lock()
    failures: list[BaseException] = []

    def add(begin: int) -> None:
        directory = Directory(folder)
        try:
            for number in range(begin, begin + 1000):
                directory.extend("table", pd.DataFrame({"n": pd.array([number], "Int64"), "s": [f"row {number}"]}))
                directory.extend("array", [number])
                directory[f"own_{begin}"] = number
                assert number in set(directory.table.n)
                assert directory[f"own_{begin}"][()] == number
                with saying:
                    say(str(number))
        except BaseException as error:
            failures.append(error)

    for number in range(THREADS):
        threading.Thread(target=add, args=[first + 1000 * number], daemon=True).start()
    while not failures:
        time.sleep(0.001)
    raise failures[0]


def test_two_processes_of_four_threads_lose_nothing_under_kills(
    tmp_path: Path, child: Callable[[Act], ForkedProcess]
) -> None:
    rng = random.Random(12)
    folder = Directory(tmp_path / "d", note="kept").path
    acknowledged: list[int] = []
    for round_ in range(max(2, KILLS // 6)):
        firsts = (1_000_000 * 2 * round_, 1_000_000 * (2 * round_ + 1))
        children = [child(partial(work, folder, first)) for first in firsts]
        for process in children:
            process.release()
        children[0].wait_until_it_speaks()
        time.sleep(rng.uniform(0, 0.2))
        for process in children:
            process.kill()
        for process in children:
            outcome = process.finish()
            assert outcome.ended == -signal.SIGKILL
            acknowledged += map(int, outcome.said)
        directory = Directory(folder)
        table = directory.table
        assert set(acknowledged) <= set(table.n)
        assert table.s.tolist() == [f"row {number}" for number in table.n]
        assert set(acknowledged) <= set(directory.array[:].tolist())
        assert directory.config.note == "kept"
        assert yaml.safe_load((folder / "_meta.yaml").read_text())["modified"] is True
        assert len(pd.read_csv(folder / "table.csv")) == len(table)
