"""Laws of comparing arrays: which rows, how many elements, by how much; only what differs is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti import Store, open_store
from smalti.compare import ArrayDifference, compare, text
from smalti.store.backends.memory import MemoryBackend

RANDOM = np.random.default_rng(0)


@pytest.fixture
def store() -> Store:
    return open_store("memory:")


def difference(before: Any, after: Any, store: Store | None = None) -> ArrayDifference:
    """Return how two arrays differ that are stored."""
    store = store or open_store("memory:")
    (found,) = compare(store, store.put(before), store.put(after)).differences
    assert isinstance(found.content, ArrayDifference)
    return found.content


def told(before: Any, after: Any) -> str:
    """Return what is printed."""
    store = open_store("memory:")
    return "\n".join(text(compare(store, store.put(before), store.put(after))))


DTYPES = st.sampled_from(["f8", "f4", "f2", "i8", "u1", "?", "c8", "S3", "U2", "M8[s]"])


@st.composite
def edited_rows(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Draw an array, and the same with rows changed, inserted and deleted."""
    dtype, row = draw(DTYPES), draw(st.sampled_from([(), (1,), (3,), (2, 2)]))
    before = draw(hnp.arrays(dtype, (draw(st.integers(0, 12)), *row)))
    after = before.copy()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(after)))
        new = draw(hnp.arrays(dtype, (draw(st.integers(0, 2)), *row)))
        after = np.concatenate([after[:at], new, after[at + draw(st.integers(0, 2)) :]])
    return before, after


