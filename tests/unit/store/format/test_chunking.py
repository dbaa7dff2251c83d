"""Laws of cutting: leaves are whole rows, cover everything, stay in bounds, survive inserted rows, also in passing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.store.format.chunking import MAX_NBYTES, MIN_NBYTES, leaf_ids, leaf_sizes
from smalti.store.objects.hashing import record_of
from smalti.store.objects.passing import PassingObject
from smalti.store.values import Buffer, Encoded

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


def test_data_that_is_not_whole_rows_is_an_error() -> None:
    with pytest.raises(ValueError, match="10 bytes are not whole rows of 3"):
        leaf_sizes(memoryview(bytes(10)), 3)


BLOCK = KIB * KIB  # what passes by at a time
CONTENT = {
    "random": lambda n: np.random.default_rng(n).integers(0, 256, n, np.uint8),
    "zeros": lambda n: np.zeros(n, np.uint8),
    "periodic": lambda n: np.resize(np.random.default_rng(7).integers(0, 256, 5000, np.uint8), n),
    "zeros with islands": lambda n: np.where(np.arange(n) // 70_000 % 3 == 1, np.arange(n) ** 2 >> 5, 0).astype("u1"),
}


def check_passing(content: np.ndarray, row: int, first: int) -> None:
    encoded = Encoded({"kind": "x"}, "data.bin", (b"framing", Buffer(view(content), row)), sha256=row == 1)
    passing = PassingObject(encoded)
    pieces = [bytes(piece) for piece in passing.first(first)]
    pieces += [bytes(piece) for piece in passing.rest()]
    found, wanted = passing.record(), record_of(encoded)
    assert found.leaf_sizes.tolist() == wanted.leaf_sizes.tolist(), "the cuts differ"
    assert found.leaf_ids == wanted.leaf_ids, "the ids differ"
    assert found.address == wanted.address
    assert b"".join(pieces) == b"framing" + content.tobytes(), "what is handed on differs"


@pytest.mark.parametrize("row", [1, 2, 3, 4, 5, 8, 12, 31, 33, 1000, 1003, 16_383, 16_384, 20_000, 262_144])
@pytest.mark.parametrize("kind", CONTENT)
def test_content_that_passes_by_is_cut_as_all_of_it_is(row: int, kind: str) -> None:
    block = BLOCK // row * row
    for nbytes in {0, row, block - row, block, block + row, 2 * block + 3 * row, 3 * block}:
        check_passing(CONTENT[kind](nbytes), row, first=nbytes % 3 * BLOCK)


@given(
    row=st.integers(1, 300) | st.sampled_from([1000, 8192, 16_384, 100_000]),
    rows=st.integers(0, 3 * BLOCK),
    first=st.integers(0, 4 * BLOCK),
    kind=st.sampled_from([*CONTENT]),
)
@settings(max_examples=30, deadline=None)
def test_whatever_passes_by_is_cut_as_all_of_it_is(row: int, rows: int, first: int, kind: str) -> None:
    check_passing(CONTENT[kind](rows % (3 * BLOCK // row + 1) * row), row, first)


@pytest.mark.parametrize("row", [1, 2, 3, 4, 12, 1003])
def test_rows_taken_away_change_few_leaves(row: int) -> None:
    before = random_rows(4 * KIB * KIB // row, row)
    after = np.delete(before, slice(len(before) // 2, len(before) // 2 + 3), axis=0)
    assert len(ids_of(after) - ids_of(before)) <= 3


PINNED_BYTES = [262144, 137856]
PINNED_ROWS = [150900, 38700, 71900, 26400, 58700, 53400]
