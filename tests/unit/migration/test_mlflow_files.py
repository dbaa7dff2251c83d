"""Laws of what a file store of MLflow becomes, read as files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from smalti import Store

RUN, CHILD = "a" * 32, "b" * 32


def test_a_run_becomes_a_manifest_with_all_that_mlflow_knows_of_it(bring, store: Store, mlruns: Path) -> None:
    report = bring(mlruns)
    assert report.plan.kind == "mlflow"
    assert not report.brought[0].remarks, "its artifacts were elsewhere once and are in their usual place here"
    manifest = store.manifest(RUN)
    assert (manifest.project, manifest.status, manifest.parameters) == ("churn", "finished", {"opt/lr": "0.1"})
    assert (manifest.started_at, manifest.ended_at) == (
        "2023-11-14T22:13:20.123+00:00",
        "2023-11-14T22:13:21.123+00:00",
    )
    assert manifest.tags["mlflow.runName"] == "first"
    assert manifest.code == {"commit": "3f2a"}
    assert manifest.notes["migrated_from"] == {"layout": "mlflow", "experiment_id": "42", "run_id": RUN}


def test_metrics_keep_their_last_value_and_their_history(bring, store: Store, mlruns: Path) -> None:
    bring(mlruns)
    manifest = store.manifest(RUN)
    assert manifest.metrics == {"loss": 0.25}, "of the greatest step"
    history = store.get(manifest.outputs["metric_history"])
    assert history["step"].tolist() == [0, 1, 0]
    assert history["timestamp_ms"].tolist() == [1700000000200, 1700000000300, 1700000000400]
    assert history["value"].tolist()[:2] == [1.0, 0.25]
    assert math.isnan(history["value"][2])


def test_artifacts_are_kept_byte_for_byte_entry_by_entry(bring, store: Store, mlruns: Path) -> None:
    bring(mlruns)
    outputs = store.manifest(RUN).outputs
    assert store.get(outputs["artifacts/note.txt"]) == b"hi"
    assert bytes(store.get(outputs["artifacts/plots"]).entries["a.svg"]) == b"<svg/>"


def test_child_runs_name_their_parents_which_come_first(bring, store: Store, mlruns: Path, write_run) -> None:
    write_run(mlruns, "0", CHILD, {"mlflow.parentRunId": RUN})
    report = bring(mlruns, prefix="old-")
    assert [one.name for one in report.brought] == [f"old-{RUN}", f"old-{CHILD}"]
    assert store.manifest(f"old-{CHILD}").parent == f"old-{RUN}"


def test_parents_in_a_circle_fail_and_stop_no_other(bring, store: Store, mlruns: Path, write_run) -> None:
    write_run(mlruns, "0", CHILD, {"mlflow.parentRunId": "c" * 32})
    write_run(mlruns, "0", "c" * 32, {"mlflow.parentRunId": CHILD})
    report = bring(mlruns)
    assert sorted(one.source for one in report.failed) == [f"0/{CHILD}", f"0/{'c' * 32}"]
    assert "lead in a circle" in report.failed[0].why
    assert store.manifest(RUN)


def test_a_parent_that_is_not_there_is_said(bring, store: Store, mlruns: Path, write_run) -> None:
    write_run(mlruns, "0", CHILD, {"mlflow.parentRunId": "c" * 32})
    report = bring(mlruns)
    assert any("is not among what is migrated" in r for one in report.brought for r in one.remarks)
    assert store.manifest(CHILD).notes["parent_run_id"] == "c" * 32


def test_runs_of_one_dataset_share_its_description(bring, store: Store, mlruns: Path, write_run) -> None:
    write_run(mlruns, "42", CHILD)
    (mlruns / "42/datasets/d1").mkdir(parents=True)
    (mlruns / "42/datasets/d1/meta.yaml").write_text(
        "name: train\ndigest: 2981c147\nsource: '{}'\nsource_type: code\nprofile: '{\"num_rows\": 2}'\n"
    )
    for run in (RUN, CHILD):
        folder = mlruns / "42" / run / "inputs/i1"
        folder.mkdir(parents=True)
        (folder / "meta.yaml").write_text(
            "source_id: d1\nsource_type: DATASET\ntags:\n  mlflow.data.context: training\n"
        )
    bring(mlruns)
    address = store.manifest(RUN).inputs["train"]
    assert {use.run for use in store.runs_of(address)} == {RUN, CHILD}
    assert store.get(address)["digest"] == "2981c147"
    assert store.manifest(RUN).notes["datasets"] == {"train": {"mlflow.data.context": "training"}}


def test_a_run_that_went_on_in_mlflow_is_brought_up_to_date(bring, store: Store, mlruns: Path) -> None:
    meta = mlruns / "42" / RUN / "meta.yaml"
    finished = meta.read_text()
    meta.write_text(finished.replace("status: 3", "status: 1").replace("end_time: 1700000001123\n", "end_time: null\n"))
    bring(mlruns)
    assert (store.manifest(RUN).status, store.manifest(RUN).ended_at) == ("running", "")
    meta.write_text(finished)
    (mlruns / "42" / RUN / "artifacts/more.txt").write_text("more")
    with (mlruns / "42" / RUN / "metrics/loss").open("a") as file:
        file.write("1700000000500 0.125 2\n")
    for _ in range(2):
        assert not bring(mlruns).failed
        manifest = store.manifest(RUN)
        assert (manifest.status, manifest.revision, manifest.metrics) == ("finished", 2, {"loss": 0.125})
        assert "artifacts/more.txt" in manifest.outputs
    (longer,) = [name for name in manifest.outputs if name.startswith("metric_history-")]
    assert len(store.get(manifest.outputs[longer])) == 4


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("metrics/loss", "1700000000200 one 0\n", "no value of a metric"),
        ("metrics/loss", "1700000000200\n", "no value of a metric"),
        ("meta.yaml", "status: [3\n", "no YAML of plain values"),
        ("meta.yaml", "- a\n", "where a mapping belongs"),
        ("inputs/d/meta.yaml", "source_type: [", "no YAML of plain values"),
        ("params/lr", b"\xff\xfe", "no text in UTF-8"),
    ],
)
def test_what_cannot_be_read_fails_its_run_with_a_sentence(
    bring, mlruns: Path, write_run, name: str, content: str | bytes, why: str
) -> None:
    bad = write_run(mlruns, "42", CHILD) / name
    bad.parent.mkdir(parents=True, exist_ok=True)
    bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = bring(mlruns)
    (failed,) = report.failed
    assert failed.source == f"42/{CHILD}"
    assert why in failed.why
    assert [one.name for one in report.brought] == [RUN]


def test_what_was_deleted_in_mlflow_is_left_and_said(bring, mlruns: Path, write_run) -> None:
    write_run(mlruns, ".trash/43", CHILD)
    meta = write_run(mlruns, "42", "c" * 32) / "meta.yaml"
    meta.write_text(meta.read_text().replace("stage: active", "stage: deleted"))
    report = bring(mlruns)
    assert len(report.brought) == 1
    assert {left.path for left in report.plan.left if "deleted in MLflow" in left.why} == {
        f".trash/43/{CHILD}",
        f"42/{'c' * 32}",
    }


def test_datasets_and_models_that_are_not_there_are_said(bring, mlruns: Path) -> None:
    for what, about in {
        "inputs/i": "source_id: gone\nsource_type: DATASET\n",
        "outputs/m-1": "source_id: m-1\n",
    }.items():
        folder = mlruns / "42" / RUN / what
        folder.mkdir(parents=True)
        (folder / "meta.yaml").write_text(about)
    remarks = " ".join(bring(mlruns).brought[0].remarks)
    assert "dataset gone that nothing describes here" in remarks
    assert "model m-1 that is not here" in remarks


@pytest.mark.parametrize(
    ("said", "status"), [("1", "running"), ("5", "stopped"), ("FAILED", "failed"), ("[3]", ""), ("9", "")]
)
def test_a_status_that_mlflow_does_not_have_is_none(bring, store: Store, mlruns: Path, said: str, status: str) -> None:
    meta = mlruns / "42" / RUN / "meta.yaml"
    meta.write_text(meta.read_text().replace("status: 3", f"status: {said}"))
    assert not bring(mlruns).failed
    assert store.manifest(RUN).status == status
