"""Laws of the order of patterns: each comes once, at random, and no more than the buffer is held."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import open_store
from smalti.ptycho.patterns import BLOCK_PATTERNS, ShuffleBuffer, one_count

PATTERN_NBYTES = 4 * 2 * 3


def numbered(count: int) -> np.ndarray:
    return np.repeat(np.arange(count, dtype=np.float32), 6).reshape(count, 2, 3)


def drawn(buffer: ShuffleBuffer, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(buffer.batches(np.random.default_rng(seed)))


class Counting:
    """Patterns that know how many were asked for."""

    def __init__(self, count: int) -> None:
        self._all, self.shape, self.read, self.longest = numbered(count), (count, 2, 3), 0, 0

    def __getitem__(self, some: slice) -> np.ndarray:
        found = self._all[some]
        self.read, self.longest = self.read + len(found), max(self.longest, len(found))
        return found


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 400), batch=st.integers(1, 40), blocks=st.integers(1, 8))
def test_each_pattern_comes_once_with_its_number(count, batch, blocks) -> None:
    buffer = ShuffleBuffer(numbered(count), batch, blocks * BLOCK_PATTERNS * PATTERN_NBYTES)
    batches = drawn(buffer)
    numbers = np.concatenate([some for some, _ in batches])
    assert sorted(numbers) == list(range(count))
    assert all(np.array_equal(patterns[:, 0, 0], some) for some, patterns in batches)
    assert all(1 <= len(some) <= batch for some, _ in batches)


def test_the_seed_decides_the_order() -> None:
    for nbytes in (10**6, BLOCK_PATTERNS * PATTERN_NBYTES):
        buffer = ShuffleBuffer(numbered(200), 16, nbytes)
        first, again, other = (np.concatenate([some for some, _ in drawn(buffer, seed)]) for seed in (0, 0, 1))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def test_the_buffer_holds_blocks_from_all_over_the_scan() -> None:
    buffer = ShuffleBuffer(numbered(20 * BLOCK_PATTERNS), 2 * BLOCK_PATTERNS, 2 * BLOCK_PATTERNS * PATTERN_NBYTES)
    blocks = [set(some // BLOCK_PATTERNS) for some, _ in drawn(buffer)]
    assert all(len(pair) == 2 for pair in blocks)
    assert any(max(pair) - min(pair) > 5 for pair in blocks)


def test_what_fits_is_read_once_and_what_does_not_in_blocks_every_time() -> None:
    small, large = Counting(128), Counting(1000)
    for patterns in (small, large):
        buffer = ShuffleBuffer(patterns, 16, 2 * BLOCK_PATTERNS * PATTERN_NBYTES)
        drawn(buffer, 0)
        drawn(buffer, 1)
    assert (small.read, large.read) == (128, 2000)
    assert large.longest == BLOCK_PATTERNS


def test_the_order_does_not_depend_on_where_the_patterns_are(tmp_path) -> None:
    store = open_store(tmp_path)
    lazy = store.open(store.put(numbered(300)))
    here, there = (drawn(ShuffleBuffer(p, 16, 2 * BLOCK_PATTERNS * PATTERN_NBYTES)) for p in (numbered(300), lazy))
    for (some, patterns), (same, as_well) in zip(here, there, strict=True):
        assert np.array_equal(some, same)
        assert np.array_equal(patterns, as_well)


def test_one_count_is_the_least_light_of_any_good_pixel() -> None:
    patterns, good = numbered(200) * np.float32(0.5), np.ones((2, 3), dtype=np.bool_)
    assert one_count(patterns, good) == pytest.approx(0.25)
    patterns[7, 1, 1] = 0.1
    assert one_count(patterns, good) == pytest.approx(0.01)
    good[1, 1] = False
    assert one_count(patterns, good) == pytest.approx(0.25)
    assert one_count(np.zeros((3, 2, 3), np.float32), good) == 0
