"""A slice needs one path of the leaf table, proven by the top; what is not what was written is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.errors import Damaged
from smalti.store.format import leaf_table
from smalti.store.format.leaf_table import ENTRY_NBYTES, FANOUT, BuiltLevels, LeafTable, Leaves
from smalti.store.values import MAX_LEAF_NBYTES


def entries_of(count: int, seed: int = 0) -> bytes:
    random = np.random.default_rng(seed)
    sizes = random.integers(1, MAX_LEAF_NBYTES, count, endpoint=True)
    return Leaves(random.integers(0, 256, (count, 32), np.uint8), np.cumsum(sizes) - sizes, sizes).entries()


class FileLevels:
    """The levels below the top as they lie in ``leaves.bin``, and what of it was read."""

    def __init__(self, count: int, content: bytes) -> None:
        self.count = count
        self.content = content
        self.read: list[tuple[int, int]] = []

    def entries(self, level: int, low: int, high: int, start: int, stop: int) -> bytes:
        offset = leaf_table.offsets(self.count, self.count)[level]
        self.read.append((offset + low * ENTRY_NBYTES, offset + high * ENTRY_NBYTES))
        return self.content[slice(*self.read[-1])]

    def forget(self) -> None:
        """Do nothing: what is read again is what lies there."""


def as_read(entries: bytes) -> tuple[LeafTable, FileLevels]:
    levels = leaf_table.build(entries)
    count = len(entries) // ENTRY_NBYTES
    file = FileLevels(count, leaf_table.dump(levels))
    return LeafTable(levels[-1], count, file), file


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(0, 300_000) | st.sampled_from([0, 1, 63, 64, 65, 4095, 4096, 4097, 262_144, 262_145]),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_leaves_of_a_slice_are_those_of_the_whole_table(count: int, ends: tuple[float, float]) -> None:
    entries = entries_of(count)
    whole = leaf_table.leaves_of(entries)
    table, file = as_read(entries)
    nbytes = int(whole.sizes.sum())
    assert table.nbytes == nbytes
    start, stop = sorted(int(end * nbytes) for end in ends)
    if start < stop:
        low, high = np.searchsorted(whole.starts, start, "right") - 1, np.searchsorted(whole.starts, stop)
        found = table.leaves(start, stop)
        assert found.entries() == entries[low * ENTRY_NBYTES : high * ENTRY_NBYTES]
        assert found.starts.tolist() == whole.starts[low:high].tolist()
        per_level = len(leaf_table.counts(count)) - 1
        edges = 2 * FANOUT * ENTRY_NBYTES * per_level
        assert sum(b - a for a, b in file.read) <= 1.1 * len(found) * ENTRY_NBYTES + edges, (
            "more than the path was read"
        )
    assert table.entries == entries
    assert len(file.content) == leaf_table.offsets(count, count)[-1] or table.is_in_record


class OfManyLeaves:
    """The levels of a table of equal leaves, all of whose nodes are full, and how much of it was read."""

    def __init__(self, count: int, nbytes: int) -> None:
        self.nbytes_read = 0
        self._entries = [leaf_table.entry(bytes(32), nbytes)]
        for _ in leaf_table.counts(count)[1:]:
            self._entries.append(leaf_table.node_entry(self._entries[-1] * FANOUT))
        self.top = self._entries[-1] * leaf_table.counts(count)[-1]

    def entries(self, level: int, low: int, high: int, start: int, stop: int) -> bytes:
        found = self._entries[level] * (high - low)
        self.nbytes_read += len(found)
        return found


def test_a_slice_of_a_tebibyte_reads_kilobytes_of_the_table() -> None:
    count, nbytes = 2**40 // 65_536, 65_536
    file = OfManyLeaves(count, nbytes)
    table = LeafTable(file.top, count, file)
    assert table.nbytes == 2**40
    leaves = table.leaves(2**39 + 5, 2**39 + 1_000_000)
    assert int(leaves.starts[0]) == 2**39
    assert len(leaves) == 16
    assert file.nbytes_read < 16 * 1024


@settings(max_examples=40, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), where=st.floats(0, 1, exclude_max=True))
def test_a_flipped_bit_of_the_path_is_damage(place: float, bit: int, where: float) -> None:
    entries = entries_of(5000)
    table, file = as_read(entries)
    content = bytearray(file.content)
    at = int(place * len(content))
    content[at] ^= 1 << bit
    file.content = bytes(content)
    start = int(where * table.nbytes)
    try:
        found = table.leaves(start, start + 1).entries()
    except Damaged:
        assert any(a <= at < b for a, b in file.read)
    else:
        assert not any(a <= at < b for a, b in file.read)
        assert found in entries


@pytest.mark.parametrize("nbytes", [0, 100, 5000 * ENTRY_NBYTES])
def test_a_table_that_was_cut_is_damage(nbytes: int) -> None:
    table, file = as_read(entries_of(5000))
    file.content = file.content[:nbytes]
    with pytest.raises(Damaged, match="is not what was written"):
        table.leaves(table.nbytes - 1, table.nbytes)


@pytest.mark.parametrize("sizes", [[0] * 65, [MAX_LEAF_NBYTES + 1] * 65, [2**57] * 65])
def test_sizes_that_no_leaf_has_are_refused_though_they_add_up(sizes: list[int]) -> None:
    entries = b"".join(leaf_table.entry(bytes(32), size) for size in sizes)
    nodes = [entries[: FANOUT * ENTRY_NBYTES], entries[FANOUT * ENTRY_NBYTES :]]
    top = b"".join(map(leaf_table.node_entry, nodes))
    table = LeafTable(top, 65, BuiltLevels([entries, top]))
    with pytest.raises(Damaged, match="sizes that do not add up"):
        table.leaves(0, 1)
