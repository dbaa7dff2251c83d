"""Laws of grouping: different positions near each other, every position in a group, the same each time."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import Refused
from smalti.ptycho.network.grouping import covering, group_positions, nearest

SEEDS = st.integers(0, 2**32 - 1)


def scattered(count: int, seed: int = 0):
    """Return x and y of positions on a coarse grid, some of them at the same place."""
    return np.random.default_rng(seed).integers(0, 30, (2, count)).astype(np.float64)


@given(st.integers(1, 60), st.integers(1, 70), SEEDS)
def test_the_nearest_are_those_that_a_search_of_all_finds(count: int, size: int, seed: int) -> None:
    x, y = scattered(count, seed)
    distance = np.hypot(x - x[:, None], y - y[:, None])
    near = nearest(x, y, size)
    assert near.shape == (count, min(size, count))
    assert (near[:, 0] == np.arange(count)).all()
    found = np.sort(np.take_along_axis(distance, near, axis=1))
    np.testing.assert_array_equal(found, np.sort(distance, axis=1)[:, : near.shape[1]])
    assert all(len(set(row)) == len(row) for row in near)


def test_a_position_is_among_its_own_nearest_however_many_lie_at_the_same_place() -> None:
    near = nearest(np.zeros(20), np.zeros(20), 3)
    np.testing.assert_array_equal(near[:, 0], np.arange(20))
    assert all(len(set(row)) == 3 for row in near)


@given(st.integers(1, 3), st.integers(0, 5), SEEDS)
def test_a_group_is_its_position_and_different_candidates(gridsize: int, further: int, seed: int) -> None:
    x, y = scattered(40, seed)
    candidates = gridsize**2 + further
    groups = group_positions(x, y, gridsize, candidates, seed)
    assert groups.shape == (40, gridsize**2)
    assert groups.dtype == np.int64
    furthest = np.sort(np.hypot(x - x[:, None], y - y[:, None]), axis=1)[:, candidates - 1]
    for position, group in enumerate(groups):
        assert position in group
        assert len(set(group)) == len(group)
        assert (np.hypot(x[group] - x[position], y[group] - y[position]) <= furthest[position]).all()


def test_the_seed_decides_who_is_chosen() -> None:
    x, y = scattered(40)
    np.testing.assert_array_equal(group_positions(x, y, 2, 7, 1), group_positions(x, y, 2, 7, 1))
    assert not np.array_equal(group_positions(x, y, 2, 7, 1), group_positions(x, y, 2, 7, 2))


def test_a_group_stands_in_raster_order() -> None:
    x, y = np.array([10.0, 0, 9, 1]), np.array([0.0, 1, 8, 9])
    assert (group_positions(x, y, 2, 4) == [1, 0, 3, 2]).all()


@given(st.integers(4, 60), SEEDS)
def test_every_position_is_in_a_covering_group_and_no_group_is_there_twice(count: int, seed: int) -> None:
    groups = group_positions(*scattered(count, seed), 2, 4)
    kept = covering(groups)
    assert set(kept.ravel()) == set(range(count))
    assert len(kept) <= count


def test_groups_of_one_are_the_positions() -> None:
    np.testing.assert_array_equal(covering(group_positions(*scattered(9), 1, 1)), np.arange(9)[:, None])


@pytest.mark.parametrize(("gridsize", "candidates"), [(0, 4), (2, 3), (3, 9)])
def test_what_gives_no_groups_is_refused(gridsize: int, candidates: int) -> None:
    with pytest.raises(Refused, match=f"8 positions and {candidates} candidates give no groups of gridsize {gridsize}"):
        group_positions(*scattered(8), gridsize, candidates)


def test_a_hundred_thousand_positions_are_grouped_in_seconds() -> None:
    x, y = np.random.default_rng(0).uniform(0, 5000, (2, 100_000))
    start = time.process_time()
    assert len(covering(group_positions(x, y, 2, 7))) < 60_000
    assert time.process_time() - start < 5
