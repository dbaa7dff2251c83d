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
from smalti.store.manifests import Hop, Step, Use
from smalti.store.record import seal
from smalti.testing.laws_of_safety import TICK_S
from smalti.testing.place import LAW, Place, at_once

_VALUES = 3
_USED = st.dictionaries(st.text(max_size=5), st.integers(0, _VALUES - 1), max_size=4)
_NOTES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3),
    max_leaves=5,
)


def _collect_twice(store: Store) -> None:
    for _ in range(2):
        time.sleep(TICK_S)
        store.gc(dry_run=False, grace_seconds=0)


def _accepted(store: Store, ref: Ref, number: int) -> bool:
    try:
        store.add_manifest("race", inputs={"x": ref}, notes=number)
    except Refused:
        return False
    return True


class ManifestLaws(Place):
    """Manifests are written once; what they name stays; both are found."""

    @settings(LAW, max_examples=10)  # where nothing is remembered, each look-up reads every manifest
    @given(runs=st.lists(st.tuples(_USED, _USED, _NOTES, st.booleans()), max_size=6))
    def test_runs_are_found_by_what_they_read_and_wrote_also_when_the_index_is_made_anew(
        self, store: Store, runs: list[tuple[dict[str, int], dict[str, int], object, bool]]
    ) -> None:
        refs = [store.put(np.arange(n)) for n in range(_VALUES)]
        first = len(list(store.manifests()))
        expected = {ref.digest: store.runs_of(ref) for ref in refs}
        for number, (read, wrote, notes, released) in enumerate(runs, first):
            run = f"run_{number:06}"
            used = {"inputs": {n: refs[i] for n, i in read.items()}, "outputs": {n: refs[i] for n, i in wrote.items()}}
            manifest = store.add_manifest(run, **used, notes=notes)
            assert manifest.inputs == {name: ref.digest for name, ref in used["inputs"].items()}
            assert manifest.outputs == {name: ref.digest for name, ref in used["outputs"].items()}
            assert store.add_manifest(run, **used, notes=notes) == store.manifest(run) == manifest
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
        store.add_manifest("run", inputs={"x": one}, notes={"lr": 1})
        changes: list[dict[str, Any]] = [{"inputs": {"x": other}}, {"outputs": {"x": one}}, {"notes": {"lr": 2}}]
        for change in changes:
            with pytest.raises(Refused, match="the run 'run' has another manifest already, written at"):
                store.add_manifest("run", **{"inputs": {"x": one}, "notes": {"lr": 1}, **change})
        store.release("run")
        with pytest.raises(Refused, match=r"already, written at .*, released at "):
            store.add_manifest("run", inputs={"x": one}, notes={"lr": 1})
        assert store.runs_of(one) == [Use("run", "read")]
        assert store.runs_of(other) == []

    def test_what_is_not_there_or_not_the_name_of_a_run_makes_no_manifest(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.add_manifest("run", inputs={"x": "sha256:" + "0" * 64})
        with pytest.raises(Refused, match="'runs/one' cannot be the name of a run"):
            store.add_manifest("runs/one")
        with pytest.raises(Refused, match=r"notes of the run 'run'\.seed is a set"):
            store.add_manifest("run", notes={"seed": {1}})
        with pytest.raises(NotFound, match="has no manifest of a run 'run'"):
            store.manifest("run")
        assert list(store.manifests()) == []

    def test_manifests_written_at_once_are_all_found(self, store: Store) -> None:
        ref = store.put(np.arange(100))
        at_once(partial(store.add_manifest, f"run_{n}", inputs={"x": ref}) for n in range(8))
        assert store.runs_of(ref) == [Use(f"run_{n}", "read") for n in range(8)]
        won = at_once(partial(_accepted, store, ref, n) for n in range(8))
        assert won.count(True) == 1
        assert store.manifest("race").notes == won.index(True)
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
        assert (released.inputs, released.outputs, released.created_at) == (
            manifest.inputs,
            manifest.outputs,
            manifest.created_at,
        )
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

    def test_more_said_of_a_run_is_added_and_what_it_names_stays(self, store: Store) -> None:
        data, model = store.put(np.arange(1000)), store.put(np.arange(10))
        first = store.add_manifest("train", inputs={"data": data}, tags={"a": "1"}, status="running")
        said: dict[str, Any] = {"outputs": {"model": model}, "tags": {"b": "2"}, "status": "finished", "views": ["all"]}
        changed = store.update_manifest("train", **said)
        assert (changed.inputs, changed.outputs) == (first.inputs, {"model": model.digest})
        assert (changed.tags, changed.status, changed.views) == ({"a": "1", "b": "2"}, "finished", ("all",))
        assert (changed.created_at, changed.revision) == (first.created_at, 2)
        assert store.update_manifest("train", **said) == store.manifest("train") == changed, "nothing new was said"
        assert store.runs_of(model) == [Use("train", "wrote")]
        _collect_twice(store)
        assert store.get(model).size == 10
        with pytest.raises(Refused, match="has another value among its outputs that is called 'model'"):
            store.update_manifest("train", outputs={"model": data})
        with pytest.raises(Refused, match="no field 'outcome' to change; there are "):
            store.update_manifest("train", outcome="good")
        store.release("train")
        with pytest.raises(Refused, match="and changes no more"):
            store.update_manifest("train", tags={"c": "3"})

    def test_writers_who_change_a_manifest_at_once_lose_nothing(self, store: Store) -> None:
        store.add_manifest("run")
        refs = [store.put(np.arange(n)) for n in range(8)]
        at_once(partial(store.update_manifest, "run", outputs={f"y{n}": ref}) for n, ref in enumerate(refs))
        assert store.manifest("run").outputs == {f"y{n}": ref.digest for n, ref in enumerate(refs)}
        assert all(store.runs_of(ref) == [Use("run", "wrote")] for ref in refs)

    def test_a_run_that_was_only_begun_is_found_and_kept_and_goes_on(self, store: Store) -> None:
        ran_on, read = store.put(b"what it ran on"), store.put(b"what it reads")
        begun = store.begin_manifest(
            "begun", inputs={"x": read}, environment={"details": ran_on.digest}, status="running", views=("all",)
        )
        assert (store.manifest("begun"), store.runs_of(read)) == (begun, [Use("begun", "read")])
        for attempt in (store.begin_manifest, partial(store.add_manifest, status="new")):
            with pytest.raises(Refused, match="the run 'begun' has another manifest already"):
                attempt("begun")
        _collect_twice(store)
        assert (store.get(read), store.get(ran_on)) == (b"what it reads", b"what it ran on")
        at_once([partial(store.update_manifest, "begun", metrics={f"m{n}": n}) for n in range(4)])
        kept = store.update_manifest("begun", outputs={"y": read}, status="finished")
        assert (kept.status, kept.inputs, kept.environment) == ("finished", begun.inputs, begun.environment)
        assert kept.metrics == {f"m{n}": n for n in range(4)}
        assert store.views()["all"] == ["begun"]
        assert (store.rebuild_views().made, store.rebuild_views().removed) == (0, 0)
        assert [use.role for use in store.runs_of(read)] == ["read", "wrote"]
        assert store.fsck().clean
        store.release("begun")
        _collect_twice(store)
        with pytest.raises(NotFound):
            store.get(ran_on)

    def test_no_run_is_a_part_of_itself(self, store: Store) -> None:
        with pytest.raises(Refused, match="'one' cannot be its own parent"):
            store.add_manifest("one", parent="one")
        store.add_manifest("one")
        store.add_manifest("two", parent="one")
        store.add_manifest("three", parent="two")
        with pytest.raises(Refused, match="'one' cannot be a part of 'three'"):
            store.update_manifest("one", parent="three")
        assert (store.children_of("one"), store.children_of("three")) == (["two"], [])

    def test_lineage_goes_through_the_steps_that_read_a_value_and_not_through_others(self, store: Store) -> None:
        raw, other, scan, product, side = (store.put(np.arange(n)) for n in range(5))
        steps = (
            Step("one", {"raw": raw.digest}, {"scan": scan.digest}),
            Step("two", {"raw": other.digest}, {"s": side.digest}),
        )
        store.add_manifest("ingest", inputs={"a": raw, "b": other}, outputs={"c": scan, "d": side}, steps=steps)
        store.add_manifest("solve", inputs={"scan": scan}, outputs={"product": product})
        store.add_manifest("look", inputs={"product": product})
        store.add_manifest("round", inputs={"product": product}, outputs={"scan": scan})
        expected = [
            Hop(1, "ingest", "one", raw.digest, scan.digest),
            Hop(2, "solve", "", scan.digest, product.digest),
            Hop(3, "look", "", product.digest, None),
            Hop(3, "round", "", product.digest, scan.digest),
        ]
        assert store.lineage(raw, "downstream") == expected
        assert store.lineage(raw, "downstream", depth=2) == expected[:2]
        assert store.lineage(other, "downstream") == [Hop(1, "ingest", "two", other.digest, side.digest)]
        upstream = store.lineage(product, "upstream")
        assert upstream[0] == Hop(1, "solve", "", scan.digest, product.digest)
        assert Hop(2, "ingest", "one", raw.digest, scan.digest) in upstream
        assert not any(side.digest in {hop.read, hop.wrote} for hop in upstream)
        store.rebuild_index()
        assert (store.lineage(raw, "downstream"), store.lineage(product, "upstream")) == (expected, upstream)

    def test_a_manifest_of_a_newer_version_is_refused_and_says_so(self, store: Store, documents: Documents) -> None:
        documents.create("manifests/new.json", seal({"format": 3, "run": "new", "outcome": "good"}))
        with pytest.raises(Refused, match="has format 3, but this version of Smalti reads up to 2; upgrade Smalti"):
            store.manifest("new")