@given(edited_rows())
@settings(max_examples=150, deadline=None)
def test_rows_that_are_not_named_are_equal(pair: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> None:
    before, after = pair
    store = open_store("memory:")
    refs = store.put(before), store.put(after)
    if refs[0].digest == refs[1].digest:
        return
    found = difference(before, after, store)
    kept = np.ones(len(before), bool), np.ones(len(after), bool)
    for row in found.rows:
        kept[0][slice(*row.before)] = False
        kept[1][slice(*row.after)] = False
    np.testing.assert_array_equal(before[kept[0]], after[kept[1]])
    assert found.rows_changed + found.rows_deleted == (~kept[0]).sum()
    assert found.rows_changed + found.rows_inserted == (~kept[1]).sum()


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_numbers_are_those_of_numpy(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(["f8", "f4", "i8", "u8", "i1", "c16"]))
    before = data.draw(hnp.arrays(dtype, (4, 3)))
    after = before.copy()
    changes = data.draw(hnp.arrays(bool, (4, 3)))
    after[changes] = data.draw(hnp.arrays(dtype, int(changes.sum())))
    store = open_store("memory:")
    if store.put(before).digest == store.put(after).digest:
        return
    found = difference(before, after, store)
    if found.rows_inserted:
        return
    elements = found.elements
    assert elements is not None
    with np.errstate(all="ignore"):
        changed = (before != after) & ~(np.isnan(before) & np.isnan(after))
        assert elements.changed == changed.sum()
        finite = changed & np.isfinite(before) & np.isfinite(after)
        if dtype in ("i8", "u8", "i1"):
            apart = [abs(int(b) - int(a)) for a, b in zip(before[finite], after[finite], strict=True)]
            assert elements.max_abs == max(apart, default=None)
        elif finite.any():
            assert elements.max_abs == np.abs(after.astype("c16") - before.astype("c16"))[finite].max()
        assert elements.nan_came == (np.isnan(after) & ~np.isnan(before)).sum()
        assert elements.infinite_gone == (np.isinf(before) & ~np.isinf(after)).sum()
    if elements.max_abs is not None:
        at = elements.index_before
        assert (before[at], after[at]) == (elements.before_at_max, elements.after_at_max)


def test_integers_further_apart_than_one_holds() -> None:
    elements = difference(np.array([-(2**63)]), np.array([2**63 - 1])).elements
    assert elements is not None
    assert elements.max_abs == 2**64 - 1


def test_nothing_but_what_differs_is_read(store: Store) -> None:
    before = RANDOM.random((400, 2048))
    after = before.copy()
    after[7, 5] += 1
    refs = store.put(before), store.put(after)
    backend = store._backend
    assert isinstance(backend, MemoryBackend)
    content = backend.files[refs[0].digest]["data.npy"]
    row = content.index(before[7].tobytes())
    damaged = bytes(row) + content[row : row + 16 * 1024] + bytes(len(content) - row - 16 * 1024)
    backend.files[refs[0].digest]["data.npy"] = damaged
    found = compare(store, *refs).differences[0].content
    assert isinstance(found, ArrayDifference)
    assert (found.rows_changed, found.elements and found.elements.changed) == (1, 1)


def test_content_that_cannot_be_read_is_said_and_is_still_a_difference(store: Store) -> None:
    refs = store.put(RANDOM.random(5000)), store.put(RANDOM.random(5000))
    backend = store._backend
    assert isinstance(backend, MemoryBackend)
    backend.files[refs[1].digest]["data.npy"] = bytes(len(backend.files[refs[1].digest]["data.npy"]))
    (found,) = compare(store, *refs).differences
    assert found.content is None
    assert "its content could not be compared: data.npy of" in found.notes[0]


def test_inserted_frames_do_not_make_those_after_them_differ() -> None:
    before = RANDOM.random((100, 8, 8))
    after = np.insert(before, 50, RANDOM.random((2, 8, 8)), 0)
    after[70, 0, 0] = np.nan
    said = told(before, after)
    assert "rows: 1 changed, 2 inserted (now 102): 50:52 inserted, 68:69 (now 70:71)" in said
    assert "1 element became NaN" in said


def test_frames_that_all_moved_by_one_are_a_deletion_and_an_insertion() -> None:
    before = RANDOM.random((50, 4))
    after = np.roll(before, -1, axis=0)
    found = difference(before, after)
    assert (found.rows_changed, found.rows_deleted, found.rows_inserted) == (0, 1, 1)


def test_the_same_numbers_in_another_dtype_or_shape_are_said_to_be_equal() -> None:
    assert "all 4 elements that were compared are equal" in told(np.arange(4), np.arange(4.0))
    assert "all 4 elements that were compared are equal" in told(np.arange(4), np.arange(4).reshape(2, 2))
    assert "rows of different shapes" in told(np.zeros((2, 3)), np.zeros((2, 4)))
    assert "elements of these types cannot be compared" in told(np.zeros(2), np.array([b"a", b"b"]))


def test_the_sign_of_zero_is_a_difference_of_bits_only() -> None:
    assert "1 element of equal value with other bits" in told(np.array([0.0, 1.0]), np.array([-0.0, 1.0]))


def test_complex_arrays_are_compared_by_amplitude_and_phase_and_nothing_is_aligned() -> None:
    before = (RANDOM.random((20, 20)) + 0.5).astype(complex)
    elements = difference(before, 2 * before * np.exp(0.3j)).elements
    assert elements is not None
    assert elements.complex is not None
    found = elements.complex
    assert found.phase_rms_rad == pytest.approx(0.3)
    assert found.phase_overall_rad == pytest.approx(0.3)
    assert found.correlation == pytest.approx(1)
    assert found.amplitude_mean == pytest.approx(abs(before).mean())
    assert "nothing was aligned" in told(before, before * 1j)


ODD = {
    "no elements": (np.zeros((0, 3)), np.zeros((0, 4))),
    "no rows, then some": (np.zeros((0, 3)), np.zeros((2, 3))),
    "no axes": (np.array(1.0), np.array(2.0)),
    "text": (np.array(["a", "b"]), np.array(["a", "<script>"])),
    "a structure": (np.zeros(3, [("x", "f4"), ("s", "S3")]), np.ones(3, [("x", "f4"), ("s", "S3")])),
    "times": (np.array(["2020", "NaT"], "M8[D]"), np.array(["2021", "2020"], "M8[D]")),
    "times of two units": (np.array(["2020"], "M8[D]"), np.array(["2021"], "M8[s]")),
    "truths and numbers": (np.array([True]), np.array([2])),
    "half precision": (np.array([1.0], "f2"), np.array([65504.0], "f2")),
    "infinities": (np.array([np.inf, -np.inf, 1]), np.array([np.inf, 1, -np.inf])),
    "beyond the largest float": (np.array([1.7e308]), np.array([-1.7e308])),
    "rows without bytes": (np.zeros((3, 0)), np.zeros((4, 0))),
    "empty text": (np.array([""]), np.array(["", ""])),
    "complex with NaN": (np.array([1j, np.nan]), np.array([2j, 1j])),
}


@pytest.mark.parametrize("pair", ODD.values(), ids=ODD)
@pytest.mark.filterwarnings("error")
def test_odd_arrays_are_compared_in_words(pair: tuple[Any, Any]) -> None:
    assert told(*pair).startswith("changed  (the value)  array")


def test_large_rows_are_read_in_pieces(store: Store) -> None:
    before = np.zeros((1, 3_000_000))
    after = before.copy()
    after[0, [5, 2_999_999]] = 1, -4
    found = difference(before, after, store)
    assert found.elements is not None
    assert (found.rows_changed, found.elements.changed, found.elements.index_before) == (1, 2, (0, 2_999_999))
