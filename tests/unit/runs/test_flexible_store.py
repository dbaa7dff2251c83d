"""Laws of the store of runs: documented promises, defaults by source, and refusals that leave nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smalti.errors import Ambiguous, NotFound, Refused, Unavailable
from smalti.runs import FlexibleDataStore, RunManifest, RunType, StorageMode
from smalti.store.format.sealed import seal

FRAME = pd.DataFrame({"a": [1, 2, 3]})


def files_of(store: FlexibleDataStore) -> set[str]:
    """Return all that the store wrote but its index."""
    root = Path(store.store.place)
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}
    return {path for path in found if not path.startswith("index.sqlite")}


def test_a_run_and_its_views_are_there_at_once(store: FlexibleDataStore) -> None:
    manifest = store.create_run("run_1", "production", "churn", [StorageMode.BY_TYPE, StorageMode.BY_MODEL])
    assert manifest.storage_locations == ["runs/by_type/production/run_1", "runs/by_model/unknown/run_1"]
    for location in manifest.storage_locations:
        document = json.loads(Path(store.store.place, location, "manifest.json").read_text())
        assert (document["run"], document["status"]) == ("run_1", "running")
    defaults = store.create_run("run_2")
    assert (defaults.run_type, defaults.project) == ("experiment", "default")
    assert defaults.storage_locations == ["runs/by_project/default/run_2"]


def test_a_run_can_be_shown_in_more_ways_later_and_no_data_moves(store: FlexibleDataStore) -> None:
    manifest = store.create_run("run_1", project="churn")
    store.add_run_input(manifest, "training_data", FRAME)
    before = {path for path in files_of(store) if path.startswith("data/")}
    assert store.add_storage_location(manifest, StorageMode.FLAT) == "runs/all/run_1"
    location = store.add_storage_location(manifest, "{project}/{date:%Y}")
    assert location == f"runs/churn/{manifest.created_at[:4]}/run_1"
    store.log_tags(manifest, model="bert")
    assert store.add_storage_location(manifest, "by_model") == "runs/by_model/bert/run_1"
    assert len(pd.read_feather(Path(store.store.place, location, "inputs", "training_data.arrow"))) == 3
    assert {path for path in files_of(store) if path.startswith("data/")} == before
    assert store.get_run("run_1").storage_locations == manifest.storage_locations


def test_ten_runs_over_one_dataset_store_it_once(store: FlexibleDataStore) -> None:
    data = np.random.default_rng(0).random((1000, 100))
    reference = store.store_data(data, "benchmark")
    for number in range(10):
        manifest = store.create_run(f"run_{number}")
        store.add_run_input(manifest, "training_data", [data, reference, reference.hash, "benchmark"][number % 4])
        assert manifest.inputs["training_data"].hash == reference.hash
    stats = store.get_data_usage_stats()
    assert (stats["total_runs"], stats["total_data"]) == (10, 1)
    assert (stats["referenced_bytes"], stats["unique_bytes"]) == (10 * data.nbytes, data.nbytes)
    assert stats["data"][reference.hash]["names"] == ["training_data"]
    assert store.store.stats().nbytes_kept < 1.02 * data.nbytes + 50_000


def test_runs_are_found_by_hash_reference_prefix_name_and_value(store: FlexibleDataStore) -> None:
    reference = store.store_data(FRAME, "training_data")
    for run in ("b", "a"):
        store.add_run_input(store.create_run(run), "x", reference)
    store.add_run_output(store.create_run("c"), "y", FRAME)
    asked = [reference, reference.hash, reference.digest, reference.hash[:9], "training_data", FRAME, FRAME.copy()]
    assert [store.find_runs_by_data(one) for one in asked] == [["a", "b", "c"]] * len(asked)
    assert store.find_runs_by_data(np.arange(3)) == []
    store.store_data(b"unused", "unused")
    assert store.find_runs_by_data("unused") == []
    for missing in ("0" * 64, "0" * 9, "nothing"):
        with pytest.raises(NotFound):
            store.find_runs_by_data(missing)
    for run in "abc":
        store.store.release(run)
    store.store.forget("training_data")
    for _ in range(2):
        store.store.gc(dry_run=False, grace_seconds=0)
    assert store.find_runs_by_data(reference.hash) == ["a", "b", "c"]
    assert store.get_run("a").inputs["x"].size_bytes is None


def test_a_manifest_says_what_the_run_ran_on_and_shares_it_with_others(store: FlexibleDataStore) -> None:
    first, second = (store.create_run(run, seeds={"torch": 7}) for run in ("run_1", "run_2"))
    assert first.seeds["torch"] == 7
    assert first.seeds["numpy_random_state"] == second.seeds["numpy_random_state"]
    np.random.rand()
    assert store.create_run("run_3").seeds["numpy_random_state"] != first.seeds["numpy_random_state"]
    details = store.retrieve_data(str(first.environment["details"]))
    assert details["packages"]["numpy"] == np.__version__
    assert details["python"] == first.environment["python"] == sys.version.split()[0]
    assert first.environment["details"] == second.environment["details"]
    assert first.environment["pid"] == os.getpid()
    assert first.environment["host_class"].startswith(sys.platform[:1].upper())


def test_what_a_run_ran_on_is_kept_pushed_and_stored_again_once_collected(
    store: FlexibleDataStore, tmp_path: Path
) -> None:
    details = store.create_run("run_1").environment["details"]
    store.store.push(copy := FlexibleDataStore(root=tmp_path / "copy").store)
    assert copy.get(details)["packages"]
    for _ in range(2):
        store.store.gc(dry_run=False, grace_seconds=0)
    assert store.retrieve_data(details)
    store.store.release("run_1")
    for _ in range(2):
        store.store.gc(dry_run=False, grace_seconds=0)
    with pytest.raises(NotFound):
        store.retrieve_data(details)
    assert store.create_run("run_2").environment["details"] == details
    assert store.retrieve_data(details)


def test_what_is_logged_and_changed_by_hand_is_kept_beside_what_others_say(store: FlexibleDataStore) -> None:
    ours, theirs = store.create_run("run_1", tags={"team": "a"}), store.get_run("run_1")
    store.log_metrics(theirs, loss=0.5)
    ours.metrics["accuracy"] = 0.9
    ours.project = "other"
    store.log_parameters(ours, {"lr": 1e-3}, epochs=3)
    store.log_metrics(ours, {"f1": np.float32(0.5), "bad": float("nan"), "n": np.int64(3)})
    kept = store.get_run("run_1")
    assert kept.metrics == {"loss": 0.5, "accuracy": 0.9, "f1": 0.5, "bad": "nan", "n": 3}
    assert (kept.project, kept.parameters, kept.tags) == ("other", {"lr": 1e-3, "epochs": 3}, {"team": "a"})
    theirs.tags["stage"] = "test"
    assert store.save_manifest(theirs).tags == {"team": "a", "stage": "test"}


def test_a_manifest_goes_through_a_dictionary_and_json(store: FlexibleDataStore, tmp_path: Path) -> None:
    manifest = store.create_run("run_1", project="churn", tags={"a": "b"})
    store.add_run_input(manifest, "x", FRAME)
    store.finish_run(manifest)
    again = RunManifest.from_dict(json.loads(json.dumps(manifest.to_dict())))
    assert again.to_dict() == manifest.to_dict()
    with pytest.raises(Refused, match=r"'run_1' was recorded at .* get_run\('run_1'\) continues it"):
        store.save_manifest(again)
    other = FlexibleDataStore(root=tmp_path / "other")
    other.store_data(FRAME, "x")
    store.store.push(other.store, [str(manifest.environment["details"]), *filter(None, [manifest.code.get("diff")])])
    other.save_manifest(again)
    assert other.get_run("run_1").inputs["x"].hash == manifest.inputs["x"].hash
    with pytest.raises(Refused, match=r"no field 'colour'; .* newer version of Smalti wrote it, upgrade"):
        RunManifest.from_dict({"run_id": "x", "colour": 1})
    with pytest.raises(Refused, match="has no run_id"):
        RunManifest.from_dict({})
    with pytest.raises(Refused, match="is not of FlexibleDataStore"):
        other.log_tags(manifest, a="b")


def test_runs_begun_in_the_block_of_another_are_its_parts_and_blocks_say_how_they_ended(
    store: FlexibleDataStore,
) -> None:
    with store.create_run("outer") as outer, store.create_run("inner"):
        assert outer.status == "running"
    with pytest.raises(ZeroDivisionError), store.create_run("failed"):
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt), store.create_run("stopped"):
        raise KeyboardInterrupt
    found = {run.run_id: (run.status, run.parent, run.error) for run in store.list_runs()}
    assert found == {
        "outer": ("finished", "", ""),
        "inner": ("finished", "outer", ""),
        "failed": ("failed", "", "ZeroDivisionError: division by zero"),
        "stopped": ("stopped", "", "KeyboardInterrupt"),
    }
    assert store.store.children_of("outer") == ["inner"]
    assert outer.duration_s is not None
    assert outer.duration_s >= 0
    assert store.create_run("child", parent=outer).parent == "outer"


def test_runs_are_listed_by_project_type_and_status(store: FlexibleDataStore) -> None:
    store.create_run("a", RunType.ANALYSIS, "p")
    store.finish_run(store.create_run("b", "production", "p"))
    assert [run.run_id for run in store.list_runs()] == ["a", "b"]
    assert [run.run_id for run in store.list_runs(project="p", run_type="production")] == ["b"]
    assert [run.run_id for run in store.list_runs(status="running")] == ["a"]
    with pytest.raises(Refused, match="is no run type"):
        store.list_runs(run_type="prod")


def test_a_run_whose_process_was_killed_is_seen_to_be_lost(store: FlexibleDataStore) -> None:
    program = (
        "import os, sys; from smalti.runs import FlexibleDataStore; "
        "FlexibleDataStore(root=sys.argv[1]).create_run('run_1'); os.abort()"
    )
    done = subprocess.run([sys.executable, "-c", program, store.store.place], capture_output=True, check=False)
    assert done.returncode < 0, done.stderr
    assert (store.get_run("run_1").status, store.get_run("run_1").is_lost) == ("running", True)
    ours = store.create_run("run_2")
    assert ours.is_lost is False
    ours.environment["host"] = "elsewhere"
    assert ours.is_lost is None
    store.finish_run(ours)
    assert ours.is_lost is False


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"run_id": "a/b"}, Refused, "cannot be the name of a run"),
        ({"run_id": "../a"}, Refused, "cannot be a name"),
        ({"run_id": "there"}, Refused, r"recorded at .* already; get_run\('there'\) continues it"),
        ({"run_type": "prod"}, Refused, "'prod' is no run type; there are experiment"),
        ({"storage_modes": ["by_team"]}, Refused, "'by_team' is no storage mode; there are by_project"),
        ({"storage_modes": ["by_type", "{x}"]}, Refused, "has the field 'x'"),
        ({"tags": {"a": object()}}, Refused, "tags"),
        ({"parameters": {"a": {1, 2}}}, Refused, "parameters"),
        ({"parent": "nobody"}, NotFound, "no manifest of a run 'nobody'"),
    ],
)
def test_a_run_that_cannot_be_is_refused_and_nothing_is_half_written(
    store: FlexibleDataStore, arguments: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    store.create_run("there")
    before = files_of(store)
    with pytest.raises(error, match=sentence) as refused:
        store.create_run(**{"run_id": "new", **arguments})
    assert "\n" not in str(refused.value)
    assert files_of(store) == before


def test_bad_data_of_a_run_is_refused_in_a_sentence_and_changes_nothing(store: FlexibleDataStore) -> None:
    manifest = store.create_run("run_1")
    store.add_run_input(manifest, "x", FRAME)
    before = manifest.to_dict()
    for data, error, sentence in (
        ("0" * 64, NotFound, "0000"),
        ("no such name", NotFound, "neither a name nor a digest"),
        (np.arange(3), Refused, "another value among its inputs that is called 'x'"),
        (object(), Refused, "no codec"),
    ):
        with pytest.raises(error, match=sentence):
            store.add_run_input(manifest, "x", data)
    for digits in ("ab" * 32, "ab" * 31 + "cd"):
        Path(store.store.place, "data", "ab", digits).mkdir(parents=True)
    with pytest.raises(Ambiguous, match="give more digits"):
        store.add_run_input(manifest, "y", "abababab")
    with pytest.raises(Refused, match="cannot end as 'done'; it ends as finished, failed, stopped"):
        store.finish_run(manifest, "done")
    manifest.parent = "run_1"
    with pytest.raises(Refused, match="cannot be its own parent"):
        store.save_manifest(manifest)
    assert store.get_run("run_1").to_dict() == before


def test_a_manifest_of_a_newer_version_and_a_circle_of_parents_are_refused(store: FlexibleDataStore) -> None:
    store.create_run("a")
    store.create_run("b", parent="a")
    with pytest.raises(Refused, match="cannot be a part of 'b', which is a part of 'a' already"):
        store.store.update_manifest("a", parent="b")
    Path(store.store.place, "manifests", "new.json").write_bytes(seal({"format": 99, "run": "new"}))
    with pytest.raises(Refused, match="has format 99, but this version of Smalti reads up to 2; upgrade Smalti"):
        store.get_run("new")


@pytest.mark.parametrize("root", ["a file", "below/a file"])
def test_a_place_that_cannot_be_written_is_said_in_a_sentence(store: FlexibleDataStore, root: str) -> None:
    Path("below").mkdir()
    for place in ("a file", "below/a file"):
        Path(place).write_text("x")
    with pytest.raises((Refused, Unavailable)) as refused:
        FlexibleDataStore(root=f"{root}/store").create_run("run_1")
    assert "\n" not in str(refused.value)
    with pytest.raises(Refused, match="is a file, but a store is a folder"):
        FlexibleDataStore(root=root)


def test_defaults_come_from_the_call_then_the_environment_then_the_shared_file(
    store: FlexibleDataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defaults(**given: Any) -> tuple[str, str]:
        opened = FlexibleDataStore(**given)
        return str(opened.default_run_type), str(opened.default_storage_mode)

    assert defaults() == ("experiment", "by_project")
    Path(".smalti.yml").write_text("default_run_type: analysis\ndefault_storage_mode: '{project}/{date:%Y}'\n")
    assert defaults() == ("analysis", "{project}/{date:%Y}")
    monkeypatch.setenv("MLTRACK_DEFAULT_RUN_TYPE", "evaluation")
    assert defaults()[0] == "evaluation"
    monkeypatch.setenv("SMALTI_DEFAULT_RUN_TYPE", "production")
    assert defaults()[0] == "production"
    assert defaults(default_run_type="development", default_storage_mode="flat") == ("development", "flat")
    monkeypatch.setenv("SMALTI_DEFAULT_RUN_TYPE", "prod")
    with pytest.raises(Refused, match=r"default_run_type \(SMALTI_DEFAULT_RUN_TYPE\) cannot .* 'prod' is no run type"):
        FlexibleDataStore()
    monkeypatch.setenv("SMALTI_DEFAULT_STORAGE_MODE", "{x}")
    with pytest.raises(Refused, match=r"default_storage_mode .* has the field 'x'"):
        FlexibleDataStore(default_run_type="analysis")


def test_without_a_place_the_runs_are_where_the_settings_say(
    store: FlexibleDataStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert FlexibleDataStore().store.place == str(tmp_path / "store")
    with pytest.raises(Refused, match="either the bucket b or the folder x"):
        FlexibleDataStore("b", root="x")
    monkeypatch.setenv("MLTRACK_S3_BUCKET", "a-bucket")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with pytest.raises(Refused, match="no credentials for s3://a-bucket/mltrack"):
        FlexibleDataStore()
    assert FlexibleDataStore(root=tmp_path / "store").store.place == str(tmp_path / "store")


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda store: store.create_run(5), "5 cannot be a name"),
        (lambda store: store.create_run(None), "None cannot be a name"),
        (lambda store: store.store_data([1], 5), "5 cannot be a name"),
        (
            lambda store: store.create_run("r", project=5),
            "the project of the run 'r' is 5, which is no text",
        ),
        (lambda store: store.create_run("r", model=5), "the model of the run 'r' is 5, which is no text; give a name"),
        (lambda store: store.create_run("r", project=".."), r"gives 'by_project/\.\.', which has"),
        (lambda store: store.add_run_input("r", "x", [1]), "'r' is no manifest of a run; create_run and get_run give"),
        (lambda store: store.add_storage_location("r", "flat"), "'r' is no manifest of a run"),
        (
            lambda store: store.log_metrics(store.create_run("r"), a=np.arange(2)),
            "is a ndarray, which JSON",
        ),
    ],
)
def test_what_is_of_another_type_is_refused_in_a_sentence(
    store: FlexibleDataStore, attempt: Callable[[FlexibleDataStore], object], message: str
) -> None:
    with pytest.raises(Refused, match=message):
        attempt(store)
