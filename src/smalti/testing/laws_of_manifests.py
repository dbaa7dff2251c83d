"""Laws of manifests: what runs read and wrote stays, is found by value, and once released may go but stays known."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from smalti.errors import NotFound, Refused
from smalti.store import Ref, Store
from smalti.store.backend import Documents
from smalti.store.manifests import Use
from smalti.testing.laws_of_safety import TICK_S
from smalti.testing.place import LAW, Place, at_once

_VALUES = 3
_USED = st.dictionaries(st.text(max_size=5), st.integers(0, _VALUES - 1), max_size=4)
_MADE_BY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3),
    max_leaves=5,
)


class ManifestLaws(Place):
    """Manifests are written once; what they name stays; both are found."""

    @settings(LAW, max_examples=10)  # where nothing is remembered, each look-up reads every manifest
    @given(runs=st.lists(st.tuples(_USED, _USED, _MADE_BY, st.booleans()), max_size=6))
    def test_runs_are_found_by_what_they_read_and_wrote_also_when_the_index_is_made_anew(
        self, store: Store, runs: list[tuple[dict[str, int], dict[str, int], object, bool]]
    ) -> None:
        refs = [store.put(np.arange(n)) for n in range(_VALUES)]
        first = len(list(store.manifests()))
        expected = {ref.digest: store.runs_of(ref) for ref in refs}
        for number, (read, wrote, made_by, released) in enumerate(runs, first):
            run = f"run_{number:06}"
            used = {"inputs": {n: refs[i] for n, i in read.items()}, "outputs": {n: refs[i] for n, i in wrote.items()}}
            manifest = store.add_manifest(run, **used, made_by=made_by)
            assert manifest.inputs == {name: ref.digest for name, ref in used["inputs"].items()}
            assert manifest.outputs == {name: ref.digest for name, ref in used["outputs"].items()}
            assert store.add_manifest(run, **used, made_by=made_by) == store.manifest(run) == manifest
            if released:
                assert store.release(run) == store.release(run) == store.manifest(run)
            for index in sorted(set(read.values())):
                expected[refs[index].digest].append(Use(run, "read"))
            for index in sorted(set(wrote.values())):
                expected[refs[index].digest].append(Use(run, "wrote"))
            event("released" if released else "kept")
        assert {address: store.runs_of(address) for address in expected} == expected
        store.rebuild_index()
        assert {address: store.runs_of(address) for address in expected} == expected
        assert [m.run for m in store.manifests()] == [f"run_{number:06}" for number in range(first + len(runs))]

    def test_a_run_is_written_once(self, store: Store) -> None:
        one, other = store.put(b"one"), store.put(b"other")
        store.add_manifest("run", inputs={"x": one}, made_by={"lr": 1})
        changes: list[dict[str, Any]] = [{"inputs": {"x": other}}, {"outputs": {"x": one}}, {"made_by": {"lr": 2}}]
        for change in changes:
            with pytest.raises(Refused, match="the run 'run' has another manifest already, written at"):
                store.add_manifest("run", **{"inputs": {"x": one}, "made_by": {"lr": 1}, **change})
        store.release("run")
        with pytest.raises(Refused, match=r"already, written at .*, released at "):
            store.add_manifest("run", inputs={"x": one}, made_by={"lr": 1})
        assert store.runs_of(one) == [Use("run", "read")]
        assert store.runs_of(other) == []

    def test_what_is_not_there_or_not_the_name_of_a_run_makes_no_manifest(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.add_manifest("run", inputs={"x": "sha256:" + "0" * 64})
        with pytest.raises(Refused, match="'runs/one' cannot be the name of a run"):
            store.add_manifest("runs/one")
        with pytest.raises(Refused, match=r"what made the run 'run'\.seed is a set"):
            store.add_manifest("run", made_by={"seed": {1}})
        with pytest.raises(NotFound, match="has no manifest of a run 'run'"):
            store.manifest("run")
        assert list(store.manifests()) == []

    def test_manifests_written_at_once_are_all_found(self, store: Store) -> None:
        ref = store.put(np.arange(100))
        at_once(partial(store.add_manifest, f"run_{n}", inputs={"x": ref}) for n in range(8))
        assert store.runs_of(ref) == [Use(f"run_{n}", "read") for n in range(8)]
        won = at_once(partial(_accepted, store, ref, n) for n in range(8))
        assert won.count(True) == 1
        assert store.manifest("race").made_by == won.index(True)
        assert store.runs_of(ref)[0] == Use("race", "read")

    def test_manifests_written_past_the_store_are_found(self, store: Store, documents: Documents) -> None:
        ref = store.put(np.arange(100))
        store.add_manifest("run_1", inputs={"x": ref})
        assert len(store.runs_of(ref)) == 1
        time.sleep(TICK_S)
        there = documents.read("manifests/run_1.json")
        documents.remove("manifests/run_1.json")
        assert store.runs_of(ref) == []
        time.sleep(TICK_S)
        documents.create("manifests/run_1.json", there)
        assert store.runs_of(ref) == [Use("run_1", "read")]

    def test_what_a_run_used_stays_until_it_is_released_and_is_known_ever_after(self, store: Store) -> None:
        data = store.put({"x": np.arange(1000), "y": b"y"})
        model, shared = store.put(np.arange(10)), store.put(np.arange(20), name="shared")
        manifest = store.add_manifest("train", inputs={"data": data}, outputs={"model": model, "shared": shared})
        _collect_twice(store)
        assert (store.get(data)["y"], store.get(model).size) == (b"y", 10)
        released = store.release("train")
        assert (released.inputs, released.outputs, released.at) == (manifest.inputs, manifest.outputs, manifest.at)
        assert store.get(model).size == 10, "release removes nothing by itself"
        _collect_twice(store)
        assert store.get(shared).size == 20
        with pytest.raises(NotFound, match=f"{model.digest} was released with the run train .* run train again"):
            store.get(model)
        with pytest.raises(NotFound, match=f"{data.digest} was released with the run train .* no run .* wrote it"):
            store.open(data)
        assert store.manifest("train") == released
        assert store.runs_of(model) == [Use("train", "wrote")]
        assert store.fsck(full=True).clean

    def test_a_dry_run_says_why_something_is_kept(self, store: Store) -> None:
        used, named, pinned = store.put(b"used"), store.put(b"named", name="name"), store.put(b"pinned")
        store.pin(pinned)
        store.add_manifest("run", inputs={"x": used, "y": named})
        roots = {used.digest: "the run run", named.digest: "the name name", pinned.digest: "a pin"}
        assert store.gc().roots == roots


def _accepted(store: Store, ref: Ref, number: int) -> bool:
    try:
        store.add_manifest("race", inputs={"x": ref}, made_by=number)
    except Refused:
        return False
    return True


def _collect_twice(store: Store) -> None:
    for _ in range(2):
        time.sleep(TICK_S)
        store.gc(dry_run=False, grace_seconds=0)
