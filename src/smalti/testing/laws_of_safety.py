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
from smalti.errors import Damaged, NotFound
from smalti.store import Store
from smalti.store.backends.base import Documents, Objects
from smalti.testing.damage import DAMAGES
from smalti.testing.model import form
from smalti.testing.place import Place, Stored, at_once, damage_where, owner_of

TICK_S = 0.02  # longer than a file system takes for two moments to be the same


class DamageLaws(Place):
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
        address = full.record("everything/here").children["small"]
        key = next(key for key in stored if owner_of(key) in address and not key.endswith("json"))
        stored[key] = stored[key][:-1]
        (problem,) = full.fsck(full=True).problems
        assert (problem.place, problem.names) == (address, ("everything/here",))
        assert key.rsplit("/", 1)[-1] in problem.what

    def test_a_missing_object_is_found_by_what_refers_to_it(self, full: Store, objects: Objects) -> None:
        address = full.record("everything/here").children["raw"]
        objects.remove(address)
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


class CrowdLaws(Place):
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


class CollectionLaws(Place):
    """What nothing needs goes, twice looked at; what is put, named or pinned while that happens stays."""

    def test_what_a_name_or_a_pin_leads_to_stays_and_the_rest_goes(self, store: Store) -> None:
        store.put({"x": np.arange(1000), "deep": {"y": b"y"}}, name="named")
        pinned = store.put({"z": np.arange(5)})
        store.pin(pinned)
        lost = store.put({"x": np.arange(1000), "w": b"w"})
        for _ in range(2):
            store.gc(dry_run=False, grace_seconds=0)
            time.sleep(TICK_S)
        assert store.get("named")["x"].size == 1000
        assert store.get(pinned)["z"].size == 5
        with pytest.raises(NotFound):
            store.get(lost)
        store.forget("named")
        store.unpin(pinned)
        for _ in range(2):
            store.gc(dry_run=False, grace_seconds=0)
            time.sleep(TICK_S)
        assert store.fsck(full=True).objects == 0

    def test_a_dry_run_changes_nothing(self, store: Store, stored: Stored) -> None:
        store.put(np.arange(1000))
        before = {key: stored[key] for key in stored}
        for _ in range(3):
            assert [item.state for item in store.gc(grace_seconds=0).unneeded] == ["condemned"]
            time.sleep(TICK_S)
        assert {key: stored[key] for key in stored} == before

    @pytest.mark.parametrize("moment", ["reachable", "remove"])
    @pytest.mark.parametrize(
        "how", ["put", "named", "pinned", "in a manifest", "within a tree", "tree named", "near-duplicate", "again"]
    )
    def test_what_becomes_needed_while_a_collection_is_at_work_stays(
        self, store: Store, objects: Objects, documents: Documents, how: str, moment: str
    ) -> None:
        array = np.random.default_rng(0).random((100, 2048))
        changed = np.concatenate([array, np.ones((1, 2048))])
        nested = {"x": {"y": array}}
        ref, tree = store.put(array), store.put(nested)
        if how == "again":
            store.put(changed)
        store.gc(dry_run=False, grace_seconds=0)
        time.sleep(TICK_S)
        acts: dict[str, Callable[[], Any]] = {
            "put": lambda: store.put(array, name="kept"),
            "named": lambda: store.put(ref, name="kept"),
            "pinned": lambda: store.pin(ref),
            "in a manifest": lambda: store.add_manifest("run", outputs={"x": ref}),
            "within a tree": lambda: store.put({"x": ref}, name="kept"),
            "tree named": lambda: store.put(tree, name="kept"),
            "near-duplicate": lambda: store.put(changed, name="kept"),
            "again": lambda: store.put(changed, name="kept"),
        }
        interrupted = Store(_Interrupted(objects, moment, acts[how]), documents, CODECS)
        interrupted.gc(dry_run=False, grace_seconds=0)
        assert store.fsck(full=True).clean
        kept = {"within a tree": {"x": array}, "tree named": nested, "near-duplicate": changed, "again": changed}
        assert form(store.get(ref if how in ("pinned", "in a manifest") else "kept")) == form(kept.get(how, array))


class _Interrupted:
    """Objects where something else happens once a collection has seen what is needed, or as it is about to remove."""

    def __init__(self, objects: Objects, moment: str, act: Callable[[], Any]) -> None:
        self._objects = objects
        self._moment = moment
        self._act = act

    def reachable(self, roots: set[str]) -> set[str]:
        found = self._objects.reachable(roots)
        if self._moment == "reachable":
            self._act()
        return found

    def remove(self, address: str, unless_touched_since: float | None = None) -> bool:
        if self._moment == "remove":
            self._act()
        return self._objects.remove(address, unless_touched_since)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)


class PlaceLaws(Place):
    """What the two halves of a place owe the store."""

    def test_an_object_that_was_removed_is_gone_and_can_be_put_again(self, store: Store, objects: Objects) -> None:
        array = np.arange(5000)
        ref = store.put(array)
        objects.remove(ref.digest)
        objects.remove(ref.digest)  # nothing happens
        assert not objects.has(ref.digest)
        assert list(objects.addresses()) == []
        with pytest.raises(NotFound, match="is not in the store at"):
            store.get(ref)
        assert store.put(array).new_bytes > 0
        np.testing.assert_array_equal(store.get(ref), array)

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

    def test_objects_are_listed_in_order_and_by_prefix(self, store: Store, objects: Objects) -> None:
        expected = sorted(store.put(np.arange(n)).digest for n in range(40))
        assert list(objects.addresses()) == expected
        for digits in ("", expected[0][7], expected[0][7:9], expected[0][7:20], "f" * 12):
            found = list(objects.addresses(digits))
            assert found == [address for address in expected if address.startswith(f"sha256:{digits}")]
