"""What the content-addressed IO manager costs an asset, beside Dagster's own that pickles into files."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import dagster as dg
import numpy as np

from benchmarks.line import Line, at_most
from resources import StoreIOManager, StoreResource

GOAL_ms = 15.0
_ASSETS = 20
_TURNS = 4
_SILENT = {"telemetry": {"enabled": False}}


def measure(rounds: int) -> list[Line]:
    """Return the milliseconds an asset of one small array costs, its input read and its output stored."""
    with tempfile.TemporaryDirectory() as place, dg.DagsterInstance.local_temp(place, _SILENT) as instance:
        store = StoreResource(place=f"{place}/store")
        both: dict[str, Callable[[], Any]] = {
            "ours": lambda: StoreIOManager(store=store),
            "stock": lambda: dg.FilesystemIOManager(base_dir=f"{place}/pickles"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in both}
        for number in range(_TURNS * rounds + 1):
            for name, manager in both.items():
                resources = {"io_manager": manager(), "store": store}
                seconds[name].append(_seconds(instance, resources, 2 * number + (name == "stock")))
    ours, stock = (1e3 * median(seconds[name][1:]) / _ASSETS for name in both)
    what = f"a run of {_ASSETS} assets in one process, per asset: "
    return [
        at_most(GOAL_ms, "the IO manager, per asset, beyond Dagster's FilesystemIOManager", ours - stock, "{:.1f} ms"),
        Line(f"{what}with ours", "", f"{ours:.1f} ms"),
        Line(f"{what}with FilesystemIOManager", "", f"{stock:.1f} ms"),
    ]


def _seconds(instance: dg.DagsterInstance, resources: dict[str, Any], seed: int) -> float:
    """Materialize a chain of assets, each with content that is new."""
    assets = [_asset(number, seed) for number in range(_ASSETS)]
    start = time.perf_counter()
    done = dg.materialize(assets, instance=instance, resources=resources)
    assert done.success
    return time.perf_counter() - start


def _asset(number: int, seed: int) -> dg.AssetsDefinition:
    ins = {"before": dg.AssetIn(f"a{number - 1}")} if number else {}

    @dg.asset(name=f"a{number}", ins=ins)
    def made(**before: Any) -> np.ndarray:
        return before["before"] + 1 if before else np.arange(1000.0) + 1e6 * seed

    return made
