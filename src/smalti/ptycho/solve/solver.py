"""Reconstruct a scan by gradient descent through the forward model.

The unknowns are the object, the pupil (the probe's Fourier transform) and, if wanted, the positions. What is seen is
one thin slice: an object that is thick against its resolution (multi-slice) is not modelled.

Source: S. Kandel et al., Opt. Express 27, 18653 (2019).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import canonical
from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan, open_scan
from smalti.ptycho.evaluate import metrics
from smalti.ptycho.geometry import Placement, place
from smalti.ptycho.optics.modes import orthogonal_modes
from smalti.ptycho.optics.probe import mean_intensity
from smalti.ptycho.solve.initial_state import check_state, first_probe, first_state, model_of
from smalti.ptycho.solve.optimizer import Descent, Report, SolverState
from smalti.ptycho.solve.patterns import Pools
from smalti.ptycho.solve.search import find_probe
from smalti.ptycho.solve.settings import SolverSettings
from smalti.training.environment import describe_environment

__all__ = ["SolverSettings", "SolverState", "solve", "solve_stored"]

TRIAL = SolverSettings(epochs=5, batch=12, search_probe=False)
SAVE_EVERY_s = 60.0


def solve(
    scan: Scan,
    settings: SolverSettings,
    start_object: NDArray[np.complex64] | None = None,
    report: Report | None = None,
    *,
    resume: SolverState | None = None,
    save: Callable[[SolverState], None] | None = None,
) -> Reconstruction:
    """Return the object and probe that explain ``scan``; the same bits each time on the same machine and BLAS.

    Args:
        scan: its ``diffraction`` may be a LazyArray; no more than ``patterns.POOL_NBYTES`` of it are then in memory.
        start_object: complex64 on the canvas that ``place`` makes with ``settings.padding``; 1 + 0j if None.
            A truth that comes with the scan is never started from, only compared with.
        report: is called after each epoch with ``epoch`` (counted from 1), ``epochs``, ``loss`` and
            ``patterns_per_s``; and before, for each trial of a search for the probe, with what ``find_probe`` says.
        resume: where a run of the same scan and settings stood after an epoch; it goes on to the same bits.
        save: is called after each epoch with the state to resume from.

    Returns:
        ``loss`` is a pattern's loss (see ``smalti.ptycho.solve.losses``) after each epoch, where no light at all is
        worth 1 or about that. ``metrics`` holds ``r_factor``, and the figures of ``metrics.compare`` where the truth
        is known. Refined positions have the same mean as those of the scan.

    Raises:
        Refused: a start object or a state of another shape, or rates so large that the loss is no longer finite; a
            near-field scan without what its way to the detector takes; a scan without light.
    """
    placement = place(scan.xcoords, scan.ycoords, scan.diffraction.shape[1:], settings.padding)
    mean = mean_intensity(scan)
    model = model_of(scan, mean, placement, settings)
    if resume is None:
        resume = first_state(start_object, first_probe(scan, mean, settings, _trial, report), placement)
    check_state(resume, placement, mean.shape)
    descent = Descent(model, Pools(scan.diffraction, settings.batch), placement, settings, resume)
    while descent.epoch < settings.epochs:
        told = descent.pass_once()
        if save is not None:
            save(descent.state)
        if report is not None:
            report(told)
    return _reconstruction(scan, settings, placement, descent.state)


def with_probe(scan: Scan, report: Report | None = None) -> Scan:
    """Return the scan with a probe to start from: its own, or where it has none what ``find_probe`` finds."""
    return scan if scan.probe_guess is not None else replace(scan, probe_guess=find_probe(scan, _trial, report))


def _trial(scan: Scan) -> float:
    """Return how well the probe guess of a scan does in a few epochs."""
    return float(solve(scan, TRIAL).loss[-1])


def _reconstruction(scan: Scan, settings: SolverSettings, placement: Placement, state: SolverState) -> Reconstruction:
    """Return what a state has found, with its figures."""
    found = state.arrays["object"]
    probe = np.fft.ifft2(state.arrays["pupil"]).astype(np.complex64)
    xcoords = scan.xcoords - placement.canvas.origin_x + state.drift.moved_px[:, 1]
    ycoords = scan.ycoords - placement.canvas.origin_y + state.drift.moved_px[:, 0]
    figures = {
        "r_factor": metrics.r_factor(
            scan.diffraction,
            found,
            probe,
            xcoords,
            ycoords,
            bad_pixels=scan.bad_pixels,
            near_field=metrics.NearField.of(scan),
        )
    }
    if scan.object_guess is not None and scan.metadata.object_role == "truth":
        figures |= _against_truth(scan.object_guess, scan, found, placement)
    return Reconstruction(
        object=found,
        probe=probe if len(probe) == 1 else orthogonal_modes(probe),
        xcoords=xcoords,
        ycoords=ycoords,
        origin_x=placement.canvas.origin_x,
        origin_y=placement.canvas.origin_y,
        loss=np.array(state.losses),
        metrics=figures,
        config={
            "solver": "gradient descent on object, pupil and positions",
            "start": state.start,
            "settings": asdict(settings),
            "environment": describe_environment(),
        },
    )


def _against_truth(
    truth: NDArray[np.complex64], scan: Scan, found: NDArray[np.complex64], placement: Placement
) -> dict[str, float]:
    """Return the figures of ``metrics.compare`` in the scanned area, where the two arrays lie over each other."""
    top, left = round(placement.canvas.origin_y), round(placement.canvas.origin_x)
    rows = slice(max(top, 0), min(top + found.shape[0], truth.shape[0]))
    cols = slice(max(left, 0), min(left + found.shape[1], truth.shape[1]))
    estimate = found[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
    area = metrics.scanned_area(scan.xcoords - cols.start, scan.ycoords - rows.start)
    return metrics.compare(estimate, truth[rows, cols], area)


def solve_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Solve a stored scan and store what comes out; a function for :func:`smalti.compute.run_child`.

    Patterns are read from the store as they are needed. The state on the way gets a name made of the request and of
    what it runs on: a run that died is gone on with from there, to the same bits.

    Args:
        request: ``store`` (path), ``scan`` (digest), ``checkpoint`` (digest of a network that makes the start
            object, or None), ``settings`` (fields of SolverSettings), and, if wanted, ``save_every_s``.
        report: also gets ``{"checkpoint": digest, "epoch": epoch}`` for every state that was stored.

    Returns:
        ``{"digest": digest, "new_bytes": bytes added}`` of the Reconstruction.

    Raises:
        NotFound: nothing in the store answers to a digest.
        Refused: an unknown setting, or what ``solve`` refuses.
    """
    from smalti import open_store
    from smalti.ptycho.network.train import predict_object

    store = open_store(request["store"])
    settings = SolverSettings.from_request(request["settings"])
    scan = open_scan(store, request["scan"])
    name = _progress_name(request["scan"], request.get("checkpoint"), settings)
    saved = time.monotonic()

    def save(state: SolverState) -> None:
        nonlocal saved
        if time.monotonic() - saved >= request.get("save_every_s", SAVE_EVERY_s):
            report({"checkpoint": store.put(state.to_tree(), name).digest, "epoch": len(state.losses)})
            saved = time.monotonic()

    resume = SolverState.from_stored(store.get(name)) if store.versions(name) else None
    if resume is None and settings.search_probe is None:
        scan = with_probe(scan, report)
    start = None
    if resume is None and request.get("checkpoint") is not None:
        start = predict_object(scan, store.get(request["checkpoint"]), settings.padding)
    ref = store.put(solve(scan, settings, start, report, resume=resume, save=save))
    store.forget(name)
    return {"digest": ref.digest, "new_bytes": ref.new_bytes}


def _progress_name(scan: str, checkpoint: str | None, settings: SolverSettings) -> str:
    """Return the name of a run's states: another machine or version would not go on to the same bits."""
    what = {"scan": scan, "checkpoint": checkpoint, "settings": asdict(settings), "on": describe_environment()}
    return f"solving/{hashlib.sha256(canonical.dumps(what)).hexdigest()[:32]}"
