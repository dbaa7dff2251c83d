"""Laws of near-duplicates: only what is new is kept, what comes back is exact, and damage never spreads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import Store, Weights, open_store
from smalti.errors import Damaged
from smalti.store import Record
from smalti.store.format.leaf_table import LeafTable, Leaves
from smalti.store.format.planning import plan
from smalti.store.format.recipe import Recipe

RANDOM = np.random.default_rng(0)
MB = 1_000_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def a_stack(rows: int = 300) -> np.ndarray:
    return RANDOM.random((rows, 64, 64), np.float32)


def folder_of(store: Store, address: str) -> Path:
    return Path(store.place) / "data" / address[7:9] / address[7:]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_changed_rows_are_all_that_is_added(store: Store) -> None:
    stack = a_stack()
    store.put(stack)
    changed = stack.copy()
    changed[[3, 77, 200]] += 1
    ref = store.put(changed)
    assert ref.new_bytes < 4 * changed[0].nbytes + 100_000
    np.testing.assert_array_equal(store.get(ref), changed)


def test_inserted_rows_are_all_that_is_added(store: Store) -> None:
    stack = a_stack()
    store.put(stack)
    longer = np.concatenate([stack[:150], a_stack(3), stack[150:]])
    ref = store.put(longer)
    assert ref.new_bytes < 4 * stack[0].nbytes + 100_000
    np.testing.assert_array_equal(store.get(ref), longer)


def test_another_shape_over_the_same_rows_adds_next_to_nothing(store: Store) -> None:
    """A product's object has one axis more than the reconstruction's."""
    field = RANDOM.random((700, 700)).astype(np.complex64)
    store.put(field)
    assert store.put(field[None]).new_bytes < 10_000


def test_slices_of_a_near_duplicate_are_exact_and_verified(store: Store) -> None:
    stack = a_stack()
    base = store.put(stack)
    changed = stack.copy()
    changed[100] = 0
    lazy = store.open(store.put(changed))
    np.testing.assert_array_equal(lazy[98:103], changed[98:103])
    path = store.file(base)
    assert path is not None
    damage(path)
    with pytest.raises(Damaged, match="damaged in the 16384 bytes"):
        np.asarray(lazy)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_chain_of_edits_comes_back_exactly(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    store = open_store(tmp_path_factory.mktemp("chain"))
    row = data.draw(st.sampled_from([512, 6000, 16384]))
    value = np.random.default_rng(1).integers(0, 256, (2 * MB // row, row), np.uint8)
    versions = []
    for step in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(value) - 1))
        new = np.random.default_rng(step + 2).integers(0, 256, (2, row), np.uint8)
        edit = data.draw(st.sampled_from(["change", "insert", "delete", "append"]))
        if edit == "change":
            value = value.copy()
            value[at : at + 2] = new[: len(value) - at]
        elif edit == "insert":
            value = np.concatenate([value[:at], new, value[at:]])
        elif edit == "append":
            value = np.concatenate([value, new])
        elif len(value) > 3:
            value = np.delete(value, slice(at, at + 2), axis=0)
        versions.append((store.put(value), value))
    for ref, wanted in versions:
        np.testing.assert_array_equal(store.get(ref), wanted)
    assert store.fsck().clean


def test_weights_share_the_tensors_that_did_not_move(store: Store) -> None:
    frozen = {"embedding": RANDOM.random((1000, 256)), "head": RANDOM.random((64, 10))}
    store.put(Weights(frozen))
    tuned = {**frozen, "head": RANDOM.random((64, 10))}
    ref = store.put(Weights(tuned))
    assert ref.new_bytes < 100_000
    np.testing.assert_array_equal(store.get(ref).tensors["head"], tuned["head"])


def test_the_file_of_a_near_duplicate_can_be_written_out(store: Store, tmp_path: Path) -> None:
    stack = a_stack()
    store.put(stack)
    ref = store.put(stack[::-1])
    assert store.file(ref) is None
    store.write_file(ref, tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), stack[::-1])


def test_a_near_duplicate_is_not_built_on_a_damaged_object(store: Store) -> None:
    stack = a_stack()
    base = store.put(stack)
    path = store.file(base)
    assert path is not None
    damage(path)
    changed = stack.copy()
    changed[0] = 0
    ref = store.put(changed)
    np.testing.assert_array_equal(store.get(ref), changed)
    with pytest.raises(Damaged):
        store.get(base)


def test_putting_a_damaged_source_again_heals_what_was_built_on_it(store: Store) -> None:
    stack = a_stack()
    base = store.put(stack, name="base")
    changed = stack.copy()
    changed[0] = 0
    ref = store.put(changed, name="changed")
    path = store.file(base)
    assert path is not None
    damage(path)
    assert {problem.names for problem in store.fsck().problems} == {("base", "changed"), ("changed",)}
    store.put(stack)
    np.testing.assert_array_equal(store.get(ref), changed)
    assert store.fsck().clean


@pytest.mark.parametrize("name", ["recipe.json", "delta.bin"])
def test_a_damaged_near_duplicate_is_found_and_repaired(store: Store, name: str) -> None:
    stack = a_stack()
    store.put(stack)
    changed = stack.copy()
    changed[5] = 0
    ref = store.put(changed)
    damage(folder_of(store, ref.digest) / name)
    (problem,) = store.fsck().problems
    assert problem.place == ref.digest
    store.put(changed)
    np.testing.assert_array_equal(store.get(ref), changed)
    assert store.fsck().clean


def test_a_source_that_is_gone_is_named(store: Store) -> None:
    stack = a_stack()
    base = store.put(stack)
    changed = stack.copy()
    changed[5] = 0
    ref = store.put(changed)
    folder_of(store, base.digest).rename(Path(store.place) / "gone")
    with pytest.raises(Damaged, match=f"{base.digest}, which others take leaves from, is not in the store"):
        store.get(ref)


def test_without_its_index_a_store_reads_the_same_and_a_rebuilt_one_deduplicates_again(store: Store) -> None:
    stack = a_stack()
    ref = store.put(stack)
    for path in Path(store.place).glob("index.sqlite*"):
        path.unlink()
    fresh = open_store(store.place)
    np.testing.assert_array_equal(fresh.get(ref), stack)
    fresh.rebuild_index()
    changed = stack.copy()
    changed[5] = 0
    assert fresh.put(changed).new_bytes < 200_000


def test_a_damaged_index_is_thrown_away(store: Store) -> None:
    ref = store.put(a_stack())
    for path in Path(store.place).glob("index.sqlite*"):
        path.write_bytes(b"no database" * 1000)
    fresh = open_store(store.place)
    assert fresh.put(np.arange(5)).new_bytes > 0
    assert fresh.get(ref).shape == (300, 64, 64)


def test_a_small_value_is_never_a_near_duplicate(store: Store) -> None:
    store.put(np.arange(20_000))
    ref = store.put(np.arange(20_001))
    assert store.file(ref) is not None


def test_long_pieces_of_a_large_value_may_be_many() -> None:
    """Scattered changes, version after version: 8000 pieces of one row of 32 KiB each, every other one new."""
    rows, row_nbytes = 8000, 32 * 1024
    new = np.arange(rows) % 2 == 1
    ids = RANDOM.integers(0, 256, (rows, 32), np.uint8)
    starts = np.arange(rows, dtype=np.int64) * row_nbytes
    sizes = np.full(rows, row_nbytes, np.int64)
    offered = Leaves(ids[~new], starts[: rows // 2], sizes[~new])

    def planned(nbytes: int) -> Recipe | None:
        table = LeafTable.of(Leaves(ids, starts, np.full(rows, nbytes, np.int64)).entries())
        record = SimpleNamespace(table=table, nbytes=rows * nbytes)
        return plan(cast(Record, record), 0, ["sha256:one"], lambda _: offered)

    recipe = planned(row_nbytes)
    assert recipe
    assert len(recipe.extents) == rows
    assert planned(row_nbytes // 2) is None
