"""A store with a lineage from raw files to a product, as a beamline's would be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smalti import Store, open_store
from smalti.codecs import RawFile, Reconstruction
from smalti.store import Ref, Step

HOSTILE = "<script>alert(1)</script>\u202e\"'&"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return open_store(tmp_path / "store")


@pytest.fixture
def other(tmp_path: Path) -> Store:
    """Another empty store, as on another machine."""
    store = open_store(tmp_path / "other")
    store.init()
    return store


@pytest.fixture
def beamline(store: Store) -> Store:
    """Two raw files -> scan -> reconstruction -> product and table, by three runs, the last of which has two steps."""
    row, column = np.mgrid[:24, :24] - 12
    blob = np.exp(-(row**2 + column**2) / 40)
    wave = (blob * np.exp(1j * row / 9)).astype(np.complex64)
    path = np.arange(30.0)
    raw = store.put(
        RawFile("fly001.npz", b"raw" * 2000, {"licence": "CC BY 4.0", "source": "2-ID"}, "scan/1"), "raw/fly"
    )
    dark = store.put(RawFile(f"dark {HOSTILE}.h5", b"dark" * 300, {"licence": "CC0"}))
    scan = store.put({"diffraction": np.stack([blob, 2 * blob]), "xcoords": path, "ycoords": path**0.5}, "scan/fly")
    loss = np.exp(-path / 5)
    arrays = (wave, wave[None], path, path, 0.0, 0.0, loss)
    solved = store.put(Reconstruction(*arrays, {"r_factor": 0.03}, {"epochs": 30}), "solved/fly")
    patch = store.put(b"-lr = 1\n+lr = 3  # <b>\n")
    product = store.put({"data": np.abs(wave), "inner": {"text": b"hello"}, "note": HOSTILE}, "product/fly")
    table = store.put(pd.DataFrame({"a": range(20), HOSTILE: [f"n{i}" for i in range(20)]}))
    store.add_manifest("ingest", inputs={"raw": raw, "dark": dark}, outputs={"scan": scan}, status="finished")
    store.add_manifest(
        "solve",
        inputs={"scan": scan},
        outputs={"solved": solved},
        run_type="experiment",
        status="finished",
        parameters={"epochs": 30, "schedule": {"lr": 1e-3, HOSTILE: [1, 2]}},
        metrics={"r_factor": 0.03, "loss": loss.tolist()},
        seeds={"numpy": 3},
        code={"commit": "1b34d1c" + "0" * 33, "repository": "https://example.org/code.git", "diff": patch.digest},
        environment={"python": "3.11", "packages": {"numpy": "2.1"}},
        started_at="2026-11-01T10:00:00.000+00:00",
        ended_at="2026-11-01T10:04:00.000+00:00",
        links={"mlflow": "https://mlflow.example.org/r/1", "bad": "javascript:alert(1)"},
        tags={"agent": "Ann"},
        notes={"checks": {"scan/1": "passed"}, "by": HOSTILE},
    )
    steps = (
        Step("phase", {"solved": solved.digest}, {"product": product.digest}, "2026-11-01T11:00:00.000+00:00", 1.5),
        Step(f"table {HOSTILE}", {"scan": scan.digest}, {"table": table.digest}),
    )
    used = {"inputs": {"solved": solved, "scan": scan}, "outputs": {"product": product, "table": table}}
    store.add_manifest("export", **used, steps=steps, status="failed", error=f"boom {HOSTILE}", parent="solve")
    return store


@pytest.fixture
def long_chain(store: Store) -> Callable[[int], Ref]:
    """Give what records so many runs, each made from what the one before wrote; return the last value."""

    def recorded(runs: int) -> Ref:
        refs = store.put_all([{"number": number} for number in range(runs + 1)])
        for number in range(runs):
            store.add_manifest(f"run-{number:04}", inputs={"a": refs[number]}, outputs={"b": refs[number + 1]})
        return refs[-1]

    return recorded
