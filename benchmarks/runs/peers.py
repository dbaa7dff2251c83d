"""What MLflow, W&B (offline), datamate and DVC do of the same, in the environment of the peers; prints JSON.

python peers.py CASE FOLDER [NUMBER]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ |= {"MLFLOW_TRACKING_URI": "", "WANDB_MODE": "offline", "WANDB_SILENT": "true"}


def mlflow_stored(folder: Path, runs: int) -> dict[str, float]:
    """Log the file ``data.npy`` as an artifact of each run; return the bytes of all that is kept."""
    mlflow = _mlflow(folder)
    for _ in range(runs):
        with mlflow.start_run():
            mlflow.log_artifact(str(folder / "data.npy"))
    return {"nbytes": _nbytes(folder / "artifacts")}


def wandb_stored(folder: Path, runs: int) -> dict[str, float]:
    """Log the file ``data.npy`` as an artifact of each run; return the bytes of all that is kept."""
    import wandb

    os.environ |= {name: str(folder / "wandb") for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR")}
    (folder / "wandb").mkdir()
    for _ in range(runs):
        run = wandb.init(project="bench", dir=str(folder / "wandb"))
        artifact = wandb.Artifact("data", type="dataset")
        artifact.add_file(str(folder / "data.npy"))
        run.log_artifact(artifact)
        run.finish()
    return {"nbytes": _nbytes(folder / "wandb")}


def mlflow_run(folder: Path, calls: int) -> dict[str, float]:
    """Return the milliseconds of a run with two parameters and a metric, of the median call."""
    mlflow = _mlflow(folder)
    times = []
    for number in range(calls + 5):
        start = time.perf_counter()
        with mlflow.start_run():
            mlflow.log_params({"number": number, "rate": 0.1})
            mlflow.log_metric("loss", 0.5)
        times.append(1e3 * (time.perf_counter() - start))
    return {"ms": sorted(times[5:])[calls // 2]}


def mlflow_find(folder: Path, runs: int) -> dict[str, float]:
    """Return the milliseconds to find the runs that carry the digest of a dataset as a tag, of the median look-up."""
    from mlflow.entities import RunTag
    from mlflow.tracking import MlflowClient

    mlflow = _mlflow(folder)
    client, experiment = MlflowClient(), mlflow.create_experiment("find")
    for number in range(runs):
        run = client.create_run(experiment)
        client.log_batch(run.info.run_id, tags=[RunTag("dataset", f"{number // 3:064x}")])
    times = []
    for number in range(21):
        start = time.perf_counter()
        found = client.search_runs([experiment], f"tags.dataset = '{number * runs // 64:064x}'")
        times.append(1e3 * (time.perf_counter() - start))
        assert len(found) == 3, found
    return {"ms": sorted(times)[10]}


def datamate_extend(folder: Path, calls: int) -> dict[str, float]:
    """Return the milliseconds of one extension by a row of 100 numbers, of the mean call."""
    import datamate
    import numpy as np

    datamate.set_root_dir(str(folder))
    directory, row = datamate.Directory("extended"), np.zeros((1, 100))
    directory.extend("rows", row)
    start = time.perf_counter()
    for _ in range(calls):
        directory.extend("rows", row)
    return {"ms": 1e3 * (time.perf_counter() - start) / calls}


def datamate_read(folder: Path, calls: int) -> dict[str, float]:
    """Return the milliseconds to read the array of the file ``read/array.h5``, of the median call."""
    import datamate

    datamate.set_root_dir(str(folder))
    directory, times = datamate.Directory("read"), []
    for _ in range(calls):
        start = time.perf_counter()
        directory.array[:]
        times.append(1e3 * (time.perf_counter() - start))
    return {"ms": sorted(times)[calls // 2]}


def dvc_commit(folder: Path, _: int) -> dict[str, float]:
    """Commit the folder ``tree``, of which something changed since it was added; return seconds and new bytes."""
    dvc = str(Path(sys.executable).with_name("dvc"))
    before, start = _nbytes(folder / ".dvc"), time.perf_counter()
    subprocess.run([dvc, "add", "-q", "tree"], cwd=folder, check=True)
    return {"s": time.perf_counter() - start, "new_nbytes": _nbytes(folder / ".dvc") - before}


def dvc_init(folder: Path, _: int) -> dict[str, float]:
    """Begin to keep the folder ``tree``."""
    dvc = str(Path(sys.executable).with_name("dvc"))
    for command in (["init", "-q", "--no-scm"], ["add", "-q", "tree"]):
        subprocess.run([dvc, *command], cwd=folder, check=True)
    return {}


def _mlflow(folder: Path):  # type: ignore[no-untyped-def]
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    if mlflow.get_experiment_by_name("bench") is None:
        mlflow.create_experiment("bench", artifact_location=str(folder / "artifacts"))
    mlflow.set_experiment("bench")
    return mlflow


def _nbytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    case, place, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    result = globals()[case](place, number)
    print("\n" + json.dumps(result))
