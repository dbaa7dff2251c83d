"""Laws of safety: damage is found, named, refused and repaired; many writers at once lose nothing."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from smalti.codecs import CODECS
from smalti.errors import Damaged, NotFound, Refused
from smalti.store import Store
from smalti.store.backends.base import Backend
from smalti.store.backends.memory import MemoryBackend
from smalti.store.documents import Documents
from smalti.store.identity import KEY
from smalti.store.objects.object_store import ObjectStore
from smalti.testing.backend_under_test import BackendUnderTest, Stored, at_once, damage_where, owner_of
from smalti.testing.damage import DAMAGES
from smalti.testing.model import form


class DamageLaws(BackendUnderTest):
    """No damaged byte is handed out, and every one is found, named and repaired."""

    def test_a_slice_verifies_only_its_own_leaves(self, store: Store, stored: Stored) -> None:
        array = np.random.default_rng(0).random((8, 2048))
        ref = store.put(array)
        damage_where(stored, array[3].tobytes())
        lazy = store.open(ref)
        np.testing.assert_array_equal(lazy[4:7], array[4:7])
        np.testing.assert_array_equal(lazy[-1, ::2], array[-1, ::2])
        with pytest.raises(Damaged):
            lazy[2:4]

    @pytest.mark.parametrize("kind", sorted(DAMAGES))
    def test_damage_anywhere_is_found_and_named_and_nothing_else_is(
        self, full: Store, stored: Stored, kind: str
    ) -> None:
        assert full.fsck(full=True).clean
        for key in list(stored):
            original = stored[key]
            changed = DAMAGES[kind](original, random.Random(key))
            if changed == original:
                continue
            stored[key] = changed
            places = {problem.place for problem in full.fsck(full=True).problems}
            assert [owner for owner in places if owner_of(key) in owner], (kind, key, places)
            assert len(places) == 1, (kind, key, places)
            stored[key] = original
        assert full.fsck(full=True).clean

    def test_a_lost_file_is_found_and_named(self, full: Store, stored: Stored) -> None:
        for key in [key for key in stored if key.startswith("data/")]:
            original = stored.pop(key)
            assert [owner_of(key) in problem.place for problem in full.fsck(full=True).problems] == [True], key
            stored[key] = original
        assert full.fsck(full=True).clean

    def test_a_damaged_object_names_the_names_that_need_it(self, full: Store, stored: Stored) -> None:
        address = full.record("everything/here").children["more raw"]
        key = next(key for key in stored if owner_of(key) in address and not key.endswith("json"))
        stored[key] = stored[key][:-1]
        (problem,) = full.fsck(full=True).problems
        assert (problem.place, problem.names) == (address, ("everything/here",))
        assert key.rsplit("/", 1)[-1] in problem.what

    def test_a_missing_object_is_found_by_what_refers_to_it(self, full: Store, objects: ObjectStore) -> None:
        address = full.record("everything/here").children["raw"]
        objects.remove({address: objects.backend.clock()})
        (problem,) = full.fsck(full=True).problems
        assert (problem.place, problem.names) == (address, ("everything/here",))
        assert "missing" in problem.what
        with pytest.raises(NotFound):
            full.get("everything/here")

    def test_a_name_that_took_the_place_of_another_is_found(self, store: Store, stored: Stored) -> None:
        for name in ("one", "other"):
            store.put(name.encode(), name=name)
        one, other = (key for key in stored if key.startswith("names/"))
        stored[one], stored[other] = stored[other], stored[one]
        assert {problem.place for problem in store.fsck(full=True).problems} == {one, other}
        with pytest.raises(Damaged):
            store.get("one")

    def test_a_read_of_damaged_content_raises_and_names_the_place(self, store: Store, stored: Stored) -> None:
        array = np.random.default_rng(0).random((8, 2048))
        ref = store.put(array)
        damage_where(stored, array[3].tobytes())
        with pytest.raises(Damaged, match=f"of {ref.digest} is damaged in the 16384 bytes from {3 * 16384}"):
            store.get(ref)

    @pytest.mark.parametrize("kind", sorted(DAMAGES))
    def test_putting_the_same_value_again_repairs_every_file(self, full: Store, stored: Stored, kind: str) -> None:
        value = full.get("everything/here")
        wanted = form(value)
        value = {**value, "large": np.array(value["large"])}  # not a view of what is about to be damaged
        for key in [key for key in stored if key.startswith("data/")]:
            changed = DAMAGES[kind](stored[key], random.Random(key))
            if changed != stored[key]:
                stored[key] = changed
        assert not full.fsck(full=True).clean
        assert full.put(value).new_bytes > value["large"].nbytes
        assert form(full.get("everything/here")) == wanted
        full.put(b"first")
        assert full.fsck(full=True).clean

    def test_a_damaged_name_is_damaged_and_not_the_machine_s_fault(self, store: Store, stored: Stored) -> None:
        store.put(b"one", name="name")
        (key,) = (key for key in stored if key.startswith("names/"))
        stored[key] = stored[key][:-2]
        for act in (lambda: store.get("name"), lambda: store.put(b"two", name="name")):
            with pytest.raises(Damaged, match="name"):
                act()


class CrowdLaws(BackendUnderTest):
    """Writers and checkers at once disturb nobody."""

    def test_equal_values_put_at_once_are_stored_once(self, store: Store) -> None:
        array = np.random.default_rng(0).random(200_000)
        refs = at_once([partial(store.put, array)] * 8)
        assert {ref.digest for ref in refs} == {store.put(array).digest}
        assert sum(ref.new_bytes > 0 for ref in refs) == 1
        assert store.fsck(full=True).clean

    def test_different_values_put_at_once_are_all_there(self, store: Store) -> None:
        values = [np.random.default_rng(n).random((n + 1) * 1000) for n in range(16)]
        refs = at_once(partial(store.put, {"v": value, "n": 1}) for value in values)
        for ref, value in zip(refs, values, strict=True):
            np.testing.assert_array_equal(store.get(ref)["v"], value)
        assert store.fsck(full=True).clean

    def test_names_given_at_once_all_count(self, store: Store) -> None:
        at_once(partial(store.put, np.arange(n), name="busy") for n in range(1, 9))
        assert [v.version for v in store.versions("busy")] == list(range(1, 9))
        assert {store.get(v.address).size for v in store.versions("busy")} == set(range(1, 9))
        assert store.fsck(full=True).clean

    def test_a_damaged_value_put_at_once_by_many_is_repaired_for_all(self, store: Store, stored: Stored) -> None:
        array = np.random.default_rng(0).random((40, 2048))
        for row in range(5):
            ref = store.put(array)
            damage_where(stored, array[row].tobytes())
            at_once([partial(store.put, array), partial(store.put, {"x": array})] * 4)
            np.testing.assert_array_equal(store.get(ref), array)
            assert store.fsck(full=True).clean

    def test_a_check_beside_writers_raises_no_false_alarm(self, store: Store) -> None:
        done = threading.Event()

        def write(first: int) -> None:
            for n in range(first, first + 10):
                store.put({"x": np.arange(1000.0) + n, "inner": {"y": np.arange(n + 1)}}, name=f"n{n}")

        def check() -> list[Any]:
            reports = [store.fsck(full=True)]
            while not done.is_set():
                reports.append(store.fsck(full=True))
            return reports

        def write_all() -> None:
            try:
                at_once(partial(write, first) for first in (0, 100, 200))
            finally:
                done.set()

        reports, _ = at_once([check, write_all])
        assert not [problem for report in reports for problem in report.problems]


class BackendLaws(BackendUnderTest):
    """What a backend owes the store."""

    def test_an_object_that_was_removed_is_gone_and_can_be_put_again(self, store: Store, objects: ObjectStore) -> None:
        array = np.arange(5000)
        ref = store.put(array)
        assert objects.has(ref.digest)
        assert objects.remove({ref.digest: objects.backend.clock()}) == {ref.digest}
        assert objects.remove({ref.digest: objects.backend.clock()}) == {ref.digest}  # nothing happens
        assert not objects.has(ref.digest)
        assert list(objects.addresses()) == []
        with pytest.raises(NotFound, match="is not in the store at"):
            store.get(ref)
        assert store.put(array).new_bytes > 0
        np.testing.assert_array_equal(store.get(ref), array)

    def test_an_object_that_a_put_has_found_since_is_not_removed(self, store: Store, backend: Backend) -> None:
        ref = store.put(np.arange(5000))
        lease = backend.lease(ref.digest, renew=False)
        assert 0 < lease <= backend.lease(ref.digest, renew=False)
        time.sleep(self.tick_s)
        assert store.put(np.arange(5000)).new_bytes == 0
        assert backend.lease(ref.digest, renew=False) > lease
        assert backend.remove({ref.digest: lease}) == set()
        np.testing.assert_array_equal(store.get(ref), np.arange(5000))
        assert backend.remove({ref.digest: backend.lease(ref.digest, renew=False)}) == {ref.digest}
        assert (backend.lease(ref.digest), backend.lease(ref.digest, renew=False)) == (0.0, 0.0)

    def test_a_document_is_created_once_and_never_changed(self, documents: Documents) -> None:
        content = b"content"
        assert documents.create("pins/a.json", content)
        assert not documents.create("pins/a.json", content)
        assert not documents.create("pins/a.json", b"other")
        assert documents.read("pins/a.json") == content
        documents.remove("pins/a.json")
        documents.remove("pins/a.json")  # nothing happens
        with pytest.raises(NotFound, match=r"there is no pins/a\.json"):
            documents.read("pins/a.json")
        assert documents.create("pins/a.json", b"other")

    def test_a_document_is_replaced_by_one_of_those_who_saw_what_it_was(self, documents: Documents) -> None:
        assert not documents.replace("manifests/a.json", b"1", b"0")
        assert documents.create("manifests/a.json", b"0")
        won = at_once(partial(documents.replace, "manifests/a.json", b"%d" % n, b"0") for n in range(1, 9))
        assert won.count(True) == 1
        assert documents.read("manifests/a.json") == b"%d" % (won.index(True) + 1)

    def test_what_is_another_once_it_is_replaced_has_another_stamp(self, documents: Documents) -> None:
        documents.create("manifests/a.json", b"0")
        ((key, before),) = documents.stamps("manifests/")
        assert documents.replace(key, b"1", b"0")
        assert [(key, before)] != list(documents.stamps("manifests/"))

    def test_operations_on_a_store_that_is_not_there_say_so_and_make_none(
        self, backend: Backend, stored: Stored
    ) -> None:
        store, address = Store(backend, CODECS), "sha256:" + "0" * 64
        acts: list[Callable[[], object]] = [
            lambda: store.get("name"), lambda: store.open(address), lambda: store.record(address),
            lambda: list(store.names()), lambda: store.versions("name"), lambda: store.forget("name"),
            lambda: store.pin(address), lambda: store.unpin(address), store.pins, store.gc,
            lambda: store.gc(dry_run=False), store.fsck, store.stats, lambda: store.diff(address, address),
            lambda: list(store.manifests()), lambda: store.manifest("run"), lambda: store.release("run"),
            lambda: store.runs_of(address), lambda: list(store.runs()), store.rebuild_index,
            lambda: store.push(Store(MemoryBackend(), CODECS)), lambda: store.verify(Store(MemoryBackend(), CODECS)),
        ]  # fmt: skip
        for act in acts:
            with pytest.raises(NotFound, match=r"there is no store at .* smalti init"):
                act()
        assert not list(stored)
        store.init()
        store.init()  # nothing happens
        assert (list(store.names()), store.fsck(full=True).objects) == ([], 0)
        assert store.put(b"x").new_bytes > 0

    def test_a_store_of_another_format_is_refused_by_its_number(self, backend: Backend) -> None:
        assert backend.put(KEY, b'{"format": 99, "id": "x"}')
        store = Store(backend, CODECS)
        for act in (lambda: store.put(b"x"), lambda: store.get("x"), store.fsck, store.init):
            with pytest.raises(Refused, match="has the format 99, and this version reads 2"):
                act()

    def test_a_damaged_store_json_is_refused_and_stays(self, backend: Backend) -> None:
        assert backend.put(KEY, b'{"format": ')
        store = Store(backend, CODECS)
        for act in (lambda: store.put(b"x"), lambda: store.get("x"), store.fsck, store.init):
            with pytest.raises(Refused, match=r"store\.json .* is not what a store writes"):
                act()
        assert backend.read(KEY) == b'{"format": '

    def test_a_store_that_many_begin_at_once_is_one(self, backend: Backend) -> None:
        stores = [Store(backend, CODECS) for _ in range(8)]
        refs = at_once(partial(store.put, np.arange(n), name=f"n{n}") for n, store in enumerate(stores))
        assert len({ref.digest for ref in refs}) == 8
        assert [named.name for named in stores[0].names()] == [f"n{n}" for n in range(8)]
        assert stores[0].fsck(full=True).clean

    def test_documents_are_listed_by_prefix_in_order(self, documents: Documents) -> None:
        for key in ("names/b/@000001.json", "names/a/@000002.json", "names/a/@000001.json", "pins/a.json"):
            documents.create(key, key.encode())
        assert list(documents.keys("names/a/")) == ["names/a/@000001.json", "names/a/@000002.json"]
        assert len(list(documents.keys("names/"))) == 3
        assert list(documents.keys("runs/")) == []

    def test_one_of_many_creates_a_document(self, documents: Documents) -> None:
        won = at_once(partial(documents.create, "pins/race.json", b"%d" % n) for n in range(16))
        assert won.count(True) == 1
        assert documents.read("pins/race.json") == b"%d" % won.index(True)

    def test_objects_are_listed_in_order_and_by_prefix(self, store: Store, objects: ObjectStore) -> None:
        expected = sorted(store.put(np.arange(n)).digest for n in range(40))
        assert list(objects.addresses()) == expected
        for digits in ("", expected[0][7], expected[0][7:9], expected[0][7:20], "f" * 12):
            found = list(objects.addresses(digits))
            assert found == [address for address in expected if address.startswith(f"sha256:{digits}")]
