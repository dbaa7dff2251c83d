"""Sources written as MLtrack, datamate and MLflow write them, and a store to bring them to."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from smalti import Store, open_store
from smalti.migration import MigrationReport, migrate
from smalti.tracking import StatCache

Files = dict[str, tuple[bytes, int]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@pytest.fixture
def cache(tmp_path: Path) -> StatCache:
    (tmp_path / "root").mkdir()
    return StatCache(tmp_path / "root")


@pytest.fixture
def bring(store: Store, cache: StatCache) -> Callable[..., MigrationReport]:
    """Migrate a source into the store."""

    def bring(source: object, **options: Any) -> MigrationReport:
        return migrate(store, cache, str(source), **options)

    return bring


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def looked_at() -> Callable[[Path], Files]:
    """Return every file below a folder: content and time of change."""

    def looked_at(folder: Path) -> Files:
        found = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}

    return looked_at


class V1Writer:
    """Writes runs as version 1 of MLtrack lays them out; the hashes are what it computes."""

    def __init__(self, root: Path, prefix: str = "mltrack") -> None:
        self.root, self.prefix = root, prefix

    def key(self, experiment: str, run: str, category: str, filename: str) -> str:
        return f"{self.prefix}/experiments/{experiment}/runs/{run}/{category}/{filename}"

    def write(self, key: str, content: bytes) -> None:
        path = self.root / key  # a mirror has one slash where the key of a manifest has two
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def data(self, experiment: str, run: str, category: str, name: str, value: Any, at: str) -> dict[str, Any]:
        """Store one value and return what the manifest says of it."""
        if isinstance(value, pd.DataFrame):
            digits = hashlib.md5(pd.util.hash_pandas_object(value).values).hexdigest()[:8]
            content, ending = value.to_parquet(), "parquet"
        elif isinstance(value, np.ndarray):
            digits, content, ending = hashlib.md5(value.tobytes()).hexdigest()[:8], npy(value), "npy"
        else:
            digits = hashlib.md5(str(value).encode()).hexdigest()[:8]
            content, ending = json.dumps(value, indent=2, default=str).encode(), "json"
        key = self.key(experiment, run, category, f"{name}_{at}_{digits}.{ending}")
        self.write(key, content)
        about = {"name": name, "timestamp": at, "hash": digits, "type": type(value).__name__}
        about["s3_location"] = f"s3://bucket/{key}"
        if category == "inputs":
            side = self.key(experiment, run, category, f"{name}_metadata.json")
            self.write(side, json.dumps({**about, "s3_location": None}).encode())
        return about

    def model(self, experiment: str, run: str, pickled: bytes) -> None:
        files = {"model.pkl": pickled, "loading_code.py": b"import pickle\n", "requirements.txt": b"numpy"}
        for name, content in {**files, "metadata.json": b'{"framework": "sklearn"}'}.items():
            self.write(self.key(experiment, run, "models", name), content)

    def manifest(self, experiment: str, run: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        document = {
            "run_id": run,
            "experiment_id": experiment,
            "timestamp": "2025-03-01T12:00:05.250000",
            "inputs": inputs,
            "outputs": outputs,
            "model": None,
            "docker": None,
            "s3_prefix": f"{self.prefix}/experiments/{experiment}/runs/{run}",
        }
        self.write(self.key(experiment, run, "", "manifest.json"), json.dumps(document, indent=2).encode())


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.fixture
def v1(source: Path) -> V1Writer:
    return V1Writer(source)


@pytest.fixture
def frame() -> pd.DataFrame:
    return FRAME.copy()


@pytest.fixture
def array() -> np.ndarray:
    """(3, 4) float32, big endian."""
    return ARRAY.copy()


FRAME = pd.DataFrame({"age": [22.0, np.nan, 38.0], "name": ["a", "b_c", None], "n": [1, 2, 3]})
ARRAY = np.arange(12, dtype=">f4").reshape(3, 4)


@pytest.fixture
def v1_run(v1: V1Writer) -> Path:
    """One run with a table, an array, a document and a model."""
    inputs = {
        "df": v1.data("7", "run_a", "inputs", "input_df", FRAME, "20250301_120000"),
        "params": v1.data("7", "run_a", "inputs", "input_params", {"lr": 0.1}, "20250301_120001"),
    }
    outputs = {"result": v1.data("7", "run_a", "outputs", "result", ARRAY, "20250301_120004")}
    v1.model("7", "run_a", b"\x80\x04cposix\nsystem\n(X\x04\x00\x00\x00exit\x85R.")
    v1.write(v1.key("7", "run_a", "docker", "Dockerfile"), b"FROM python")
    v1.manifest("7", "run_a", inputs, outputs)
    return v1.root


@pytest.fixture
def write_tree() -> Callable[[Path], Path]:
    return write_datamate


@pytest.fixture
def write_run() -> Callable[..., Path]:
    """Write a run into a file store of MLflow."""
    return write_mlflow_run


def write_datamate(folder: Path) -> Path:
    """Write a folder as datamate does: arrays, a table, a file, and a folder in it."""
    (folder / "sub").mkdir(parents=True)
    (folder / "_meta.yaml").write_text("config:\n  type: Exp\n  lr: 0.1\nstatus: done\n")
    for name, array in {"losses": np.arange(5.0), "names": np.array([b"a", b"bc"]), "sub/w": np.eye(2, 3)}.items():
        with h5py.File(folder / f"{name}.h5", "w", libver="latest") as file:
            file["data"] = array
    pd.DataFrame({"a": [1, 2], "b": ["x", "y,z"], "c": [0.1, np.nan]}).to_csv(folder / "table.csv", index=False)
    (folder / "note.txt").write_text("hello")
    return folder


@pytest.fixture
def datamate_tree(source: Path) -> Path:
    write_datamate(source / "exp")
    return source


def write_mlflow_run(store: Path, experiment: str, run: str, tags: dict[str, str] | None = None) -> Path:
    """Write a run as MLflow's file store does."""
    folder = store / experiment / run
    (folder / "artifacts/plots").mkdir(parents=True)
    (store / experiment / "meta.yaml").write_text(
        f"experiment_id: '{experiment}'\nname: churn\nlifecycle_stage: active\n"
    )
    meta = {"run_id": run, "experiment_id": f"'{experiment}'", "status": 3, "lifecycle_stage": "active"}
    meta |= {"start_time": 1700000000123, "end_time": 1700000001123}
    meta["artifact_uri"] = f"file:///elsewhere/{experiment}/{run}/artifacts"
    (folder / "meta.yaml").write_text("".join(f"{name}: {value}\n" for name, value in meta.items()))
    files = {
        "params/opt/lr": "0.1",
        "metrics/loss": "1700000000200 1.0 0\n1700000000300 0.25 1\n1700000000400 nan 0\n",
        "artifacts/plots/a.svg": "<svg/>",
        "artifacts/note.txt": "hi",
    }
    files |= {f"tags/{name}": value for name, value in {"mlflow.runName": "first", **(tags or {})}.items()}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


@pytest.fixture
def mlruns(source: Path) -> Path:
    """A file store with one run, whose artifacts were elsewhere when they were logged."""
    write_mlflow_run(source, "42", "a" * 32, {"mlflow.source.git.commit": "3f2a"})
    return source
