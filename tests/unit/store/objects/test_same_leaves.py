"""Leaves that are taken over by comparing bytes are those that hashing gives, whatever changed and wherever it lies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import open_store
from smalti.codecs import CODECS
from smalti.codecs.array import encode_bytes
from smalti.store import Encoded, Ref, Store
from smalti.store.format.chunking import leaf_ids, leaf_sizes
from smalti.store.format.record import Record
from smalti.store.objects.hashing import record_of
from smalti.store.objects.same_leaves import has_such_rows, leaves_beside
from smalti.store.segments import Segments, in_one

MIB = 1024 * 1024


def record_and_bytes(rows: np.ndarray) -> tuple[Record, bytes]:
    encoded = CODECS.encode(rows)
    assert isinstance(encoded, Encoded)
    return record_of(encoded), rows.tobytes()


def in_pieces(content: bytes, cuts: list[int]) -> Segments:
    """The same bytes in several places of memory."""
    bounds = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    return Segments([memoryview(bytes(content[a:b])) for a, b in pairwise(bounds)])


def check_leaves_beside(before: np.ndarray, after: np.ndarray, cuts: list[int], unread: set[int]) -> None:
    """Rows (N, bytes of one) uint8; the numbers of the blocks that the machine does not have in memory."""
    record, stored = record_and_bytes(before)
    asked: list[int] = []

    def copy(start: int, out: memoryview) -> bool:
        asked.append(start)
        out[:] = stored[start : start + len(out)]
        return len(asked) not in unread

    row, whole = before.shape[1], memoryview(after.tobytes())
    ids, sizes = leaves_beside(in_pieces(bytes(whole), cuts), row, record, copy)
    assert sizes.tolist() == leaf_sizes(whole, row).tolist(), "the cuts differ"
    assert ids == leaf_ids(whole, leaf_sizes(whole, row)), "the ids differ"


@settings(max_examples=60, deadline=None)
@given(
    row=st.sampled_from([1, 8, 100, 3000, 16_384, 20_000]),
    changes=st.lists(
        st.tuples(st.sampled_from(["write", "insert", "remove"]), st.integers(0, 10**6), st.integers(1, 40))
    ),
    cuts=st.lists(st.integers(0, 3 * MIB), max_size=5),
    unread=st.sets(st.integers(0, 5)),
)
def test_leaves_beside_an_earlier_object_are_those_of_cutting_and_hashing(
    row: int, changes: list[tuple[str, int, int]], cuts: list[int], unread: set[int]
) -> None:
    random = np.random.default_rng(row)
    before = random.integers(0, 256, (2 * MIB // row, row), np.uint8)
    after = before.copy()
    for what, place, count in changes:
        at = place % max(1, len(after))
        if what == "write":
            after[at : at + count] = random.integers(0, 256, after[at : at + count].shape, np.uint8)
        elif what == "insert":
            after = np.insert(after, [at] * count, 7, axis=0)
        else:
            after = np.delete(after, slice(at, at + count), axis=0)
    check_leaves_beside(before, after, cuts, unread)


@pytest.mark.parametrize("row", [1, 100, 3000, 20_000])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda rows, _: rows,
        lambda rows, more: np.concatenate([rows, more]),
        lambda rows, _: rows[: len(rows) // 2],
        lambda rows, _: rows[:-1],
        lambda rows, _: rows[:0],
        lambda rows, more: np.concatenate([rows[:10], more, rows[10 + len(more) :]]),
        lambda rows, more: np.concatenate([rows[: -1 - len(more)], more, rows[-1:], more]),
        lambda rows, more: np.concatenate([more, rows]),
    ],
    ids=["none", "append", "half", "one fewer", "no rows", "write", "write at the end, append", "insert"],
)
def test_every_kind_of_change_of_rows_and_of_zeros(
    row: int, zeros: bool, change: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> None:
    random = np.random.default_rng(row)
    before = random.integers(0, 1 if zeros else 256, (3 * MIB // row, row), np.uint8)
    for nbytes in (1, 1000, 200_000):
        more = random.integers(0, 256, (-(-nbytes // row), row), np.uint8)
        check_leaves_beside(before, change(before, more), [MIB], set())


def test_only_what_changed_is_hashed() -> None:
    before = np.random.default_rng(0).random((4000, 100))
    record, stored = record_and_bytes(before)
    after = before.copy()
    after[2000] = 0
    touched = []

    class Counted(Segments):
        def __getitem__(self, part: slice) -> Segments:
            touched.append(part)
            return super().__getitem__(part)

    def copy(start: int, out: memoryview) -> bool:
        out[:] = stored[start : start + len(out)]
        return True

    leaves_beside(Counted([memoryview(after.tobytes())]), 800, record, copy)
    compared, cut_again = 4000 * 800, 3 * MIB
    assert sum(part.stop - part.start for part in touched) < compared + cut_again


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [((10, 4), (99, 4), True), ((10, 4), (10, 5), False), ((10,), (10, 4), False)],
)
def test_rows_of_another_shape_are_cut_by_another_rule(
    one: tuple[int, ...], other: tuple[int, ...], alike: bool
) -> None:
    header = CODECS.encode(np.zeros(one)).header
    record, _ = record_and_bytes(np.zeros(other))
    assert has_such_rows(header, record) is alike
    assert not has_such_rows(CODECS.encode(np.zeros(one, "f4")).header, record), "another dtype"
    assert not has_such_rows(CODECS.encode(b"bytes").header, record)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def versions(store: Store, count: int = 4) -> list[tuple[np.ndarray, Ref]]:
    values = np.random.default_rng(1).random((1500, 500))
    made = []
    for number in range(count):
        values = values.copy()
        values[300 * number : 300 * number + 3] = number
        made.append((values, store.put(values, "x")))
    return made


def test_a_version_has_the_address_that_it_has_in_an_empty_store(store: Store, tmp_path: Path) -> None:
    for number, (values, ref) in enumerate(versions(store)):
        assert ref.digest == open_store(tmp_path / str(number)).put(values).digest
        assert np.array_equal(store.get(ref), values)
    assert store.fsck(full=True).clean


def test_an_earlier_version_that_was_damaged_is_not_relied_on(store: Store, tmp_path: Path) -> None:
    values, ref = versions(store, 1)[0]
    file = store.file(ref)
    assert file
    content = bytearray(file.read_bytes())
    content[MIB] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    damaged = values.copy()
    damaged.view(np.uint8).reshape(-1)[MIB - 4096] ^= 1  # the same in memory as what the disk made of it
    assert np.array_equal(np.load(file), damaged)
    made = store.put(damaged, "x")
    assert made.digest == open_store(tmp_path / "other").put(damaged).digest != ref.digest
    assert np.array_equal(store.get(made), damaged)


def test_bytes_in_several_places_are_stored_as_if_they_lay_in_one(store: Store) -> None:
    values = np.random.default_rng(2).random((1200, 700))
    content = values.tobytes()
    scattered = encode_bytes("<f8", values.shape, in_pieces(content, [7, 10_000, 4 * MIB]))
    assert store.put(scattered).digest == store.put(values).digest
    values[600] = 0
    changed = encode_bytes("<f8", values.shape, in_pieces(values.tobytes(), [5, 600 * 5600 + 9]))
    ref = store.put(changed, like=store.put(np.frombuffer(content).reshape(values.shape)))
    assert ref.new_bytes < 300_000
    assert np.array_equal(store.get(ref), values)


@given(pieces=st.lists(st.binary(max_size=5), max_size=6), start=st.integers(-8, 30), stop=st.integers(-8, 30))
def test_a_part_of_bytes_in_several_places_is_that_of_all_of_them(pieces: list[bytes], start: int, stop: int) -> None:
    data, whole = Segments([memoryview(piece) for piece in pieces]), b"".join(pieces)
    assert (data.nbytes, len(data), bytes(data)) == (len(whole), len(whole), whole)
    assert bytes(in_one(data[start:stop])) == whole[start:stop]
