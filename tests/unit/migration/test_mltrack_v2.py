"""Laws of what MLtrack's second layout becomes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from smalti import Store


@pytest.fixture
def v2(source: Path, array: np.ndarray) -> Path:
    """One run with an input, a file of its own in two views, and data that no run refers to."""
    digits = {}
    for name, value in (("used", array), ("unused", np.arange(4))):
        digits[name] = hashlib.sha256(value.tobytes()).hexdigest()
        folder = source / "mltrack/data" / digits[name][:2] / digits[name]
        folder.mkdir(parents=True)
        np.save(folder / "data.npy", value)
        (folder / "metadata.json").write_text(json.dumps({"name": name, "hash": digits[name]}))
    for view in ("by_project/churn", "by_type/production"):
        folder = source / "mltrack/runs" / view / "run_1"
        (folder / "logs").mkdir(parents=True)
        (folder / "logs/out.txt").write_text("line")
    manifest = {
        "run_id": "run_1",
        "run_type": "production",
        "created_at": "2025-03-01T12:00:00",
        "inputs": {"x": {"hash": digits["used"], "storage_path": "/etc/passwd", "size_bytes": 1, "format": "npy"}},
        "outputs": {"gone": {"hash": "00" * 32}},
        "project": "churn",
        "tags": {"team": "a"},
        "metrics": {"auc": 0.5, "odd": "text"},
        "storage_locations": ["mltrack/runs/by_project/churn/run_1"],
    }
    (source / "mltrack/manifests").mkdir()
    (source / "mltrack/manifests/run_1.json").write_text(json.dumps(manifest))
    return source


def test_a_run_becomes_a_manifest_by_the_hashes_of_its_data(bring, store: Store, v2: Path, array: np.ndarray) -> None:
    report = bring(v2)
    assert report.plan.kind == "mltrack-v2"
    manifest = store.manifest("run_1")
    assert manifest.inputs == {"x": store.put(array).digest}
    assert bytes(store.get(manifest.outputs["files"]).entries["logs"].entries["out.txt"]) == b"line"
    assert (manifest.run_type, manifest.project, manifest.tags) == ("production", "churn", {"team": "a"})
    assert manifest.metrics == {"auc": 0.5}
    assert manifest.views == ("by_project/churn", "by_type/production")
    assert (manifest.created_at, manifest.started_at) == ("2025-03-01T12:00:00.000+00:00", "")


def test_a_run_stands_where_it_was_recorded_in_time(bring, store: Store, v2: Path) -> None:
    manifest = v2 / "mltrack/manifests/run_1.json"
    said = json.loads(manifest.read_text())
    said["storage_locations"] = ["mltrack/runs/by_date/2025-03-02/run_1", "mltrack/runs/by_project/churn/run_1"]
    said["project"] = "churn / 2025"
    manifest.write_text(json.dumps(said))
    manifest.with_name("late.json").write_text(json.dumps({**said, "run_id": "late", "created_at": "2999-01-01"}))
    bring(v2)
    store.add_manifest("new")
    assert [one.run for one in store.runs()] == ["new", "late", "run_1"], "a time to come is none"
    assert store.manifest("run_1").views[0] == "by_date/2025-03-01", "by when it was recorded, as every run"
    assert "by_project/churn %2F 2025" in store.manifest("run_1").views, "as runs that are recorded here are shown"
    before = store.manifest("late")
    bring(v2)
    assert store.manifest("late") == before


def test_data_that_is_not_there_is_said_and_data_without_a_run_gets_a_name(bring, store: Store, v2: Path) -> None:
    report = bring(v2)
    run, value = report.brought
    assert any("'gone' in outputs" in remark for remark in run.remarks)
    assert value.name.startswith("mltrack/unused-")
    assert store.get(value.name).tolist() == [0, 1, 2, 3]


def test_a_run_without_manifest_is_rebuilt_from_its_folders(bring, store: Store, v2: Path) -> None:
    (v2 / "mltrack/manifests/run_1.json").unlink()
    bring(v2)
    manifest = store.manifest("run_1")
    assert (manifest.run_type, manifest.project) == ("production", "churn")


def test_an_unknown_run_type_is_said(bring, store: Store, v2: Path) -> None:
    path = v2 / "mltrack/manifests/run_1.json"
    path.write_text(path.read_text().replace('"production"', '"galactic"'))
    remarks = bring(v2).brought[0].remarks
    assert any("'galactic' is none of MLtrack's" in remark for remark in remarks)
    assert store.manifest("run_1").notes["manifest"]["run_type"] == "galactic"
