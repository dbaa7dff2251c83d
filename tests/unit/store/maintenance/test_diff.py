"""Laws of comparing: everything that differs is named, nothing else is, and no content is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import BFloat16, Store, Weights, open_store
from smalti.store import Change, ContentChange, FieldChange, RowChange
from smalti.store.backends.memory import MemoryBackend
from smalti.store.maintenance.diff import differing_ranges

RANDOM = np.random.default_rng(0)
ROW_NBYTES = 16 * 1024


@pytest.fixture
def store() -> Store:
    return open_store("memory:")


def content_change(store: Store, before: Any, after: Any) -> ContentChange:
    """Return how the content of two values differs."""
    (change,) = store.diff(store.put(before), store.put(after)).changes
    assert change.content is not None
    return change.content


def test_equal_values_are_equal(store: Store) -> None:
    found = store.diff(store.put({"x": 1}), store.put({"x": 1}))
    assert (found.equal, found.changes, found.same) == (True, (), 0)


def test_trees_are_compared_child_by_child(store: Store) -> None:
    before = {"same": b"1", "gone": b"2", "deep": {"x": b"3", "y": b"4"}, "energy_eV": 8800.0, "beam": {"size_m": 1e-6}}
    after = {"same": b"1", "came": b"5", "deep": {"x": b"6!", "y": b"4"}, "energy_eV": 9000.0, "note": "new"}
    old, new = store.put(before), store.put(after)
    found = store.diff(old, new)
    assert not found.equal
    assert found.same == 2
    children, others = store.record(old).children, store.record(new).children
    deep = [store.record(some["deep"]).children["x"] for some in (children, others)]
    whole, came, x, gone = found.changes
    assert (whole.path, whole.before, whole.after, whole.content) == ("", old.digest, new.digest, None)
    assert whole.fields == (
        FieldChange("attrs.beam.size_m", 1e-6, None),
        FieldChange("attrs.energy_eV", 8800.0, 9000.0),
        FieldChange("attrs.note", None, "new"),
    )
    assert came == Change("came", None, others["came"])
    assert gone == Change("gone", children["gone"], None)
    assert (x.path, x.before, x.after) == ("deep/x", *deep)
    assert x.fields == (FieldChange("nbytes", 1, 2),)
    assert x.content == ContentChange(leaves=1, leaves_new=1, nbytes_new=2, leaves_gone=1, nbytes_gone=1)


def test_no_content_is_read(store: Store) -> None:
    backend = store._backend
    assert isinstance(backend, MemoryBackend)
    refs = [store.put({"a": np.arange(n), "t": pd.DataFrame({"x": [n]})}) for n in (3, 4)]
    for files in backend.files.values():
        for name in files.keys() - {"metadata.json", "leaves.bin"}:
            files[name] = b""
    assert {change.path for change in store.diff(*refs).changes} == {"a", "t"}


def test_rows_that_were_changed_inserted_and_deleted_are_named(store: Store) -> None:
    before = RANDOM.random((400, 2048))
    after = before.copy()
    after[5] = 0
    after[7:9] = 1
    after = np.insert(np.delete(after, [100, 101], 0), 300, RANDOM.random((3, 2048)), 0)
    change = content_change(store, before, after)
    assert change.rows == (
        RowChange((5, 6), (5, 6)),
        RowChange((7, 9), (7, 9)),
        RowChange((100, 102), (100, 100)),
        RowChange((302, 302), (300, 303)),
    )
    assert (change.leaves, change.leaves_new, change.nbytes_new) == (401, 6, 6 * ROW_NBYTES)
    assert (change.leaves_gone, change.nbytes_gone) == (5, 5 * ROW_NBYTES)


def test_rows_of_several_leaves_and_leaves_of_several_rows_are_named_as_rows(store: Store) -> None:
    large = RANDOM.random((5, 4, 32768))  # four leaves a row
    changed = large.copy()
    changed[2, [0, 2]] = 0
    assert content_change(store, large, changed).rows == (RowChange((2, 3), (2, 3)),)
    small = RANDOM.random((100_000, 4))
    ((start, stop),) = [row.before for row in content_change(store, small, np.delete(small, 50_000, 0)).rows or ()]
    assert start <= 50_000 < stop
    assert stop - start < 256 * 1024 / 32


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        (np.zeros((4, 3)), np.zeros((4, 3), np.float32), ["dtype"]),
        (np.zeros((4, 3)), np.zeros((4, 2)), ["shape"]),
        (np.zeros(4), b"zero", ["dtype", "kind", "nbytes", "shape"]),
        (np.zeros(()), np.ones(()), []),
        (np.zeros((0, 3)), np.zeros((1, 3)), ["shape"]),
    ],
)
def test_rows_are_named_only_where_rows_are_alike(store: Store, before: Any, after: Any, fields: list[str]) -> None:
    (change,) = store.diff(store.put(before), store.put(after)).changes
    assert [field.name for field in change.fields] == fields
    assert change.content is not None
    assert change.content.rows is None


def test_columns_are_compared_by_name(store: Store) -> None:
    before = pd.DataFrame({"a": [1, 2], "b": [1.0, 2.0], "c": ["x", "y"]})
    after = pd.DataFrame({"b": [1, 2], "a": [1, 2], "d": ["x", "y"]})
    (change,) = store.diff(store.put(before), store.put(after)).changes
    columns = {field.name: (field.before, field.after) for field in change.fields if field.name.startswith("columns.")}
    assert columns == {
        "columns.b.type": ("float64", "int64"),
        "columns.c.type": ("large_string", None),
        "columns.d.type": (None, "large_string"),
    }


def test_tensors_that_differ_are_named(store: Store) -> None:
    before = {f"layer{n}.w": RANDOM.random((300, 30), np.float32) for n in range(4)} | {"steps": np.arange(3)}
    after = before | {"layer2.w": before["layer2.w"] + 1, "steps": np.arange(3) + 1, "new": np.ones(1)}
    del after["layer0.w"]
    (change,) = store.diff(store.put(Weights(before)), store.put(Weights(after))).changes
    assert change.content is not None
    assert change.content.tensors == ("layer2.w", "steps")
    assert {field.name.rsplit(".", 1)[0] for field in change.fields} == {"tensors.layer0.w", "tensors.new"}


def test_tensors_of_bfloat16_are_told_apart(store: Store) -> None:
    before = {"b": BFloat16(np.zeros(9, np.uint16)), "f": np.ones(3, np.float32), "i": np.ones(3, np.int8)}
    after = before | {"b": BFloat16(np.ones(9, np.uint16)), "i": np.zeros(3, np.int8)}
    (change,) = store.diff(store.put(Weights(before)), store.put(Weights(after))).changes
    assert change.content is not None
    assert change.content.tensors == ("b", "i")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 12)), st.lists(st.integers(0, 12)))
def test_outside_of_the_blocks_that_differ_everything_is_equal(one: list[int], other: list[int]) -> None:
    first, second = ([bytes([n]) for n in some] for some in (one, other))
    i = k = 0
    for (start, stop), (begin, end) in differing_ranges(first, second):
        assert first[i:start] == second[k:begin]
        assert stop - start or end - begin
        i, k = stop, end
    assert first[i:] == second[k:]


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, 199)), st.integers(0, 5))
def test_what_occurs_once_is_never_taken_for_changed(gone: set[int], inserted: int) -> None:
    first = [n.to_bytes(2) for n in range(200)]
    kept = [n for n in range(200) if n not in gone]
    second = [*(n.to_bytes(2) for n in kept[:50]), *[b"new"] * inserted, *(n.to_bytes(2) for n in kept[50:])]
    blocks = differing_ranges(first, second)
    assert sum(stop - start for (start, stop), _ in blocks) == len(gone)
    assert sum(stop - start for _, (start, stop) in blocks) == inserted


def test_stats_count_every_named_version_by_itself_and_every_piece_once(store: Store) -> None:
    array = RANDOM.random(5000)
    for n in range(3):
        store.put({"array": array, "n": n}, name="versions")
    store.put({"array": array}, name="other")
    store.pin(store.put(b"pinned"))
    store.put(b"loose!")
    found = store.stats()
    assert (found.objects, found.names, found.versions) == (7, 2, 4)
    assert found.nbytes == 4 * array.nbytes + 12
    assert array.nbytes < found.nbytes_kept < 1.2 * array.nbytes
    assert found.nbytes_saved == found.nbytes - found.nbytes_kept
    assert {(kind.kind, kind.objects, kind.nbytes) for kind in found.kinds} == {
        ("array", 1, array.nbytes),
        ("tree", 4, 0),
        ("bytes", 2, 12),
    }
    assert [(name.name, name.nbytes) for name in found.largest] == [("other", array.nbytes), ("versions", array.nbytes)]
