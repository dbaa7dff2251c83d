"""Laws of measuring: figures are of what was loaded, and the number of workers that is chosen changes nothing else."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from smalti.errors import Refused
from smalti.loaders import MLXDataLoader, MLXLoaderConfig
from smalti.loaders.autotune import MOST_WORKERS, Tuning, ahead_of
from smalti.loaders.profile import Profile
from smalti.loaders.read_ahead import THREAD_NAME


def test_figures_follow_from_the_sums() -> None:
    profile = Profile()
    for batch_s in (0.1, 0.1, 0.3):
        profile.add(samples=10, nbytes=1000, wait_s=0.05, to_mx_s=0.01, read_s=0.2)
        profile.elapsed(batch_s)
    found = profile.results(memcpy_nbytes_per_s=40_000)
    assert found["throughput_samples_per_sec"] == pytest.approx(60)
    assert found["avg_batch_time_ms"] == pytest.approx(500 / 3)
    assert found["p95_batch_time_ms"] == pytest.approx(280)
    assert found["stall_fraction"] == pytest.approx(0.3)
    assert found["bytes_per_sec"] == pytest.approx(6000)
    assert found["memcpy_ratio"] == pytest.approx(0.5)
    assert (found["samples"], found["batches"], found["read_s"]) == (30, 3, pytest.approx(0.6))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_says_where_the_time_went(workers: int) -> None:
    def slow(batch: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.01)
        return batch

    data = np.zeros((40, 100), np.float32)
    loader = MLXDataLoader({"x": data}, MLXLoaderConfig(batch_size=8, num_workers=workers), transform=slow)
    with pytest.raises(Refused, match="call enable_profiling"):
        loader.get_profiling_results()
    loader.enable_profiling()
    for _ in loader:
        time.sleep(0.005)
    found = loader.get_profiling_results()
    assert (found["samples"], found["batches"]) == (40, 5)
    assert found["transform_s"] >= 0.05
    assert found["avg_batch_time_ms"] >= 5
    assert found["throughput_samples_per_sec"] <= 40 / 0.025
    assert found["bytes_per_sec"] * found["samples"] / found["throughput_samples_per_sec"] == pytest.approx(data.nbytes)
    assert 0 < found["stall_fraction"] < 1
    for batch in loader:
        assert batch["x"].shape == (8, 100)
        break
    assert loader.get_profiling_results()["batches"] == 6, "a batch after which the consumer left counts"


def chosen(seconds_of: Any, key: str, most: int = MOST_WORKERS) -> tuple[int, list[int]]:
    """Return what is chosen, and what was tried on the way."""
    tuning = Tuning(key, most)
    tried = [tuning.workers]
    for _ in range(1000):
        if tuning.note(seconds_of(tuning.workers)):
            tried.append(tuning.workers)
    assert tuning.done
    return tuning.workers, tried


def test_more_workers_are_taken_for_as_long_as_they_bring_something() -> None:
    assert chosen(lambda workers: 1.0, "nothing helps") == (0, [0, 1, 0])
    assert chosen(lambda workers: 1.0 / (1 + min(workers, 4)), "four help") == (4, [0, 1, 2, 4, 8, 4])
    assert chosen(lambda workers: 1.0 / (1 + workers), "all help") == (16, [0, 1, 2, 4, 8, 16])
    assert Tuning("all help").workers == 16, "and it is kept"
    assert chosen(lambda workers: 1.0 / (1 + workers), "two may help", most=2) == (2, [0, 1, 2])
    assert (ahead_of(4), ahead_of(0)) == (10, 0), "two for each worker and for the consumer, which reads too"


def test_what_was_ready_when_a_mean_begins_does_not_make_more_workers_look_quicker() -> None:
    """Behind a stall a whole queue is ready at once; per batch it is as slow as before."""

    def bursts(workers: int) -> float:
        nonlocal count
        count += 1
        each = max(1, ahead_of(workers))
        return each / (1 + min(workers, 8)) if count % each == 0 else 0.0

    count = 0
    assert chosen(bursts, "bursts") == (8, [0, 1, 2, 4, 8, 16, 8])


def test_workers_that_are_chosen_on_the_way_do_not_change_the_order() -> None:
    class Waiting:
        def __len__(self) -> int:
            return 400

        def __getitem__(self, index: int) -> dict[str, int]:
            threads.add(threading.current_thread().name.split("_")[0])
            time.sleep(0.0001)
            return {"x": index}

    threads: set[str] = set()
    loader = MLXDataLoader(Waiting(), MLXLoaderConfig(batch_size=4, seed=8))
    rows = [row for batch in loader.numpy() for row in batch["x"].tolist()]
    assert rows == np.random.default_rng([8, 0]).permutation(400).tolist()
    assert threads == {threading.current_thread().name, THREAD_NAME}, "no workers and some were tried"
