"""Laws of manifests: what runs read and wrote stays, is found by value, and once released may go but stays known."""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from smalti.codecs import CODECS
from smalti.errors import NotFound, Refused
from smalti.store import Ref, Store
from smalti.store.backends.memory import MemoryBackend
from smalti.store.documents import Documents
from smalti.store.format.sealed import seal
from smalti.store.manifests import Hop, Step, UnreadManifests, Use
from smalti.testing.backend_under_test import LAW, TICK_S, BackendUnderTest, at_once

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


def _changed(store: Store, run: str, number: int) -> bool:
    try:
        store.update_manifest(run, tags={str(number): "said"})
    except Refused:
        return False
    return True


class ManifestLaws(BackendUnderTest):
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

    def test_what_describes_the_code_of_a_run_stays_too_and_is_no_input_of_it(self, store: Store) -> None:
        patch, packages = store.put(b"+ print()"), store.put({"numpy": "2.4"})
        described = {"code": {"diff": patch.digest, "commit": "3f2a"}, "environment": {"packages": packages.digest}}
        manifest = store.add_manifest("run", **described)
        _collect_twice(store)
        assert (store.get(patch), store.get(packages)) == (b"+ print()", {"numpy": "2.4"})
        assert (manifest.used(), store.runs_of(patch)) == (set(), [])

    def test_what_is_not_there_or_not_the_name_of_a_run_makes_no_manifest(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.add_manifest("run", inputs={"x": "sha256:" + "0" * 64})
        with pytest.raises(Refused, match="'runs/one' cannot be the name of a run"):
            store.add_manifest("runs/one")
        with pytest.raises(Refused, match=r"notes of the run 'run'\.seed is a set"):
            store.add_manifest("run", notes={"seed": {1}})
        with pytest.raises(Refused, match="a step of the run 'run' has no name"):
            store.add_manifest("run", steps=(Step(""),))
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

    def test_a_value_leads_through_the_trees_that_it_is_a_part_of_if_so_asked(self, store: Store) -> None:
        raw = store.put(np.arange(5))
        tree = store.put({"deep": {"frames": np.arange(6)}, "card": b"card"})
        frames = store.record(store.record(tree).children["deep"]).children["frames"]
        image = store.put(np.arange(7))
        store.add_manifest("ingest", inputs={"raw": raw}, outputs={"scan": tree})
        store.add_manifest("solve", inputs={"frames": frames}, outputs={"image": image})
        assert store.runs_of(frames) == [Use("solve", "read")]
        assert store.runs_of(frames, parts=True) == [Use("ingest", "wrote"), Use("solve", "read")]
        assert store.runs_of(tree, parts=True) == [Use("ingest", "wrote"), Use("solve", "read")]
        assert store.lineage(raw, "downstream") == [Hop(1, "ingest", "", raw.digest, tree.digest)]
        hops = store.lineage(raw, "downstream", parts=True)
        assert hops[1:] == [Hop(2, "solve", "", frames, image.digest, by=tree.digest)]
        hops = store.lineage(image, "upstream", parts=True)
        assert hops[1:] == [Hop(2, "ingest", "", raw.digest, tree.digest, by=frames)]
        later = store.put({"again": store.get(tree)["deep"]})
        store.add_manifest("later", inputs={"x": later})
        assert Use("later", "read") in store.runs_of(frames, parts=True)

    def test_runs_come_newest_first_and_are_chosen_by_what_is_said_of_them(self, store: Store) -> None:
        for number, (kind, status) in enumerate([("analysis", "failed"), ("analysis", "finished"), ("", "finished")]):
            store.add_manifest(f"run_{number}", run_type=kind, status=status, project="churn" if number else "")
            time.sleep(0.002)  # they are told apart by milliseconds
        third = datetime.fromisoformat(store.manifest("run_2").created_at)
        assert [m.run for m in store.runs()] == ["run_2", "run_1", "run_0"]
        assert [m.run for m in store.runs(run_type="analysis")] == ["run_1", "run_0"]
        assert [m.run for m in store.runs(status="finished", project="churn", since=third)] == ["run_2"]
        store.update_manifest("run_0", project="churn")
        assert [m.run for m in store.runs(project="churn")] == ["run_2", "run_1", "run_0"]

    def test_a_run_of_another_system_is_recorded_when_that_recorded_it(self, store: Store) -> None:
        there: dict[str, Any] = {"run": "old", "created_at": "2021-03-04T06:00:00+01:00", "notes": 1}
        store.add_manifest("new")
        assert store.add_manifest(**there).created_at == "2021-03-04T05:00:00.000+00:00"
        assert store.add_manifest("old", notes=1) == store.manifest("old"), "it says the same"
        store.update_manifest("old", tags={"a": "b"})
        with pytest.raises(Refused, match="another manifest already"):
            store.add_manifest(**there)  # an earlier revision of one run is no other run that is written anew
        assert [m.run for m in store.runs()] == ["new", "old"]
        for moment in ("2021-03-04T05:00:00", "yesterday", "9999-01-01T00:00:00+00:00"):
            with pytest.raises(Refused, match="recorded at"):
                store.add_manifest("none", created_at=moment)
        with pytest.raises(Refused, match="no field 'created_at' to change"):
            store.update_manifest("old", created_at="2020-01-01T00:00:00+00:00")

    def test_a_release_and_changes_at_once_lose_nothing_that_was_accepted(self, store: Store) -> None:
        for turn in range(3):
            run = f"run_{turn}"
            store.add_manifest(run)
            acts: list[Any] = [partial(_changed, store, run, number) for number in range(6)]
            accepted = at_once([*acts, partial(store.release, run)])[:6]
            manifest = store.manifest(run)
            assert manifest.released_at
            assert manifest.tags == {str(number): "said" for number in range(6) if accepted[number]}
            assert next(store.runs()) == manifest

    def test_a_release_is_finished_wherever_it_was_interrupted(self, store: Store, documents: Documents) -> None:
        ref = store.put(np.arange(100))
        store.add_manifest("run", inputs={"x": ref})
        kept = documents.read("manifests/run.json")
        released = store.release("run")
        content = documents.read("released/run.json")
        states = [
            {"manifests": content},
            {"manifests": content, "released": content},
            {"manifests": kept, "released": content},
        ]
        for state in states:
            for folder in ("manifests", "released"):
                documents.remove(f"{folder}/run.json")
            time.sleep(TICK_S)
            assert all(documents.create(f"{folder}/run.json", there) for folder, there in state.items())
            assert store.runs_of(ref) == [Use("run", "read")]
            assert ref.digest in store.gc().roots or state["manifests"] == content, "what is not released is kept"
            assert store.release("run") == store.manifest("run") == released
            assert list(documents.keys("manifests/")) == []

    def test_a_manifest_of_the_first_format_is_found_and_changed(self, store: Store, documents: Documents) -> None:
        ref, other = store.put(np.arange(100)), store.put(np.arange(101))
        first = {"run": "old", "at": "2026-01-01T00:00:00.000+00:00", "inputs": {"x": ref.digest}, "outputs": {}}
        documents.create("manifests/old.json", seal({**first, "made_by": {"lr": 1}, "released_at": ""}))
        assert (store.manifest("old").notes, store.manifest("old").created_at) == ({"lr": 1}, first["at"])
        assert store.runs_of(ref) == [Use("old", "read")]
        changed = store.update_manifest("old", outputs={"y": other})
        assert (changed.inputs, changed.outputs) == ({"x": ref.digest}, {"y": other.digest})
        assert store.lineage(ref, "downstream") == [Hop(1, "old", "", ref.digest, other.digest)]
        assert store.release("old").notes == {"lr": 1}

    def test_manifests_that_cannot_be_read_hide_no_others_and_stop_a_collection(
        self, store: Store, documents: Documents
    ) -> None:
        ref = store.put(np.arange(100))
        store.add_manifest("run_1", inputs={"x": ref})
        assert store.unread_manifests() == {}
        time.sleep(TICK_S)
        documents.create("manifests/new.json", seal({"format": 3, "run": "new", "outcome": "good"}))
        documents.create("released/damaged.json", b'{"run": "damaged"}')
        no_address = {"format": 2, "run": "no_address", "created_at": "", "inputs": {"x": "sha256:none"}}
        documents.create("manifests/no_address.json", seal(no_address))
        documents.create("manifests/.DS_Store", b"none")
        with pytest.raises(Refused, match="has format 3, but this version of Smalti reads up to 2; upgrade Smalti"):
            store.manifest("new")
        with pytest.warns(UnreadManifests, match=r"4 manifests are left out of the answer: .*manifests/"):
            assert store.runs_of(ref) == [Use("run_1", "read")]
        with pytest.warns(UnreadManifests):
            assert [m.run for m in store.runs()] == ["run_1"]
        with pytest.warns(UnreadManifests):
            assert store.lineage(ref, "downstream") == [Hop(1, "run_1", "", ref.digest, None)]
        unread = store.unread_manifests()
        others = ["manifests/.DS_Store", "manifests/no_address.json", "released/damaged.json"]
        assert sorted(unread) == sorted([*others, "manifests/new.json"])
        assert "format 3" in unread["manifests/new.json"]
        assert {problem.place for problem in store.fsck().problems} == unread.keys()
        for key in others:
            documents.remove(key)
        with pytest.raises(Refused, match="format 3"):
            store.gc(dry_run=False, grace_seconds=0)
        documents.remove("manifests/new.json")
        time.sleep(TICK_S)
        assert store.unread_manifests() == {}
        assert store.gc().roots == {ref.digest: "the run run_1"}

    def test_halves_of_a_chain_made_on_two_machines_are_one_after_a_pull(self, store: Store) -> None:
        theirs = Store(MemoryBackend(), CODECS)
        raw = theirs.put(np.arange(5))
        scan = theirs.put({"frames": np.arange(6)})
        theirs.add_manifest("ingest", inputs={"raw": raw}, outputs={"scan": scan})
        theirs.release("ingest")
        ours = store.put({"frames": np.arange(6)})  # the same value, made here on its own
        image = store.put(np.arange(7))
        store.add_manifest("solve", inputs={"scan": ours}, outputs={"image": image})
        assert store.lineage(image, "upstream") == [Hop(1, "solve", "", scan.digest, image.digest)]
        store.pull(theirs)
        back = [Hop(1, "solve", "", scan.digest, image.digest), Hop(2, "ingest", "", raw.digest, scan.digest)]
        assert store.lineage(image, "upstream") == back
        theirs.pull(store)
        assert theirs.lineage(image, "upstream") == back
        assert theirs.lineage(raw, "downstream", depth=1) == [Hop(1, "ingest", "", raw.digest, scan.digest)]
