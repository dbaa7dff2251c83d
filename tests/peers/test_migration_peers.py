"""What the real MLflow and the real datamate wrote is brought whole, and what they read of it is what is stored."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smalti import Store, open_store
from smalti.migration import MigrationReport, migrate
from smalti.tracking import StatCache

_LOG = """
import json, sys
import mlflow, numpy as np, pandas as pd
from sklearn.linear_model import LinearRegression

mlflow.set_tracking_uri(sys.argv[1])
mlflow.create_experiment("churn", artifact_location=sys.argv[2] or None)
mlflow.set_experiment("churn")
with mlflow.start_run(run_name="parent", tags={"mlflow.source.git.commit": "3f2a"}) as parent:
    mlflow.log_params({"lr": 0.1, "a/b": "x"})
    for step in range(3):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metric("odd", float("nan"))
    data = mlflow.data.from_pandas(pd.DataFrame({"a": [1.0, 2.0]}), name="train")
    mlflow.log_input(data, context="training")
    mlflow.log_dict({"x": 1}, "conf/d.json")
    mlflow.log_text("hi", "note.txt")
    mlflow.sklearn.log_model(LinearRegression().fit(np.zeros((3, 1)), np.zeros(3)), name="model")
    with mlflow.start_run(nested=True) as child:
        mlflow.log_param("part", 1)
try:
    with mlflow.start_run() as failing:
        raise ValueError
except ValueError:
    pass
print(json.dumps([run.info.run_id for run in (parent, child, failing)]))
"""
_SAID = """
import json, sys
import mlflow

client = mlflow.MlflowClient(sys.argv[1])
run = client.get_run(sys.argv[2])
said = {"params": run.data.params, "tags": run.data.tags, "metrics": {k: repr(v) for k, v in run.data.metrics.items()}}
said["history"] = [[m.step, m.timestamp, m.value] for m in client.get_metric_history(sys.argv[2], "loss")]
said["times"] = [run.info.start_time, run.info.end_time]
print(json.dumps(said))
"""
_DATAMATE = """
import json, pathlib
import datamate, numpy as np, pandas as pd
from datamate import Directory

datamate.set_root_dir(".")
exp = Directory("exp", {"lr": 0.1, "layers": [1, 2]})
exp.losses = np.arange(5.0)
exp.extend("losses", np.arange(2.0))
exp.names = np.array([b"a", b"bc"])
exp.flag = np.array(True)
exp.z = np.array([1 + 2j])
exp.empty = np.zeros((0, 3), np.float32)
exp.table = pd.DataFrame({"a": [1, 2], "b": ["x", "y,z"], "c": [0.1, np.nan], "d": [2**60, -1]})
exp.sub.deep.x = np.arange(3)
pathlib.Path("n.txt").write_text("hello")
exp["note.txt"] = pathlib.Path("n.txt")

class Built(Directory):
    def __init__(self, k: int = 3):
        self.y = np.full(3, k)

Built(dict(k=4))
read = {name: [str(exp[name][...].dtype), exp[name][...].tolist()] for name in ("losses", "flag", "empty")}
print(json.dumps(read))
"""


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python that MLflow and datamate are installed in."""
    named = os.environ.get("SMALTI_TEST_RUN_PEERS")
    if not named:
        pytest.skip("the peers are not installed here; make test-peers installs them and runs these tests")
    return Path(named).absolute()


