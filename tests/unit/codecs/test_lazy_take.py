"""Laws of taking rows of a lazy array by number, or in turn into an array: numpy's rows, only their leaves verified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import Store, open_store
from smalti.errors import Damaged

SHAPES = [(300, 64, 64), (5000, 7), (20_000,), (3, 100_000), (40, 0), (50, 3, 3)]  # rows of 16 KiB, 28 B, 4 B, 400 kB


@pytest.fixture(scope="module", params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store("memory:" if request.param == "memory" else tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_rows_are_those_of_numpy_in_the_order_asked_for(
    store: Store, shape: tuple[int, ...], data: st.DataObject
) -> None:
    array = np.random.default_rng(0).random(shape, np.float32)
    lazy = store.open(store.put(array))
    rows = np.array(data.draw(st.lists(st.integers(0, shape[0] - 1), max_size=40)), np.int64)
    np.testing.assert_array_equal(lazy.take(rows), array[rows], strict=True)
    out = np.empty((len(rows), *shape[1:]), np.float32)
    assert lazy.take(rows, out) is out
    np.testing.assert_array_equal(out, array[rows])


@pytest.mark.parametrize("nbytes", [16 * 1024, 6 * 1024])
def test_a_near_duplicate_gives_its_rows(tmp_path: Path, nbytes: int) -> None:
    store = open_store(tmp_path)
    array = np.random.default_rng(0).random((2000, nbytes // 8))
    store.put(array)
    changed = array.copy()
    changed[[5, 900]] += 1
    ref = store.put(changed)
    assert store.file(ref) is None, "this one should be stitched"
    lazy, rows = store.open(ref), np.random.default_rng(1).integers(0, 2000, 400)
    for some in np.split(rows, 4):
        np.testing.assert_array_equal(lazy.take(some), changed[some])


def test_rows_that_are_damaged_are_refused_and_others_are_not(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    array = np.random.default_rng(0).random((100, 64, 64))
    ref = store.put(array)
    path = store.file(ref)
    assert path is not None
    content = bytearray(path.read_bytes())
    content[content.index(array[7].tobytes()) + 9] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    lazy = store.open(ref)
    others = np.delete(np.arange(100), 7)[::-1]
    for _ in range(2):
        np.testing.assert_array_equal(lazy.take(others), array[others])
    with pytest.raises(Damaged, match=r"data\.npy of sha256:.* is damaged in the 32768 bytes from 229376"):
        lazy.take([3, 7])


def test_the_whole_is_known_once_every_leaf_was_taken_and_not_before(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    array = np.random.default_rng(0).random((100, 64, 64))
    lazy = store.open(store.put(array))
    lazy.take(np.arange(99))
    lazy.take(np.arange(99))
    assert lazy.verified is None
    for _ in range(2):
        lazy.take(np.arange(100))
    assert lazy.verified is not None
    np.testing.assert_array_equal(lazy.verified, array, strict=True)
    assert not lazy.verified.flags.writeable


@pytest.mark.parametrize("rows", [[0, 10], [-1]])
def test_a_number_out_of_range_is_said(store: Store, rows: list[int]) -> None:
    lazy = store.open(store.put(np.arange(10)))
    with pytest.raises(IndexError, match=r"there are rows 0 to 9"):
        lazy.take(rows)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_rows_in_turn_are_those_of_numpy(store: Store, shape: tuple[int, ...], data: st.DataObject) -> None:
    array = np.random.default_rng(0).random(shape, np.float32)
    lazy = store.open(store.put(array))
    for _ in range(3):  # leaves that were verified before, and some that were not
        start = data.draw(st.integers(0, shape[0]))
        out = np.empty((data.draw(st.integers(0, shape[0] - start)), *shape[1:]), np.float32)
        lazy.read_into(start, out)
        np.testing.assert_array_equal(out, array[start : start + len(out)])
    with pytest.raises(IndexError, match=f"there are {shape[0]}"):
        lazy.read_into(shape[0], np.empty((1, *shape[1:]), np.float32))


@pytest.mark.parametrize("row_nbytes", [32_768, 800], ids=["one row a leaf", "many rows a leaf"])
def test_damage_is_met_by_reading_in_turn_and_so_is_a_file_cut_short(tmp_path: Path, row_nbytes: int) -> None:
    store = open_store(tmp_path)
    array = np.random.default_rng(0).random((3_276_800 // row_nbytes, row_nbytes // 8))
    ref = store.put(array)
    path = store.file(ref)
    assert path is not None
    content = bytearray(path.read_bytes())
    content[content.index(array[7].tobytes()) + 9] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    lazy, out = store.open(ref), np.empty((8, array.shape[1]))
    with pytest.raises(Damaged, match=r"data\.npy of sha256:.* is damaged in the"):
        lazy.read_into(0, out)
    lazy = store.open(ref)
    lazy.read_into(len(array) - 8, out)
    np.testing.assert_array_equal(out, array[-8:])
    with path.open("r+b") as file:
        file.truncate(len(content) - 10 * row_nbytes)
    with pytest.raises(Damaged, match=r"data\.npy ends before"):
        lazy.read_into(len(array) - 8, out)
