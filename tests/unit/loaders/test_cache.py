"""Laws of the adaptive cache: its bytes hold, a part stays over epochs, and what is asked for more often wins."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.loaders import AdaptiveCache, MLXDataLoader, MLXLoaderConfig


def ask(cache: AdaptiveCache, keys: Any, nbytes: int = 1) -> int:
    """Ask for keys; return how many were there."""
    before = cache.hits
    for key in keys:
        assert cache.get(int(key), lambda key=key: -int(key), lambda _: nbytes) == -int(key)
    return cache.hits - before


@given(sizes=st.dictionaries(st.integers(0, 20), st.integers(0, 12)), keys=st.lists(st.integers(0, 20)))
def test_never_more_bytes_are_held_than_allowed(sizes: dict[int, int], keys: list[int]) -> None:
    cache = AdaptiveCache(10)
    for key in keys:
        assert cache.get(key, lambda key=key: key, lambda key: sizes.get(key, 1)) == key
        assert cache.nbytes <= 10
    assert cache.hits + cache.misses == len(keys)


@given(seed=st.integers(0, 100), room=st.integers(1, 50))
def test_of_a_dataset_that_does_not_fit_a_part_is_there_in_every_later_epoch(seed: int, room: int) -> None:
    rng, cache = np.random.default_rng(seed), AdaptiveCache(room)
    assert ask(cache, rng.permutation(50)) == 0
    for _ in range(4):
        assert ask(cache, rng.permutation(50)) >= room * 0.9, "a cache of the latest would have next to none"


def test_what_is_asked_for_more_often_takes_the_place_of_what_is_not() -> None:
    cache = AdaptiveCache(10)
    ask(cache, range(100))
    ask(cache, np.tile(np.arange(50, 60), 5))
    assert ask(cache, range(50, 60)) == 10
    ask(cache, np.tile(np.arange(70, 80), 200))
    assert ask(cache, range(70, 80)) == 10, "and it follows when the pattern changes"


def test_threads_that_want_the_same_wait_for_one_of_them_and_share_its_error() -> None:
    cache, loads, errors = AdaptiveCache(10), [], []

    def load() -> int:
        loads.append(1)
        time.sleep(0.05)
        raise OSError("gone")

    def want() -> None:
        try:
            cache.get(1, load, lambda _: 1)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(loads), len(errors)) == (1, 4)
    assert cache.get(1, lambda: 7, lambda _: 1) == 7, "an error is not kept"


@pytest.mark.parametrize("workers", [0, 3])
def test_a_loader_reads_a_slow_dataset_once_where_it_fits(workers: int) -> None:
    class Slow:
        def __init__(self) -> None:
            self.read: list[int] = []

        def __len__(self) -> int:
            return 30

        def __getitem__(self, index: int) -> dict[str, Any]:
            self.read.append(index)
            return {"x": [index] * 3, "text": str(index)}

    dataset = Slow()
    loader = MLXDataLoader(dataset, MLXLoaderConfig(batch_size=4, num_workers=workers, cache_mb=1))
    for _ in range(3):
        assert sorted(text for batch in loader for text in batch["text"]) == sorted(map(str, range(30)))
    assert sorted(dataset.read) == list(range(30))
