"""Splits: every position and row once, no side empty, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.codecs.scan import Scan, ScanMetadata
from smalti.datasets.splits import split_in_three, split_positions
from smalti.errors import Refused


def scan_of(count: int) -> Scan:
    return Scan(
        diffraction=np.ones((count, 2, 2), np.float32),
        xcoords=np.arange(float(count)),
        ycoords=np.zeros(count),
        probe_guess=None,
        object_guess=None,
        scan_index=np.arange(count),
        metadata=ScanMetadata(name="line"),
    )


@given(st.integers(2, 300), st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(0, 2**32))
def test_a_split_covers_all_positions_once_with_neither_side_empty(count: int, fraction: float, seed: int) -> None:
    split = split_positions(scan_of(count), fraction, seed)
    train, validation = split["train"], split["validation"]
    assert sorted([*train, *validation]) == list(range(count))
    assert len(train) > 0
    assert abs(len(validation) - fraction * count) <= 1
    assert len(validation) > 0
    assert all(side.dtype == np.int64 and (np.diff(side) > 0).all() for side in (train, validation))
    assert (split["seed"], split["validation_fraction"]) == (seed, fraction)


def test_a_seed_gives_one_split_for_good() -> None:
    """These numbers are in stored splits: a change here means other splits for the same seed."""
    assert split_positions(scan_of(40), seed=7)["validation"].tolist() == [0, 4, 20, 28]
    assert split_positions(scan_of(40), seed=8)["validation"].tolist() != [0, 4, 20, 28]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_positions_are_refused(count: int) -> None:
    with pytest.raises(Refused, match=f"a scan of {count} position.* cannot be split"):
        split_positions(scan_of(count))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_a_fraction_that_is_no_part_is_refused(fraction: float) -> None:
    with pytest.raises(Refused, match="between 0 and 1"):
        split_positions(scan_of(5), fraction)


@given(st.integers(10, 3000), st.integers(0, 2**32))
def test_a_split_of_rows_covers_all_once_with_no_part_empty(count: int, seed: int) -> None:
    parts = split_in_three(count, seed)
    assert list(parts) == ["train", "validation", "test"]
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(count))
    assert all(part.size and np.array_equal(part, np.sort(part)) for part in parts.values())
    assert abs(parts["train"].size - 0.8 * count) <= 1
    again = split_in_three(count, seed)
    assert all(np.array_equal(again[name], part) for name, part in parts.items())


def test_a_table_too_short_for_three_parts_is_refused() -> None:
    with pytest.raises(Refused, match="a table of 9 rows cannot be split in three"):
        split_in_three(9)
