"""Small, quick results in place of training and solving; a test can tell them from the scan and the seed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np

from resources import Compute
from smalti import Checkpoint, Reconstruction, Store
from smalti.codecs.scan import open_scan
from smalti.ptycho.evaluate.frc import FrcResult

SECONDS_EACH = "SMALTI_TEST_COMPUTE_s"  # how long a result takes: time to be killed in


class QuickCompute(Compute):
    """Answers what the entry points of ``smalti.ptycho.stored`` answer, without mlx and without a child process."""

    def run(
        self,
        log: dg.DagsterLogManager,
        function: str,
        *,
        lines: list[str] | None = None,
        on_progress: Callable[[dict[str, Any]], None] = lambda _: None,
        **request: Any,
    ) -> dict[str, Any]:
        time.sleep(float(os.environ.get(SECONDS_EACH, "0.5")))
        values = self.store.open()
        ref = values.put(_MADE[function.rpartition(":")[2]](values, request))
        return {"digest": ref.digest, "new_bytes": ref.new_bytes}


def level_of(values: Store, scan: str) -> float:
    """Return the one number that a scan of these tests is made of: its brightest amplitude."""
    return float(np.asarray(open_scan(values, scan).diffraction[0]).max())


def _checkpoint(values: Store, request: dict[str, Any]) -> Checkpoint:
    seed, level = request["settings"]["seed"], level_of(values, request["scan"])
    return Checkpoint(
        model={"level_and_seed": np.array([level, seed], np.float32)},
        optimizer={"step": np.zeros(1, np.float32)},
        config={"model_type": "none", "seed": seed},
        state={"history": [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}], "environments": []},
    )


def _reconstruction(values: Store, request: dict[str, Any]) -> Reconstruction:
    scan = open_scan(values, request["scan"])
    level, seed = values.get(request["checkpoint"]).model["level_and_seed"]
    positions, side = len(scan.xcoords), scan.diffraction.shape[-1]
    return Reconstruction(
        object=np.full((2 * side, 2 * side), complex(level, seed), np.complex64),
        probe=np.ones((1, side, side), np.complex64),
        xcoords=np.full(positions, float(side)),
        ycoords=np.full(positions, float(side)),
        origin_x=0.0,
        origin_y=0.0,
        loss=np.array([1.0, 0.5]),
        metrics={"r_factor": 0.1},
        config={"settings": request["settings"]},
    )


def _frc(values: Store, request: dict[str, Any]) -> Any:
    frequency = np.linspace(0, 1, 8)
    return FrcResult(frequency, 1 - frequency, 1 - frequency, np.arange(1, 9)).to_tree()


_MADE: dict[str, Callable[[Store, dict[str, Any]], Any]] = {
    "train_stored": _checkpoint,
    "solve_stored": _reconstruction,
    "frc_stored": _frc,
}
