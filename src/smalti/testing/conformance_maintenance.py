"""Laws of keeping: a copy answers what the first store did, repairs destroy nothing, a collection removes no guess."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from smalti.codecs import CODECS
from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.store import Store
from smalti.store.backends.base import Backend, Batch, file_key
from smalti.store.backends.memory import MemoryBackend
from smalti.testing.backend_under_test import BackendUnderTest, Stored

_TICK_S = 0.02  # longer than a file system takes for two moments to be the same
_OPERATIONS = frozenset(("addresses", "delete", "lease", "list", "put", "read", "remove"))


class Interruption(Exception):
    """What ends a transfer in the middle."""


class Interrupted:
    """A backend that ends everything once so many operations were done."""

    def __init__(self, backend: Backend, after: int) -> None:
        self._backend = backend
        self._left = after

    def _done(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Interruption

    @contextmanager
    def batch(self) -> Iterator[_InterruptedBatch]:
        with self._backend.batch() as batch:
            yield _InterruptedBatch(batch, self._done)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        if name not in _OPERATIONS:
            return found

        def act(*args: Any, **named: Any) -> Any:
            result = found(*args, **named)
            self._done()
            return result

        return act


class _InterruptedBatch:
    def __init__(self, batch: Batch, done: Callable[[], None]) -> None:
        self._batch = batch
        self._done = done

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._batch, name)

        def act(*args: Any, **named: Any) -> Any:
            result = found(*args, **named)
            self._done()
            return result

        return act


class _Unreadable:
    """A backend that cannot read some files, as those of another user, or on a disk that fails."""

    def __init__(self, backend: Backend, keys: Collection[str]) -> None:
        self._backend = backend
        self._keys = keys

    def read(self, key: str) -> bytes:
        if key in self._keys:
            raise Unavailable(f"could not finish reading {key}: Input/output error; mend it and try again.")
        return self._backend.read(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def owner_of(place: str) -> str:
    """Return what tells what a problem, or a stored file, belongs to: an object's digits, or the key itself."""
    return place.split("/")[2] if place.startswith("data/") else place.removeprefix("sha256:")


def memory_store() -> Store:
    """Return an empty store in memory."""
    store = Store(MemoryBackend(), CODECS)
    store.init()
    return store


def fill(store: Store) -> None:
    """Put what a store may keep: names with versions, near-duplicates, a pin, runs of which one is released."""
    rng = np.random.default_rng(0)
    stack = rng.random((40, 2048))
    changed = stack.copy()
    changed[3] = 0
    first = store.put({"stack": stack, "raw": b"raw bytes"}, name="scan/one")
    second = store.put({"stack": changed, "deep": {"numbers": np.arange(2000)}}, name="scan/one")
    store.put([1, 2.0, "three"], name="settings")
    store.put(np.arange(2000), name="scan")  # a name within which others lie
    store.pin(store.put(b"only a pin keeps it"))
    diff = store.put("a diff")
    store.add_manifest("made", inputs={"x": first}, outputs={"y": second}, code={"diff": diff.digest}, views=["all"])
    store.add_manifest("gone", inputs={"y": second}, outputs={"z": store.put(b"released")}, parent="made")
    store.release("gone")


def answers(store: Store) -> dict[str, Any]:
    """Return what a store answers to whoever asks what it keeps."""
    names = [version.name for version in store.names()]
    values = {version.address for name in names for version in store.versions(name)}
    return {
        "names": names,
        "versions": {name: store.versions(name) for name in names},
        "pins": store.pins(),
        "manifests": list(store.manifests()),
        "runs": {address: store.runs_of(address, parts=True) for address in values},
        "lineage": {address: store.lineage(address, "upstream") for address in values},
        "values": {address: repr(store.get(address)) for address in values},
    }