@pytest.fixture(scope="session")
def ask(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Run a script of theirs and return the JSON that it prints last."""
    home = tmp_path_factory.mktemp("home")
    quiet = {"HOME": str(home), "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_FILE_STORE": "true"}

    def ask(script: str, *arguments: str, folder: Path | None = None) -> Any:
        (home / "script.py").write_text(script)  # datamate looks at the source of classes
        command = [str(python), str(home / "script.py"), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=folder or home, env={**os.environ, **quiet}
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return ask


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@pytest.fixture
def bring(store: Store, tmp_path: Path) -> Callable[[object], MigrationReport]:
    """Migrate a source twice: nothing is refused, the second time adds nothing, and its files stay as they are."""

    def files(folder: Path) -> dict[Path, tuple[bytes, int]]:
        return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}

    def bring(source: object) -> MigrationReport:
        local = Path(str(source))
        before = files(local)
        first, second = (migrate(store, StatCache(tmp_path), str(source)) for _ in range(2))
        assert not first.failed
        assert first.new_bytes > 0
        assert (second.failed, second.new_bytes) == ((), 0)
        assert files(local) == before
        return first

    return bring


def check_runs(store: Store, runs: list[str], said: dict[str, Any]) -> None:
    """Compare what was brought of the runs of ``_LOG`` with what MLflow says."""
    parent, child, failing = (store.manifest(run) for run in runs)
    assert (parent.status, child.status, failing.status) == ("finished", "finished", "failed")
    assert (child.parent, parent.project) == (parent.run, "churn")
    assert parent.parameters == said["params"]
    assert {**parent.tags, "mlflow.log-model.history": ""} == {**said["tags"], "mlflow.log-model.history": ""}
    assert parent.code["commit"] == "3f2a"
    assert parent.metrics == {name: float(value) for name, value in said["metrics"].items() if value != "nan"}
    assert parent.notes["metrics_not_finite"] == {"odd": "nan"}
    history = store.get(parent.outputs["metric_history"])
    loss = history[history["metric"] == "loss"]
    assert sorted(map(list, loss[["step", "timestamp_ms", "value"]].to_numpy().tolist())) == sorted(said["history"])
    assert [pd.Timestamp(t).value // 10**6 for t in (parent.started_at, parent.ended_at)] == said["times"]
    assert store.get(parent.outputs["artifacts/note.txt"]) == b"hi"
    assert json.loads(bytes(store.get(parent.outputs["artifacts/conf"]).entries["d.json"])) == {"x": 1}
    assert store.get(parent.inputs["train"])["mlflow_dataset"] == "train"
    assert "MLmodel" in store.get(parent.outputs["models/model"]).entries


def test_a_file_store_of_the_real_mlflow_is_brought_whole(
    bring: Callable[..., Any], store: Store, ask: Callable[..., Any], tmp_path: Path
) -> None:
    uri = (tmp_path / "mlruns").as_uri()
    runs = ask(_LOG, uri, "")
    said = ask(_SAID, uri, runs[0])
    bring(tmp_path / "mlruns")
    check_runs(store, runs, said)
    (tmp_path / "mlruns").rename(tmp_path / "moved")
    again = migrate(store, StatCache(tmp_path), str(tmp_path / "moved"))
    assert (again.failed, again.new_bytes) == ((), 0), "a file store may be moved"


def test_a_database_of_the_real_mlflow_is_brought_whole(
    bring: Callable[..., Any], store: Store, ask: Callable[..., Any], tmp_path: Path
) -> None:
    pytest.importorskip("sqlalchemy", reason="MLflow needs sqlalchemy for a database")
    (tmp_path / "source").mkdir()
    database = tmp_path / "source/mlflow.db"
    runs = ask(_LOG, f"sqlite:///{database}", (tmp_path / "source/artifacts").as_uri())
    said = ask(_SAID, f"sqlite:///{database}", runs[0])
    bring(database)
    check_runs(store, runs, said)


@pytest.fixture
def server(python: Path, tmp_path: Path) -> Iterator[str]:
    """A tracking server of MLflow that keeps the artifacts, too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = [
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/server.db",
        "--artifacts-destination",
        str(tmp_path / "kept"),
    ]
    command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    quiet = {**os.environ, "HOME": str(tmp_path), "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *place], cwd=tmp_path, env=quiet, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "server.log").read_text()[-2000:]
                assert time.monotonic() < until, (tmp_path / "server.log").read_text()[-2000:]
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def test_runs_of_a_real_tracking_server_are_brought_whole(
    store: Store, ask: Callable[..., Any], server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = ask(_LOG, server, "")
    said = ask(_SAID, server, runs[0])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    first, second = (migrate(store, StatCache(tmp_path), server) for _ in range(2))
    assert not first.failed
    assert (second.failed, second.new_bytes) == ((), 0)
    check_runs(store, runs, said)
    assert store.manifest(runs[0]).links["mlflow"].startswith(f"{server}/#/experiments/")
    assert not list((tmp_path / "here").iterdir()), "MLflow's client makes a database of its own where it is not told"


def test_a_tree_of_the_real_datamate_is_brought_whole(
    bring: Callable[..., Any], store: Store, ask: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "tree").mkdir()
    read = ask(_DATAMATE, folder=tmp_path / "tree")
    report = bring(tmp_path / "tree")
    assert not [remark for one in report.brought for remark in one.remarks]
    exp = store.get("tree/exp")
    assert exp["_meta"]["config"] == {"type": "Directory", "lr": 0.1, "layers": [1, 2]}
    for name, (dtype, items) in read.items():
        assert [str(exp[name].dtype), exp[name].tolist()] == [dtype, items]
    assert exp["names"].tolist() == [b"a", b"bc"]
    assert exp["z"].tolist() == [1 + 2j]
    assert exp["note.txt"] == b"hello"
    pd.testing.assert_frame_equal(exp["table"], pd.read_csv(tmp_path / "tree/exp/table.csv"))
    assert np.array_equal(store.get("tree/exp/sub/deep")["x"], np.arange(3))
    built = store.get("tree/Built_0000")
    assert (built["_meta"]["config"], built["y"].tolist()) == ({"type": "Built", "k": 4}, [4, 4, 4])
    assert {manifest.tags.get("type") for manifest in store.manifests()} == {"Directory", "Built"}
