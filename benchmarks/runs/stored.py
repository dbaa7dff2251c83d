"""Ten runs over one dataset: what is stored, by us and by those who keep a copy for each run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.line import Line
from benchmarks.runs.peer import ask

RUNS, GB, GOAL_GB = 10, 1.0, 1.01
PEER_GB = 0.1  # those who keep ten copies are given a tenth


def measure(peers: Path | None, _: int) -> list[Line]:
    """Return what ten runs over one dataset take, of ours and of peers."""
    with tempfile.TemporaryDirectory() as place:
        nbytes = ours(Path(place) / "store", GB)
    gigabytes = nbytes / 1e9
    lines = [
        Line(
            f"{RUNS} runs over one {GB:g} GB dataset: stored",
            f"{GOAL_GB:g} GB",
            f"{gigabytes:.4f} GB",
            gigabytes <= GOAL_GB,
        )
    ]
    for name, case in (("MLflow", "mlflow_stored"), ("W&B offline", "wandb_stored")):
        what = f"the same with {name}, a {PEER_GB:g} GB dataset"
        lines.append(Line(what, "", f"{_peer(peers, case):.2f} GB" if peers else "not measured: no --peers"))
    return lines


def ours(folder: Path, gigabytes: float) -> int:
    """Record the runs and return the bytes that the store takes."""
    from smalti.runs import FlexibleDataStore

    data = np.random.default_rng(0).random((int(gigabytes * 1e9) // 8000, 1000))
    store = FlexibleDataStore(root=folder)
    for number in range(RUNS):
        manifest = store.create_run(f"run_{number}", project="bench")
        store.add_run_input(manifest, "training_data", data)
        store.add_run_output(manifest, "predictions", data[number])
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _peer(peers: Path, case: str) -> float:
    with tempfile.TemporaryDirectory() as place:
        data = np.random.default_rng(0).random(int(PEER_GB * 1e9) // 8)
        np.save(Path(place) / "data.npy", data)
        return ask(peers, case, Path(place), RUNS)["nbytes"] / 1e9
