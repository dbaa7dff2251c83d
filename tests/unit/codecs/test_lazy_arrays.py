"""Laws of lazy arrays: they index like numpy, read no more rows than they must, and go where numpy's are wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from smalti import LazyArray, Store, open_store
from smalti.errors import Damaged


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(tmp_path_factory.mktemp("store"))


def lazy_of(store: Store, array: NDArray[Any]) -> LazyArray:
    lazy = store.open(store.put(array))
    assert isinstance(lazy, LazyArray)
    return lazy


@st.composite
def indices(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """Everything numpy takes as an index: slices, numbers, ellipsis, new axes; lists of numbers, masks."""
    kinds = [hnp.basic_indices(shape, allow_newaxis=True)]
    if shape:
        kinds += [hnp.arrays(bool, shape[:n]) for n in range(1, len(shape) + 1)]
    if shape and all(shape):
        numbers = hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4).flatmap(
            lambda wanted: hnp.arrays(np.int8, wanted, elements=st.integers(-shape[0], shape[0] - 1))
        )
        rest = hnp.basic_indices(shape[1:], allow_ellipsis=False) if shape[1:] else st.just(())
        kinds += [
            numbers,
            numbers.map(np.ndarray.tolist),
            st.tuples(numbers, rest).map(lambda key: (key[0], *(key[1] if isinstance(key[1], tuple) else (key[1],)))),
            st.tuples(st.none(), numbers),
            hnp.integer_array_indices(shape),
        ]
    return draw(st.one_of(kinds))


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_lazy_array_indexes_like_numpy(store: Store, data: st.DataObject) -> None:
    array = data.draw(hnp.arrays(np.int16, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6)))
    key = data.draw(indices(array.shape))
    found, expected = lazy_of(store, array)[key], array[key]
    assert type(found) is type(expected)
    np.testing.assert_array_equal(found, expected, strict=True)


NO_INDICES = [
    6, -7, 1.5, "a", {}, [0, 6], [1.5], ["a"], np.array([[-7]]), np.ones(5, bool), np.ones((6, 4), bool),
    (0, 3), (0, 0, 0), (slice(None), 3), (None, 6), (..., ...), ([0, 1], [0, 1, 2]),
]  # fmt: skip


@pytest.mark.parametrize("key", NO_INDICES, ids=str)
def test_what_numpy_does_not_take_is_refused_in_its_words(store: Store, key: Any) -> None:
    array = np.arange(18).reshape(6, 3)
    with pytest.raises(IndexError) as by_numpy:
        array[key]
    with pytest.raises(IndexError) as by_us:
        lazy_of(store, array)[key]
    assert str(by_us.value) == str(by_numpy.value)


def test_fields_of_a_structure_are_read_by_name(store: Store) -> None:
    array = np.array([(1, 2.0), (3, 4.0)], [("a", "<i4"), ("b", "<f8")])
    lazy = lazy_of(store, array)
    assert lazy["b"].tolist() == [2.0, 4.0]
    assert lazy[["a"]].dtype.names == ("a",)
    assert lazy[1]["a"] == 3


ROWS = np.random.default_rng(0).random((10, 2048))
FEW_ROWS = [
    slice(2, 6),
    slice(5, 1, -1),
    slice(1, -5, 2),
    3,
    -6,
    [2, 5, 3],
    np.array([[2], [-5]]),
    np.arange(10) == 4,
    (None, slice(1, 3), 5),
    (slice(2, 4), ..., [1, 2]),
    (np.int8(5), None, slice(None, None, -1)),
    ([2, 3], [5, 6]),
    np.zeros(10, bool),
    [],
    ROWS * (np.arange(10) == 4)[:, None] > 0.5,
]


@pytest.mark.parametrize("key", FEW_ROWS, ids=lambda key: str(key)[:40].replace("\n", ""))
def test_an_index_reads_no_row_before_the_first_or_after_the_last_it_wants(tmp_path: Path, key: Any) -> None:
    store = open_store(tmp_path)
    ref = store.put(ROWS)
    path = store.file(ref)
    assert path is not None
    content = bytearray(path.read_bytes())
    for row in (0, 7, 8, 9):
        content[content.index(ROWS[row].tobytes())] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    lazy = store.open(ref)
    np.testing.assert_array_equal(lazy[key], ROWS[key])
    with pytest.raises(Damaged):
        lazy[6:8]


def test_iteration_gives_row_after_row(store: Store) -> None:
    array = np.random.default_rng(0).random((1000, 300))
    lazy = lazy_of(store, array)
    assert 1 < lazy.chunks[0] < 1000
    np.testing.assert_array_equal(np.stack(list(lazy)), array)
    assert list(lazy_of(store, np.zeros((0, 3)))) == []
    assert [row.shape for row in lazy_of(store, np.zeros((2, 0)))] == [(0,), (0,)]
    for act in (len, iter, list):
        with pytest.raises(TypeError):
            act(lazy_of(store, np.array(1.0)))


def test_asarray_copies_only_where_it_must_as_numpy_2_does(store: Store) -> None:
    lazy = lazy_of(store, np.arange(5000.0))
    assert np.asarray(lazy, copy=False).tobytes() == np.arange(5000.0).tobytes()
    assert not np.asarray(lazy).flags.writeable
    assert np.array(lazy).flags.writeable
    assert np.asarray(lazy, copy=True).flags.writeable
    assert np.asarray(lazy, np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="copy"):
        np.asarray(lazy, np.float32, copy=False)
    with pytest.raises(ValueError, match="read-only"):
        lazy[10:20][0] = 1


def test_functions_of_numpy_take_a_lazy_array(store: Store) -> None:
    array = np.random.default_rng(0).random((40, 30))
    lazy = lazy_of(store, array)
    assert (lazy.shape, lazy.ndim, lazy.size, lazy.nbytes, len(lazy)) == ((40, 30), 2, 1200, 9600, 40)
    assert (np.shape(lazy), np.size(lazy), np.ndim(lazy)) == ((40, 30), 1200, 2)
    assert np.sum(lazy) == array.sum()
    np.testing.assert_array_equal(np.add(lazy, 1), array + 1)
    np.testing.assert_array_equal(np.concatenate([lazy, lazy]), np.concatenate([array, array]))


class Blocks:
    """What ``dask.array.from_array`` does with its argument, block by block, without dask."""

    def __init__(self, array: LazyArray) -> None:
        assert all(hasattr(array, name) for name in ("shape", "dtype", "ndim", "chunks", "__getitem__", "__array__"))
        assert len(array.chunks) == array.ndim
        self.array = array

    def compute(self) -> NDArray[Any]:
        rows = self.array.chunks[0]
        keys = [
            (slice(start, min(start + rows, self.array.shape[0])), *(slice(0, n) for n in self.array.shape[1:]))
            for start in range(0, self.array.shape[0], rows)
        ]
        blocks = [np.asarray(self.array[key]) for key in keys]
        assert len(blocks) > 1
        return np.concatenate(blocks)


def test_a_lazy_array_can_be_taken_block_by_block_as_dask_does(store: Store) -> None:
    array = np.random.default_rng(0).random((1000, 30, 20))
    lazy = lazy_of(store, array)
    np.testing.assert_array_equal(Blocks(lazy).compute(), array)
    block_nbytes = int(np.prod(lazy.chunks)) * lazy.dtype.itemsize
    assert 512 * 1024 < block_nbytes <= 1024 * 1024


def test_dask_takes_a_lazy_array_as_it_is(store: Store) -> None:
    dask = pytest.importorskip("dask.array")
    array = np.random.default_rng(0).random((1000, 300))
    lazy = lazy_of(store, array)
    for taken in (dask.from_array(lazy), dask.from_array(lazy, chunks=lazy.chunks)):
        np.testing.assert_array_equal((taken[5:900:7] + 1).compute(), array[5:900:7] + 1)
    assert taken.npartitions > 1


@pytest.mark.parametrize(("shape", "chunks"), [((), ()), ((0, 5), (0, 5)), ((3, 0), (3, 0)), ((2, 10**6), (1, 10**6))])
def test_chunks_of_odd_shapes_are_whole_rows(store: Store, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
    assert lazy_of(store, np.zeros(shape, np.uint8)).chunks == chunks
