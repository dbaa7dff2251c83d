"""Laws of values: exactly, once, by content, whole or in slices; and of the references to them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti.errors import Ambiguous, Damaged, NotFound, Refused
from smalti.store import Ref, Store, Tree
from smalti.testing import strategies
from smalti.testing.backend_under_test import LAW, BackendUnderTest, Stored, damage_where, nbytes_of
from smalti.testing.model import form


class ValueLaws(BackendUnderTest):
    """Equal values have equal addresses and are stored once; each comes back exactly."""

    @LAW
    @given(value=strategies.values())
    def test_a_value_comes_back_as_it_was(self, store: Store, value: Any) -> None:
        assert form(store.get(store.put(value))) == form(value)

    @LAW
    @given(value=strategies.values())
    def test_equal_values_have_equal_addresses_and_are_stored_once(self, store: Store, value: Any) -> None:
        first = store.put(value)
        again = store.put(store.get(first))
        assert (again.digest, again.kind, again.nbytes, again.new_bytes) == (first.digest, first.kind, first.nbytes, 0)

    @LAW
    @given(one=strategies.values(), other=strategies.values())
    def test_different_values_have_different_addresses(self, store: Store, one: Any, other: Any) -> None:
        assert (store.put(one).digest == store.put(other).digest) == (form(one) == form(other))

    @LAW
    @given(array=strategies.arrays(), layout=st.sampled_from(strategies.LAYOUTS), order=st.sampled_from("<>"))
    def test_memory_layout_and_byte_order_do_not_change_the_address(
        self, store: Store, array: Any, layout: Callable[[Any], Any], order: Any
    ) -> None:
        again = layout(array).astype(array.dtype.newbyteorder(order))
        assert store.put(again).digest == store.put(array).digest

    def test_equal_bytes_under_another_dtype_or_shape_have_another_address(self, store: Store) -> None:
        zeros = [np.zeros(4, np.int32), np.zeros(4, np.float32), np.zeros((2, 2), np.int32), np.zeros(2, np.int64)]
        assert len({store.put(value).digest for value in [*zeros, bytes(16)]}) == 5

    def test_addresses_of_known_values_never_change(self, store: Store) -> None:
        """If this fails, values stored before are no longer found by content."""
        known = {
            "array": np.arange(12, dtype=np.int16).reshape(3, 4),
            "bytes": b"smalti",
            "tree": {"a": np.arange(3.0), "b": {"c": "text", "d": [1, 2.5, None]}},
        }
        assert {name: store.put(value).digest for name, value in known.items()} == PINNED

    def test_an_address_is_the_sha256_of_the_header_and_the_leaves(self, store: Store) -> None:
        array = np.random.default_rng(0).random((3, 2048))
        header = b'{"dtype":"<f8","kind":"array","shape":[3,2048]}'
        leaves = b"".join(blake3(row.tobytes()).digest() + row.nbytes.to_bytes(8, "little") for row in array)
        assert store.put(array).digest == "sha256:" + hashlib.sha256(header + leaves).hexdigest()

    def test_the_address_of_bytes_is_that_of_their_sha256(self, store: Store) -> None:
        for content in (b"", b"smalti", np.random.default_rng(0).bytes(500_000)):
            sha256 = hashlib.sha256(content).hexdigest()
            header = b'{"kind":"bytes","nbytes":%d,"sha256":"%s"}' % (len(content), sha256.encode())
            assert store.put(content).digest == "sha256:" + hashlib.sha256(header).hexdigest()

    def test_a_mapping_comes_back_in_its_order_which_is_no_part_of_its_address(self, store: Store) -> None:
        inner = {"z": 1, "a": [{"y": 0, "b": 1.5}], "m": 2}
        one = {"x2": np.ones(2), "n": 1, "x10": np.zeros(2), "inner": inner, "deep": {"q": b"q", "p": 1, "a": b"a"}}
        ref = store.put(one)
        found = store.get(ref)
        assert list(found) == list(one)
        assert list(found["inner"]) == list(inner)
        assert list(found["inner"]["a"][0]) == ["y", "b"]
        assert list(found["deep"]) == ["q", "p", "a"]
        assert store.put(dict(reversed(one.items()))).digest == ref.digest

    def test_an_equal_value_under_another_name_adds_no_content(self, store: Store, stored: Stored) -> None:
        scan = {"diffraction": np.random.default_rng(0).random((50, 64, 64), np.float32), "energy": 8.8}
        first = store.put(scan, name="first")
        before = nbytes_of(stored)
        second = store.put(dict(reversed(scan.items())), name="second")
        assert (second.digest, second.new_bytes) == (first.digest, 0)
        assert nbytes_of(stored) - before < 1000

    def test_new_bytes_are_the_bytes_that_were_added(self, store: Store, stored: Stored) -> None:
        ref = store.put({"x": np.random.default_rng(0).random((70, 2048)), "y": b"y", "n": 1})
        assert ref.new_bytes == nbytes_of(stored)

    def test_two_trees_share_an_equal_child(self, store: Store) -> None:
        child = np.random.default_rng(0).random(10_000)
        store.put({"x": child, "n": 1})
        assert store.put({"x": child, "n": 2}).new_bytes < 1000

    def test_a_reference_can_stand_for_a_stored_child(self, store: Store) -> None:
        child = store.put(np.arange(1000))
        assert store.put({"x": child}).digest == store.put({"x": np.arange(1000)}).digest

    def test_a_value_that_was_got_cannot_be_written_to(self, store: Store) -> None:
        with pytest.raises(ValueError, match="read-only"):
            store.get(store.put(np.zeros(5)))[0] = 1

    def test_changing_an_array_after_it_was_put_changes_nothing_stored(self, store: Store) -> None:
        array = np.zeros(5000)
        ref = store.put(array)
        array[:] = 1
        assert not store.get(ref).any()

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (np.array([object()]), "dtype object cannot be stored exactly"),
            ({1: np.zeros(2)}, "keys are text"),
            ({"a": object()}, "a object has no codec"),
            (Tree({}, {"a": float("nan")}), "nan, which JSON cannot hold"),
        ],
    )
    def test_what_cannot_be_stored_exactly_is_refused_and_nothing_is_kept(
        self, store: Store, stored: Stored, value: object, message: str
    ) -> None:
        with pytest.raises(Refused, match=message):
            store.put(value)
        assert not list(stored)


class ManyLaws(BackendUnderTest):
    """Many values in one call, or one value in many blocks, are what they would be one by one and in one piece."""

    @LAW
    @given(values=st.lists(strategies.values(), max_size=6))
    def test_values_put_together_are_those_put_one_by_one(self, store: Store, values: list[Any]) -> None:
        together = store.put_all(values)
        assert [ref.digest for ref in together] == [store.put(value).digest for value in values]
        assert [form(store.get(ref)) for ref in together] == [form(value) for value in values]

    def test_every_one_of_many_versions_comes_back_and_most_add_little(self, store: Store) -> None:
        array = np.random.default_rng(0).random((64, 2048))
        versions = []
        for number in range(14):
            array = array.copy()
            array[5 * number % 64] = number
            versions.append((store.put(array, name="array"), array))
        assert all(np.array_equal(store.get(ref), version) for ref, version in versions)
        assert sorted(ref.new_bytes for ref, _ in versions)[len(versions) // 2] < 8 * array[0].nbytes or (
            store.place == "memory:"
        )

    def test_a_mapping_that_holds_itself_is_refused(self, store: Store) -> None:
        itself: dict[str, Any] = {"array": np.arange(3)}
        itself["itself"] = itself
        with pytest.raises(Refused, match="nested too deep, or holds itself"):
            store.put(itself)

    def test_an_array_that_is_written_over_between_values_is_stored_as_it_was(self, store: Store) -> None:
        shared = np.zeros(1000)

        def filled(number: int) -> Any:
            shared[:] = number
            return shared

        refs = store.put_all(filled(number) for number in range(20))
        assert [store.get(ref)[0] for ref in refs] == list(range(20))
        assert store.fsck(full=True).clean

    def test_each_of_many_values_says_what_it_added(self, store: Store, stored: Stored) -> None:
        refs = store.put_all([np.arange(100), {"same": np.arange(100), "more": b"more"}, b"more"])
        assert sum({ref.digest: ref.new_bytes for ref in refs[:2]}.values()) >= nbytes_of(stored)
        assert [ref.new_bytes for ref in store.put_all([np.arange(100), b"more"])] == [0, 0]

    def test_of_many_values_one_that_is_refused_fails_the_call(self, store: Store) -> None:
        with pytest.raises(Refused, match="a object has no codec"):
            store.put_all([np.arange(3), object()])
        assert store.fsck(full=True).clean

    @LAW
    @given(data=st.data())
    def test_an_array_in_blocks_of_rows_is_the_array_in_one_piece(self, store: Store, data: st.DataObject) -> None:
        array = data.draw(st.one_of(strategies.arrays(), strategies.large_arrays()).filter(lambda a: a.ndim > 0))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(array)), max_size=5), "cuts"))
        ref = store.put_rows(np.split(array, cuts))
        assert form(store.get(ref)) == form(array)
        assert (ref.digest, store.put(array).new_bytes) == (store.put(array).digest, 0)

    @pytest.mark.parametrize(
        ("blocks", "message"),
        [
            ([], "an array of no blocks"),
            ([np.zeros((2, 3)), np.zeros((2, 4))], r"block 1 has rows of <f8 \(4,\), those before it of <f8 \(3,\)"),
            ([np.zeros(2), np.zeros(2, np.float32)], "block 1 has rows of <f4"),
            ([np.float64(1)], "block 0 is a single value"),
            ([np.array([object()])], "dtype object"),
        ],
    )
    def test_blocks_that_make_no_array_are_refused(
        self, store: Store, stored: Stored, blocks: list[Any], message: str
    ) -> None:
        with pytest.raises(Refused, match=message):
            store.put_rows(blocks)
        assert not [key for key in stored if key.startswith("data/")]

    def test_a_read_without_verification_gives_the_same_where_nothing_is_damaged(self, full: Store) -> None:
        assert form(full.get("everything/here", verify=False)) == form(full.get("everything/here"))

    def test_a_read_without_verification_gives_what_the_disk_gives(self, store: Store, stored: Stored) -> None:
        content = np.random.default_rng(0).bytes(9000)
        ref = store.put(content)
        damage_where(stored, content)
        assert store.get(ref, verify=False) != content
        with pytest.raises(Damaged):
            store.get(ref)


class SliceLaws(BackendUnderTest):
    """What is read in part equals the same part of the whole, near-duplicates included."""

    @LAW
    @given(data=st.data())
    def test_a_lazy_array_indexes_like_numpy(self, store: Store, data: st.DataObject) -> None:
        array = data.draw(hnp.arrays(np.int16, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6)))
        key = data.draw(hnp.basic_indices(array.shape, allow_newaxis=False))
        np.testing.assert_array_equal(store.open(store.put(array))[key], array[key])

    @LAW
    @given(array=strategies.large_arrays(), data=st.data())
    def test_rows_of_a_large_array_are_those_that_were_put(self, store: Store, array: Any, data: st.DataObject) -> None:
        lazy = store.open(store.put(array))
        start = data.draw(st.integers(0, len(array)))
        stop = data.draw(st.integers(start, min(start + 500, len(array))))
        np.testing.assert_array_equal(lazy[start:stop], array[start:stop])

    @LAW
    @given(data=st.data())
    def test_near_duplicates_come_back_as_they_were(self, store: Store, data: st.DataObject) -> None:
        versions = [data.draw(strategies.large_arrays())]
        for _ in range(2):
            versions.append(data.draw(strategies.edits(versions[-1])))
        refs = [store.put(version) for version in versions]
        for ref, version in zip(refs, versions, strict=True):
            assert form(store.get(ref)) == form(version)
            assert store.put(version).new_bytes == 0


class ReferenceLaws(BackendUnderTest):
    """A name, an address, a prefix and a Ref mean what they say, or are refused in one sentence."""

    def test_a_name_a_digest_a_prefix_and_a_ref_mean_the_same(self, store: Store) -> None:
        ref = store.put(np.arange(7), name="run/42")
        digits = ref.digest.removeprefix("sha256:")
        for reference in ("run/42", ref.digest, ref.digest[:15], digits[:8], digits[:63], ref):
            assert store.ref(reference) == Ref(ref.digest, "array", 56)
            np.testing.assert_array_equal(store.get(reference), np.arange(7))

    def test_a_name_keeps_every_version(self, store: Store) -> None:
        addresses = [store.put(np.arange(n), name="training").digest for n in (1, 2, 2, 1)]
        versions = store.versions("training")
        assert [v.address for v in versions] == [addresses[0], addresses[1], addresses[3]]
        assert [v.version for v in versions] == [1, 2, 3]
        assert store.resolve("training") == addresses[3]

    def test_names_are_listed_in_order_with_their_latest_version(self, store: Store) -> None:
        for name, n in (("b", 1), ("a/c", 2), ("a", 3), ("b", 4)):
            store.put(np.arange(n), name=name)
        assert [(v.name, store.get(v.name).size) for v in store.names()] == [("a", 3), ("a/c", 2), ("b", 4)]

    def test_a_prefix_that_fits_two_objects_asks_for_more_digits(self, store: Store, stored: Stored) -> None:
        digits = store.put(np.arange(3)).digest.removeprefix("sha256:")
        for key in list(stored):
            stored[key.replace(digits, digits[:13] + "0" * 51)] = stored[key]
        with pytest.raises(Ambiguous, match="fits 2 objects"):
            store.get(digits[:9])
        np.testing.assert_array_equal(store.get(digits[:32]), np.arange(3))

    @pytest.mark.parametrize("reference", ["nothing", "a3f5c8d2", "sha256:" + "0" * 64, "../x", ""])
    def test_a_reference_to_nothing_is_one_sentence(self, full: Store, reference: str) -> None:
        with pytest.raises(NotFound, match="in the store at"):
            full.get(reference)

    @pytest.mark.parametrize("name", ["", "../x", "/abs", "a//b", "a/", ".hidden", "a b", "x" * 129, "né", "a\n"])
    def test_a_name_that_could_leave_the_store_is_refused(self, store: Store, stored: Stored, name: str) -> None:
        with pytest.raises(Refused, match="cannot be a name"):
            store.put(b"x", name=name)
        assert not list(stored)


PINNED = {
    "array": "sha256:da55b89154fc50746b7fe901e2f8dc7fde75a6158b9289ac8e8fe017fc82de05",
    "bytes": "sha256:8f20724789248d05ce3f9f6ef87096bb3b82d8065a6d1a50303ec0b75286bb7e",
    "tree": "sha256:9a286a846d7a94388e7f288bc5f87c1b00a8b44916e068ebb739dab324d93f29",
}
