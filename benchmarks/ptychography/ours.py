"""One case of the solver or the network in a process of its own: ``ours.py CASE STORE SCAN OUT.npz``, run with ``-m``.

SCAN is a name in STORE. OUT gets the object, the probe, the positions on the object, its origin and the loss of each
epoch; a line of JSON on stdout says the rest.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ptychography import evaluation
from smalti import open_store
from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.compute.blas import prepare_blas

prepare_blas()  # before mlx is imported below

from smalti.datasets.splits import split_positions  # noqa: E402
from smalti.ptycho.evaluate.split_halves import split_half_frc  # noqa: E402
from smalti.ptycho.network.train import predict_object, train_network  # noqa: E402
from smalti.ptycho.solve.solver import SolverSettings, solve  # noqa: E402
from smalti.training import TrainingSettings  # noqa: E402

Made = tuple[Reconstruction, dict[str, Any]]

KNOWN = SolverSettings(epochs=40, refine_probe=False)
DEFOCUSED = SolverSettings(epochs=60)
UNKNOWN = SolverSettings(epochs=60)
ONE_MODE = SolverSettings(epochs=12)
MODES = SolverSettings(epochs=30, loss="absolute", probe_modes=3, refine_positions_from=4)
AMPLITUDE_MODES = replace(MODES, loss="amplitude")
NETWORK = TrainingSettings(epochs=50)
COMPARED_EPOCHS = (3, 10, 30)  # after which the network's initial object is compared with a flat one
TIMED_EPOCHS = 4


def known(scan: Scan) -> Made:
    return solve(scan, KNOWN), {}


def defocused(scan: Scan) -> Made:
    return solve(scan, DEFOCUSED), {}


def unknown(scan: Scan) -> Made:
    return solve(scan, UNKNOWN), {}


def network(scan: Scan) -> Made:
    """Train on the patterns alone; the object is the network's prediction, without the solver."""
    return replace(evaluation.empty(scan), object=_predicted(scan)), {}


def star_one_mode(scan: Scan) -> Made:
    return solve(scan, ONE_MODE), {}


def star_modes(scan: Scan) -> Made:
    """Solve the measured star whole, and in two halves for the resolution."""
    return solve(scan, MODES), split_half_frc(scan, lambda half: solve(half, MODES)).metrics()


def star_modes_amplitude(scan: Scan) -> Made:
    """Do the same with the loss ``amplitude``, which is not nearly the R-factor, as ``absolute`` is."""
    return solve(scan, AMPLITUDE_MODES), split_half_frc(scan, lambda half: solve(half, AMPLITUDE_MODES)).metrics()


def timed(scan: Scan) -> Made:
    """Return the CPU seconds per epoch of the measured star, one mode, probe refined, without the first epoch."""
    ends: list[float] = []
    settings = SolverSettings(epochs=TIMED_EPOCHS + 1)
    made = solve(scan, settings, report=lambda _: ends.append(time.process_time()))
    return made, {"epoch_cpu_s": float(np.median(np.diff(ends)))}


def initial_objects(scan: Scan) -> Made:
    """Solve from a flat object and from that of a network, for a few epochs."""
    before = time.process_time()
    predicted = _predicted(scan)
    told: dict[str, Any] = {"network_cpu_s": time.process_time() - before}
    made = None
    for epochs in COMPARED_EPOCHS:
        for name, initial_object in (("flat", None), ("network", predicted)):
            before = time.process_time()
            made = solve(scan, replace(KNOWN, epochs=epochs), initial_object)
            told[f"{name} {epochs}"] = {
                "cpu_s": time.process_time() - before,
                "r_factor": made.metrics["r_factor"],
                **evaluation.against_truth(made, scan),
            }
    assert made is not None
    return made, told


def _predicted(scan: Scan) -> np.ndarray:
    split = split_positions(scan)
    checkpoint = train_network(scan, split["train"], split["validation"], NETWORK).last
    return predict_object(scan, checkpoint, evaluation.PADDING_px)


CASES: dict[str, Callable[[Scan], Made]] = {
    function.__name__: function
    for function in (
        known,
        defocused,
        unknown,
        network,
        star_one_mode,
        star_modes,
        star_modes_amplitude,
        timed,
        initial_objects,
    )
}


def main(case: str, store: str, scan: str, target: Path) -> None:
    made, told = CASES[case](open_store(store).get(scan))
    arrays = {name: getattr(made, name) for name in ("object", "probe", "xcoords", "ycoords", "loss")}
    np.savez(target, **arrays, origin=(made.origin_y, made.origin_x))
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:4], Path(sys.argv[4]))
