"""The full MLflow, in an environment of its own, finds the runs that ours are linked to, by data and by run."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from smalti.runs import FlexibleDataStore, capture_flexible_data

SEARCH = """
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
found = mlflow.search_runs(experiment_names=["churn"], filter_string=sys.argv[2], output_format="list")
print(json.dumps([[run.info.run_id, run.data.tags] for run in found]))
"""


@pytest.fixture(scope="session")
def their_python() -> str:
    """The Python that has the full MLflow."""
    python = os.environ.get("SMALTI_TEST_RUN_PEERS")
    if not python:
        pytest.skip("the peers are not installed here; make test-peers installs them and runs these tests")
    return python


def test_a_run_of_mlflow_is_found_from_the_data_and_leads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, their_python: str
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed; the extra mlflow brings it")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before, uri = mlflow.get_tracking_uri(), (tmp_path / "mlruns").as_uri()
    store = FlexibleDataStore(root=tmp_path / "store")
    data = np.arange(12)
    try:
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment("churn")
        for _ in range(2):
            with mlflow.start_run() as theirs:
                capture_flexible_data(store=store)(lambda data: data + 1)(data)
                data = data + 1
    finally:
        mlflow.set_tracking_uri(before)

    def search(digits: str) -> list[tuple[str, dict[str, str]]]:
        command = [their_python, "-c", SEARCH, uri, f"tags.`smalti.data.{digits}` LIKE '%'"]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        found: list[tuple[str, dict[str, str]]] = json.loads(done.stdout.splitlines()[-1])
        return found

    last = store.find_runs_by_data(data)
    ours = store.get_run(last[0])
    ((run_id, tags),) = search(ours.outputs["result"].hash)
    assert run_id == theirs.info.run_id == ours.links["mlflow_run"]
    assert tags["smalti.run"] == ours.run_id
    assert tags[f"smalti.run.{ours.run_id}"] == store.store.place
    assert len(search(ours.inputs["data"].hash)) == 2  # written by the first, read by the second
    assert search("0" * 64) == []
