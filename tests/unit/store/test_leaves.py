"""Laws of cutting: leaves are whole rows, cover everything, stay in bounds, and survive inserted rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.store.format.chunking import MAX_NBYTES, MIN_NBYTES, leaf_ids, leaf_sizes

KIB = 1024


def random_rows(count: int, row_nbytes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, row_nbytes), np.uint8)


def view(rows: np.ndarray) -> memoryview:
    return memoryview(np.ascontiguousarray(rows).reshape(-1))


def ids_of(rows: np.ndarray) -> set[bytes]:
    data = view(rows)
    ids = leaf_ids(data, leaf_sizes(data, rows.shape[1]))
    return {ids[i : i + 32] for i in range(0, len(ids), 32)}


@given(row=st.sampled_from([1, 2, 3, 4, 7, 8, 12, 100, 4096, 8192]), kib=st.integers(0, 600), seed=st.integers(0, 99))
def test_leaves_are_whole_rows_that_cover_the_data_within_bounds(row: int, kib: int, seed: int) -> None:
    rows = random_rows(kib * KIB // row, row, seed)
    sizes = leaf_sizes(view(rows), row)
    assert sizes.sum() == rows.size
    assert not (sizes % row).any()
    assert (sizes <= MAX_NBYTES).all()
    assert (sizes[:-1] >= MIN_NBYTES).all()


@pytest.mark.parametrize("row", [1, 2, 8, 24, 1200, 4096, 12_000])
def test_rows_inserted_in_the_middle_change_few_leaves(row: int) -> None:
    before = random_rows(8 * KIB * KIB // row, row)
    middle = len(before) // 2
    after = np.concatenate([before[:middle], random_rows(3, row, seed=1), before[middle:]])
    assert len(ids_of(after) - ids_of(before)) <= 3


@pytest.mark.parametrize("row_kib", [16, 17, 64, 256])
def test_a_row_of_16_to_256_kib_is_one_leaf(row_kib: int) -> None:
    rows = random_rows(5, row_kib * KIB)
    assert leaf_sizes(view(rows), row_kib * KIB).tolist() == [row_kib * KIB] * 5


def test_short_rows_make_leaves_of_about_64_kib() -> None:
    sizes = leaf_sizes(view(random_rows(16 * KIB * KIB, 1)), 1)
    assert 48 * KIB < sizes.mean() < 80 * KIB


def test_zeros_make_the_longest_leaves() -> None:
    assert leaf_sizes(memoryview(bytes(1024 * KIB)), 1).tolist() == [MAX_NBYTES] * 4


def test_the_cuts_of_known_bytes_never_change() -> None:
    """The rule is part of every address: if this fails, stores written before cannot be compared with new ones."""
    pattern = memoryview((np.arange(400_000, dtype=np.uint32) ** 2 >> 7).astype(np.uint8))
    assert leaf_sizes(pattern, 1).tolist() == PINNED_BYTES
    assert leaf_sizes(pattern, 100).tolist() == PINNED_ROWS


def fmix32(x: int) -> int:
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) % 2**32
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) % 2**32
    return x ^ (x >> 16)


def cuts_by_the_letter(data: bytes, row: int) -> list[int]:
    """The rule as the module states it, in plain integers."""
    word = 4 if row % 4 == 0 else 2 if row % 2 == 0 else 1
    count = row // word
    weights = [1] if count == 1 else [fmix32(j + 1) | 1 for j in range(count)]
    window = max([1, *(w for w in (2, 4, 8, 16, 32) if w * row <= 32)])
    rows = [data[i : i + row] for i in range(0, len(data), row)]
    r = [sum(w * int.from_bytes(x[j * word : (j + 1) * word], "little") for j, w in enumerate(weights)) for x in rows]
    sizes, size = [], 0
    for i in range(len(rows)):
        size += row
        h = 0x9E3779B1 * sum(2**k * r[i - k] for k in range(window) if i >= k) % 2**32
        allowed = size >= 16 * KIB and h >= 2**32 - 2**32 * row // (48 * KIB)
        if allowed or size + row > 256 * KIB:
            sizes.append(size)
            size = 0
    return sizes + ([size] if size else [])


@pytest.mark.parametrize("row", [1, 2, 5, 6, 8, 32, 100])
def test_the_fast_rule_is_the_stated_rule(row: int) -> None:
    rows = random_rows(300 * KIB // row, row)
    assert leaf_sizes(view(rows), row).tolist() == cuts_by_the_letter(rows.tobytes(), row)


def test_data_that_is_not_whole_rows_is_an_error() -> None:
    with pytest.raises(ValueError, match="10 bytes are not whole rows of 3"):
        leaf_sizes(memoryview(bytes(10)), 3)


PINNED_BYTES = [262144, 137856]
PINNED_ROWS = [150900, 38700, 71900, 26400, 58700, 53400]
