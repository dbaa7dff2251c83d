"""Laws beside the real MLflow with a file store: each run is found from the other, and from the data."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti.runs import FlexibleDataStore, capture_flexible_data

mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed; the extra mlflow brings it")


@pytest.fixture(autouse=True)
def tracking(store: FlexibleDataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A file store of MLflow's in an empty folder, with one experiment."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before, uri = mlflow.get_tracking_uri(), (tmp_path / "mlruns").as_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("churn")
    yield uri
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)


def found_by(filter_string: str) -> list[str]:
    """Return the runs of MLflow that a filter finds."""
    experiment = mlflow.get_experiment_by_name("churn").experiment_id
    return [run.info.run_id for run in mlflow.MlflowClient().search_runs([experiment], filter_string)]


def test_a_captured_run_says_which_run_of_mlflow_was_active_and_is_found_from_it(
    store: FlexibleDataStore, tracking: str
) -> None:
    @capture_flexible_data(store=store)
    def predict(data: Any) -> Any:
        return data + 1

    with mlflow.start_run() as theirs:
        predict(np.arange(3))
    predict(np.arange(9))
    ours = next(run for run in store.list_runs() if run.links)
    info = theirs.info
    assert ours.links == {
        "mlflow": f"{tracking}/{info.experiment_id}/{info.run_id}",
        "mlflow_run": info.run_id,
        "mlflow_experiment": info.experiment_id,
        "mlflow_tracking_uri": tracking,
    }
    tags = mlflow.get_run(info.run_id).data.tags
    assert tags["smalti.run"] == ours.run_id
    assert tags[f"smalti.run.{ours.run_id}"] == store.store.place
    for reference, called in ((ours.inputs["data"], "inputs/data"), (ours.outputs["result"], "outputs/result")):
        assert tags[f"smalti.data.{reference.hash}"] == called
        assert found_by(f"tags.`smalti.data.{reference.hash}` LIKE '%'") == [info.run_id]
    assert found_by(f"tags.`smalti.run.{ours.run_id}` LIKE '%'") == [info.run_id]


def test_a_run_that_is_recorded_step_by_step_is_found_from_mlflow_too(store: FlexibleDataStore) -> None:
    with mlflow.start_run() as theirs:
        manifest = store.create_run(theirs.info.run_id, project="hyperparam_search")
        reference = store.add_run_input(manifest, "training_data", np.arange(5))
        store.finish_run(manifest)
    assert found_by(f"tags.`smalti.data.{reference.hash}` = 'inputs/training_data'") == [theirs.info.run_id]
    assert store.find_runs_by_data(np.arange(5)) == [theirs.info.run_id]


def test_a_run_of_mlflow_that_ends_in_the_call_is_tagged_all_the_same(store: FlexibleDataStore) -> None:
    with mlflow.start_run() as theirs:
        capture_flexible_data(store=store)(lambda: mlflow.end_run() or b"x")()
    (run,) = store.list_runs()
    assert found_by(f"tags.`smalti.data.{run.outputs['result'].hash}` = 'outputs/result'") == [theirs.info.run_id]


def test_what_mlflow_raises_is_a_warning_and_the_run_is_recorded(
    store: FlexibleDataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise ConnectionError("the tracking server is gone")

    with mlflow.start_run():
        monkeypatch.setattr(mlflow, "MlflowClient", lambda: types.SimpleNamespace(log_batch=lost))
        with pytest.warns(RuntimeWarning, match="not be told: ConnectionError: the tracking server is gone"):
            assert capture_flexible_data(store=store)(lambda: 1)() == 1
        monkeypatch.undo()
    assert [run.status for run in store.list_runs()] == ["finished"]


def test_the_secrets_of_a_tracking_server_are_not_recorded(
    store: FlexibleDataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = types.SimpleNamespace(run_id="r1", experiment_id="3", artifact_uri="s3://b/3/r1/artifacts")
    fake = types.SimpleNamespace(
        active_run=lambda: types.SimpleNamespace(info=info),
        get_tracking_uri=lambda: "https://me:secret@tracking.example/",
        MlflowClient=lambda: types.SimpleNamespace(log_batch=lambda *_, **__: None),
        entities=types.SimpleNamespace(RunTag=lambda key, value: (key, value)),
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    links = store.create_run("run_1").links
    assert links["mlflow"] == "https://tracking.example/#/experiments/3/runs/r1"
    assert "secret" not in str(links)


def test_mlflow_is_not_imported_by_us(store: FlexibleDataStore) -> None:
    program = (
        "import sys; from smalti.runs import FlexibleDataStore, capture_flexible_data; "
        "capture_flexible_data(root=sys.argv[1])(lambda: 1)(); FlexibleDataStore(root=sys.argv[1]).create_run('r'); "
        "print('mlflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, store.store.place], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