class MaintenanceLaws(BackendUnderTest):
    """What push, pull, verify, fsck and gc owe whoever relies on them."""

    def test_a_copy_answers_every_question_and_gives_all_back(self, store: Store) -> None:
        here, anew = memory_store(), memory_store()
        fill(here)
        before = answers(here)
        here.push(store)
        assert here.verify(store).problems == ()
        assert answers(store) == before
        anew.pull(store)
        assert answers(anew) == before
        assert store.push(here).sent == here.push(store).sent == 0
        assert answers(here) == answers(store) == before

    def test_what_both_have_stays_and_what_one_has_goes_between(self, store: Store) -> None:
        here = memory_store()
        here.put(b"one", name="ours")
        here.push(store)
        here.put(b"two", name="ours")
        store.put(b"theirs", name="theirs")
        here.push(store)
        assert [bytes(store.get(version.address)) for version in store.versions("ours")] == [b"one", b"two"]
        assert bytes(store.get("theirs")) == b"theirs"
        here.pull(store)
        assert answers(here) == answers(store)

    def test_a_name_that_went_on_in_both_is_said_and_left_and_all_else_arrives(self, store: Store) -> None:
        here = memory_store()
        here.put(b"ours", name="name")
        here.put(b"other", name="zzz")
        here.add_manifest("run", outputs={"x": here.put(b"made")})
        theirs = store.put(b"theirs", name="name")
        with pytest.raises(Refused, match=r"all else was brought to .*, but the name 'name' stands for .* push it by"):
            here.push(store)
        assert store.resolve("name") == theirs.digest
        assert bytes(store.get("zzz")) == b"other"
        assert store.manifest("run") == here.manifest("run")
        assert [problem.place for problem in here.verify(store).problems] == ["names/name/@000001.json"]
        here.push(store, ["name"])
        assert [bytes(store.get(version.address)) for version in store.versions("name")] == [b"theirs", b"ours"]
        assert here.push(store).sent == 0
        assert here.verify(store).clean

    def test_verify_names_whatever_is_missing(self, store: Store, stored: Stored) -> None:
        here = memory_store()
        fill(here)
        here.push(store)
        for key in [key for key in stored if key.startswith(("names/", "pins/", "manifests/", "released/"))]:
            was = stored.pop(key)
            assert [problem.place for problem in here.verify(store).problems] == [key]
            stored[key] = was
        assert here.verify(store).clean
        store.release("made")
        (problem,) = here.verify(store).problems
        assert problem.place == "manifests/made.json"
        assert "was released in" in problem.what

    def test_what_is_there_is_looked_at_before_it_counts(self, store: Store, stored: Stored) -> None:
        here = memory_store()
        fill(here)
        here.push(store)
        for key in [key for key in stored if key.startswith("data/")]:
            was = stored[key]
            stored[key] = was[:-1] + bytes([was[-1] ^ 1])
            here.push(store)
            assert stored[key] == was, key
        assert here.verify(store).clean

    def test_whatever_is_damaged_is_repaired_from_a_copy(self, store: Store, stored: Stored) -> None:
        fill(store)
        copy = memory_store()
        store.push(copy)
        before = answers(store)
        kept = ("data/", "names/", "pins/", "manifests/", "released/")
        released = store.manifest("gone").outputs["z"]
        for key in [key for key in stored if key.startswith(kept) and released.removeprefix("sha256:") not in key]:
            if key not in stored:  # a repair has put the object into another form
                continue
            stored[key] = stored[key][:-9]
            report = store.fsck(full=True, repair_from=copy)
            assert report.clean, (key, report.problems)
            assert any(problem.repaired for problem in report.problems), key
        assert store.fsck(full=True).problems == ()
        assert answers(store) == before

    def test_a_repair_that_fails_at_any_step_leaves_readable_what_was(self, store: Store, stored: Stored) -> None:
        rows = np.random.default_rng(0).random((40, 2048))
        ref = store.put(rows, name="rows")
        copy = memory_store()
        store.push(copy)
        (key,) = (key for key in stored if key.endswith("data.npy"))
        damaged = stored[key][:-1] + bytes([stored[key][-1] ^ 1])
        after = 0
        while True:
            stored[key] = damaged
            try:
                Store(Interrupted(store._backend, after), CODECS).fsck(full=True, repair_from=copy)
                break
            except Interruption:
                np.testing.assert_array_equal(store.open(ref)[:30], rows[:30])
            after += 1
        np.testing.assert_array_equal(store.get("rows"), rows)
        assert store.fsck(full=True).clean

    def test_what_cannot_be_read_is_one_problem_and_the_rest_is_checked(self, store: Store, stored: Stored) -> None:
        fill(store)
        copy = memory_store()
        store.push(copy)
        objects = [file_key(address, "metadata.json") for address in (store.resolve("scan"), *store.pins())]
        unreadable = {objects[0], "names/settings/@000001.json", "manifests/made.json"}
        stored[objects[1]] = stored[objects[1]][:-9]
        partly = Store(_Unreadable(store._backend, unreadable), CODECS)
        places = {owner_of(problem.place) for problem in partly.fsck(full=True).problems}
        assert places == {owner_of(key) for key in (*unreadable, objects[1])}
        report = partly.fsck(full=True, repair_from=copy)
        assert {owner_of(problem.place) for problem in report.problems if problem.repaired} >= {owner_of(objects[1])}
        assert store.fsck(full=True).problems == ()

    def test_an_interrupted_push_goes_on_where_it_was(self, store: Store) -> None:
        here = memory_store()
        fill(here)
        after, tries = 0, 0
        while True:
            try:
                here.push(Store(Interrupted(store._backend, after), CODECS))
                break
            except Interruption:
                assert store.fsck(full=True).clean, after
            tries += 1
            after = after + 1 if store._backend.parallel == 1 else 2 * after + 1
        assert tries > 4
        assert here.verify(store).clean
        assert answers(store) == answers(here)

    def test_an_interrupted_pull_goes_on_where_it_was(self, store: Store) -> None:
        there = memory_store()
        fill(store)
        after = 0
        while True:
            try:
                there.pull(Store(Interrupted(store._backend, after), CODECS))
                break
            except Interruption:
                assert there.fsck(full=True).clean, after
            after = after + 1 if store._backend.parallel == 1 else 2 * after + 1
        assert answers(there) == answers(store)

    def test_a_collection_stops_where_it_cannot_know_what_is_needed(self, store: Store, stored: Stored) -> None:
        fill(store)
        garbage = store.put({"garbage": np.arange(7)})
        before = set(store._backend.addresses())
        needed = before - {item.address for item in store.gc().unneeded}
        for key in [key for key in stored if key.startswith("data/") and f"sha256:{key.split('/')[2]}" in needed]:
            if not key.endswith(("metadata.json", "recipe.json")):
                continue
            was = stored[key]
            for content in (None, was[:-9], was.replace(b"sha256:", b"sha256;")):
                if content == was:
                    continue
                stored.pop(key) if content is None else stored.update({key: content})
                for dry_run in (True, False):
                    with pytest.raises((Damaged, Refused), match="nothing was removed"):
                        store.gc(dry_run=dry_run, grace_seconds=0)
                stored[key] = was
        assert set(store._backend.addresses()) == before
        assert garbage.digest in {item.address for item in store.gc().unneeded}

    def test_a_collection_is_not_stopped_by_garbage_that_is_damaged(self, store: Store, stored: Stored) -> None:
        store.put({"kept": np.arange(9)}, name="kept")
        kept = set(store._backend.addresses())
        garbage = store.put({"garbage": np.arange(7)})
        key = file_key(garbage.digest, "metadata.json")
        stored[key] = stored[key][:-9]
        for _ in range(2):
            store.gc(dry_run=False, grace_seconds=0)
            time.sleep(_TICK_S)
        assert set(store._backend.addresses()) == kept

    def test_a_dry_run_says_what_a_collection_then_does(self, store: Store) -> None:
        fill(store)
        store.forget("scan/one")
        store.gc(dry_run=False, grace_seconds=0)
        time.sleep(_TICK_S)
        said, did = store.gc(grace_seconds=0), store.gc(dry_run=False, grace_seconds=0)
        assert [(item.address, item.state) for item in said.unneeded] == [(i.address, i.state) for i in did.unneeded]
        assert (said.objects, said.needed, said.roots) == (did.objects, did.needed, did.roots)
        gone = {item.address for item in said.unneeded if item.state == "removed"}
        assert gone
        for address in gone:
            with pytest.raises(NotFound):
                store.get(address)
