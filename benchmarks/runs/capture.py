"""What the decorator costs beyond storing: a call that is recorded, beside storing the same values without it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.line import Line
from benchmarks.runs.peer import ask

GOAL_MS = 5.0
_CALLS = 100


def measure(peers: Path | None, rounds: int) -> list[Line]:
    """Return the milliseconds that recording a call takes beyond storing what it read and wrote."""
    with tempfile.TemporaryDirectory() as place:
        overhead_ms = ours(Path(place), _CALLS * rounds)
    line = Line(
        "a captured call, beyond storing its data",
        f"{GOAL_MS:g} ms",
        f"{overhead_ms:.2f} ms",
        overhead_ms <= GOAL_MS,
    )
    peer = "not measured: no --peers"
    if peers:
        with tempfile.TemporaryDirectory() as place:
            peer = f"{ask(peers, 'mlflow_run', Path(place), _CALLS)['ms']:.1f} ms"
    return [line, Line("a run of MLflow with two parameters and a metric, without data", "", peer)]


def ours(folder: Path, calls: int) -> float:
    """Return the milliseconds of the median call less those of storing alone, in turns."""
    from smalti import open_store
    from smalti.runs import FlexibleDataStore, capture_flexible_data

    kept, bare = FlexibleDataStore(root=folder / "captured"), open_store(folder / "bare")

    @capture_flexible_data(store=kept, project="bench")
    def doubled(data: np.ndarray, rate: float) -> np.ndarray:
        return data * (2 + 0 * rate)

    captured, stored = [], []
    for number in range(calls + 10):
        data = np.arange(1000.0) + number
        start = time.perf_counter()
        doubled(data, 0.1)
        middle = time.perf_counter()
        bare.put(data)
        bare.put(data * 2)
        captured.append(middle - start)
        stored.append(time.perf_counter() - middle)
    return 1e3 * (median(captured[10:]) - median(stored[10:]))
