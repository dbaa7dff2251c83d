"""Laws of what MLtrack's first layout becomes: values by content, manifests with where they came from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smalti import Store
from smalti.migration import plan_migration


def test_a_run_becomes_a_manifest_whose_values_are_those_that_were_stored(
    bring, store: Store, v1_run: Path, frame: pd.DataFrame, array: np.ndarray
) -> None:
    report = bring(v1_run)
    assert report.plan.kind == "mltrack-v1"
    assert not report.failed
    manifest = store.manifest("run_a")
    assert set(manifest.inputs) == {"df", "params"}
    assert set(manifest.outputs) == {"result", "model", "docker"}
    pd.testing.assert_frame_equal(store.get(manifest.inputs["df"]), frame)
    assert manifest.inputs["df"] == store.put(frame).digest, "a value has the address that it has when it is put"
    assert store.get(manifest.inputs["params"]) == {"lr": 0.1}
    assert np.array_equal(store.get(manifest.outputs["result"]), array)
    assert manifest.outputs["result"] == store.put(array).digest
    assert (manifest.project, manifest.run_type, manifest.status) == ("7", "experiment", "finished")
    assert manifest.views == ("by_project/7",)


def test_where_a_run_came_from_and_all_that_was_said_of_it_is_kept(bring, store: Store, v1_run: Path) -> None:
    bring(v1_run)
    notes = store.manifest("run_a").notes
    assert notes["migrated_from"]["key"] == "mltrack/experiments/7/runs/run_a"
    assert store.manifest("run_a").created_at == "2025-03-01T12:00:05.250+00:00", "recorded when MLtrack did"
    assert notes["manifest"]["inputs"]["df"]["name"] == "input_df"
    assert notes["side_files"]["input_df"]["type"] == "DataFrame"


def test_a_pickled_model_is_kept_as_bytes_and_never_opened(bring, store: Store, v1_run: Path) -> None:
    bring(v1_run)  # opened, it would end this process
    model = store.get(store.manifest("run_a").outputs["model"])
    assert bytes(model.entries["model.pkl"]).startswith(b"\x80\x04cposix")
    assert bytes(model.entries["requirements.txt"]) == b"numpy"


def test_names_with_underscores_are_read_from_the_right(bring, store: Store, v1) -> None:
    for name in ("a_20240101_000000", "my_data_v2", "x_12345678"):
        v1.data("e_1", "r_1", "outputs", name, np.arange(3), "20250301_120000")
    bring(v1.root)
    assert set(store.manifest("r_1").outputs) == {"a_20240101_000000", "my_data_v2", "x_12345678"}


def test_a_run_without_manifest_is_rebuilt_from_its_files(bring, store: Store, v1) -> None:
    v1.data("7", "r", "inputs", "training_data", np.arange(3), "20250301_120000")
    report = bring(v1.root)
    assert any("no manifest" in remark for remark in report.brought[0].remarks)
    manifest = store.manifest("r")
    assert set(manifest.inputs) == {"training_data"}
    assert manifest.created_at == "2025-03-01T12:00:00.000+00:00"


def test_the_newest_of_several_values_of_one_name_has_it_and_none_is_lost(bring, store: Store, v1) -> None:
    for second, value in enumerate((np.zeros(2), np.ones(2))):
        v1.data("7", "r", "inputs", "x", value, f"20250301_12000{second}")
    bring(v1.root)
    inputs = store.manifest("r").inputs
    assert store.get(inputs["x"]).tolist() == [1, 1]
    (older,) = [name for name in inputs if name != "x"]
    assert older.startswith("x_20250301_120000_")
    assert store.get(inputs[older]).tolist() == [0, 0]


def test_one_file_that_a_manifest_calls_by_two_names_has_both(bring, store: Store, v1) -> None:
    about = v1.data("7", "r", "inputs", "x", np.arange(3), "20250301_120000")
    v1.manifest("7", "r", {"train": about, "test": about}, {})
    bring(v1.root)
    inputs = store.manifest("r").inputs
    assert set(inputs) == {"train", "test"}
    assert inputs["train"] == inputs["test"]


def test_what_a_manifest_names_and_is_not_there_is_said(bring, v1) -> None:
    about = v1.data("7", "r", "inputs", "x", np.arange(3), "20250301_120000")
    failed = {"name": "y", "timestamp": "20250301_120000", "hash": "00000000"}  # no place: its upload failed
    gone = {**about, "s3_location": "s3://bucket/mltrack/experiments/7/runs/r/inputs/z_20250301_120000_11111111.npy"}
    v1.manifest("7", "r", {"x": about, "y": failed, "z": gone}, {})
    remarks = " ".join(bring(v1.root).brought[0].remarks)
    assert "'y' in inputs and does not say where it was stored" in remarks
    assert "names z_20250301_120000_11111111.npy as 'z' in inputs, and there is no such file" in remarks


def test_a_hash_of_the_source_that_disagrees_is_a_remark_and_no_failure(bring, v1, v1_run: Path) -> None:
    assert not [r for one in bring(v1_run).brought for r in one.remarks if "has the hash" in r]
    (path,) = v1_run.rglob("result_*.npy")
    path.rename(path.with_name(path.name.replace(path.stem[-8:], "deadbeef")))
    manifest = v1_run / "mltrack/experiments/7/runs/run_a/manifest.json"
    manifest.unlink()
    report = bring(v1_run, prefix="again-")
    assert any("deadbeef in its source" in remark for remark in report.brought[0].remarks)
    assert not report.failed


def test_files_of_an_unknown_category_are_brought_as_they_are(bring, store: Store, v1, v1_run: Path) -> None:
    v1.write(v1.key("7", "run_a", "plots", "loss.svg"), b"<svg/>")
    v1.write(v1.key("7", "run_a", "outputs", "artifacts/notes.txt"), b"n")
    bring(v1_run)
    outputs = store.manifest("run_a").outputs
    assert bytes(store.get(outputs["plots/files"]).entries["loss.svg"]) == b"<svg/>"
    assert bytes(store.get(outputs["outputs/files"]).entries["artifacts"].entries["notes.txt"]) == b"n"


def test_runs_of_one_id_in_two_experiments_are_two_runs(bring, store: Store, v1) -> None:
    for experiment in ("1", "2"):
        v1.data(experiment, "run", "inputs", "x", np.arange(int(experiment)), "20250301_120000")
    bring(v1.root)
    assert {manifest.project for manifest in store.manifests()} == {"1", "2"}


def test_one_bad_run_stops_no_other(bring, store: Store, v1, v1_run: Path) -> None:
    v1.data("7", "bad", "inputs", "x", np.arange(3), "20250301_120000")
    v1.write(v1.key("7", "bad", "", "manifest.json"), b"{not json")
    v1.data("7", "good", "inputs", "x", np.arange(3), "20250301_120000")
    report = bring(v1_run)
    assert [one.source for one in report.failed] == ["mltrack/experiments/7/runs/bad"]
    assert "not strict JSON" in report.failed[0].why
    assert {manifest.run for manifest in store.manifests()} == {"run_a", "good"}


@pytest.mark.parametrize("document", [[], {"inputs": []}, {"outputs": 3}, "text"])
def test_a_manifest_of_another_shape_fails_its_run_with_a_sentence(bring, v1, v1_run: Path, document: object) -> None:
    v1.write(v1.key("7", "run_a", "", "manifest.json"), json.dumps(document).encode())
    (failed,) = bring(v1_run).failed
    assert "where a mapping belongs" in failed.why


def test_a_plan_says_what_would_be_stored_and_stores_nothing(store: Store, v1_run: Path) -> None:
    plan = plan_migration(str(v1_run))
    (run,) = plan.runs
    assert {name: part.form for name, part in run.inputs.items()} == {"df": "table", "params": "document"}
    assert plan.nbytes == sum(
        path.stat().st_size
        for path in v1_run.rglob("*")
        if path.is_file() and path.name != "manifest.json" and not path.name.endswith("_metadata.json")
    )
    assert not store.exists()
