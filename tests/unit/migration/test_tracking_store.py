"""Laws of what a tracking store of MLflow becomes, through its own client; the database is never opened in place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smalti import Store
from smalti.errors import NotFound, Refused, Unavailable
from smalti.migration import plan_migration
from smalti.migration.layouts.mlflow_client import plan
from smalti.migration.sources.tracking_store import TrackingSource


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database and artifacts of two runs, one of them the other's child, which failed."""
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'smalti[mlflow]'")
    pytest.importorskip("sqlalchemy", reason="MLflow needs sqlalchemy for a database")
    folder = tmp_path_factory.mktemp("mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("churn", artifact_location=(folder / "artifacts").as_uri())
    parent = client.create_run(experiment, run_name="first", tags={"mlflow.source.git.commit": "3f2a"})
    run = parent.info.run_id
    client.log_param(run, "lr", 0.1)
    for step, value in enumerate((1.0, 0.5, float("nan"))):
        client.log_metric(run, "loss", value, timestamp=1700000000000 + step, step=min(step, 1))
    client.log_dict(run, {"a": 1}, "plots/a.json")
    client.log_text(run, "hi", "note.txt")
    client.set_terminated(run, "FINISHED")
    child = client.create_run(experiment, tags={"mlflow.parentRunId": run}).info.run_id
    client.set_terminated(child, "FAILED")
    client.delete_run(client.create_run(experiment).info.run_id)
    (folder / "ids").write_text(f"{run} {child}")
    return folder


def test_runs_of_a_database_become_manifests(bring, store: Store, made: Path) -> None:
    report = bring(made / "mlflow.db")
    assert not report.failed
    run, child = (made / "ids").read_text().split()
    assert [one.name for one in report.brought] == [run, child], "parents first, and what was deleted is left"
    manifest = store.manifest(run)
    assert (manifest.project, manifest.status, manifest.parameters) == ("churn", "finished", {"lr": "0.1"})
    assert manifest.code == {"commit": "3f2a"}
    assert manifest.started_at
    assert len(store.get(manifest.outputs["metric_history"])) == 3
    assert store.get(manifest.outputs["artifacts/note.txt"]) == b"hi"
    assert set(store.get(manifest.outputs["artifacts/plots"]).entries) == {"a.json"}
    assert (store.manifest(child).parent, store.manifest(child).status) == (run, "failed")


def test_the_database_and_the_current_folder_are_left_as_they_are(
    bring, made: Path, looked_at: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = looked_at(made)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for _ in range(2):
        report = bring(f"sqlite:///{made}/mlflow.db")
        assert not report.failed
    assert report.new_bytes == 0
    assert looked_at(made) == before
    assert not list((tmp_path / "here").iterdir())


def test_what_is_no_database_of_mlflow_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="MLflow needs sqlalchemy for a database")
    import sqlite3

    with pytest.raises(NotFound, match="there is no database"):
        plan_migration(f"sqlite:///{tmp_path}/none.db")
    assert not list(tmp_path.iterdir()), "none was made"
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("create table runs (run_uuid text)")
    with pytest.raises(Unavailable, match="MLflow says"):
        plan_migration(str(tmp_path / "other.db"))
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises((Refused, Unavailable)):
        plan_migration(str(tmp_path / "broken.db"))


def test_a_server_that_does_not_answer_is_one_sentence_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'smalti[mlflow]'")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Unavailable, match="MLflow says") as caught:
        plan_migration("http://me:hunter2@127.0.0.1:9")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(Refused, match="is a tracking store of MLflow"):
        plan_migration("http://127.0.0.1:9", "datamate")


class LyingClient:
    """A server's client that says what a test tells it to."""

    def __init__(self, uri: str, entries: dict[str | None, list[Any]]) -> None:
        self.uri, self.entries = uri, entries

    def search_experiments(self, **_: Any) -> list[Any]:
        return [SimpleNamespace(experiment_id="1", name="churn")]

    def search_runs(self, *_: Any, **__: Any) -> list[Any]:
        info = {"run_id": "r", "artifact_uri": self.uri, "run_name": "", "experiment_id": "1", "status": "FINISHED"}
        data = SimpleNamespace(metrics={}, params={}, tags={})
        run = SimpleNamespace(info=SimpleNamespace(**info, start_time=None, end_time=None), data=data)
        return [SimpleNamespace(**vars(run), inputs=None, outputs=None)]

    def list_artifacts(self, run: str, path: str | None = None) -> list[Any]:
        return self.entries.get(path, [])


def entry(path: str, *, is_dir: bool = False) -> Any:
    return SimpleNamespace(path=path, is_dir=is_dir, file_size=1)


def test_a_server_cannot_have_files_of_this_machine_taken_for_artifacts(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    for uri in (tmp_path.as_uri(), str(tmp_path), "file:///etc"):
        source = TrackingSource("http://host", "http://host", LyingClient(uri, {}))
        (run,) = plan(source, "").runs
        assert not run.outputs
        assert "a folder of this machine, and are left" in run.remarks[0]


def test_names_of_artifacts_that_lead_elsewhere_or_lead_on_for_ever_are_left() -> None:
    deep = {None if not n else "/".join(["d"] * n): [entry("/".join(["d"] * (n + 1)), is_dir=True)] for n in range(60)}
    deep[None] += [entry("../../etc/passwd"), entry("/etc/passwd"), entry("fine.txt")]
    source = TrackingSource("http://host", "http://host", LyingClient("mlflow-artifacts:/1/r", deep))
    (run,) = plan(source, "").runs
    assert set(run.outputs) == {"artifacts/fine.txt"}
    assert sum("leads out of its folder" in remark or "no plain path" in remark for remark in run.remarks) == 2
    assert any("lies too deep" in remark for remark in run.remarks)


def test_an_artifact_folder_that_is_gone_is_said(bring, store: Store, made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(made / "mlflow.db", copy)
    (made / "artifacts").rename(made / "moved")
    try:
        report = bring(copy)
    finally:
        (made / "moved").rename(made / "artifacts")
    assert not report.failed
    run, _ = (made / "ids").read_text().split()
    (remarks,) = [one.remarks for one in report.brought if one.name == run]
    assert any("its artifacts are left" in remark for remark in remarks)
