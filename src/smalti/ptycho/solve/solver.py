"""Reconstruct a scan by gradient descent through the forward model.

The unknowns are the object, the pupil (the probe's Fourier transform) and, if wanted, the positions. The object is one
thin slice: multi-slice propagation inside a thick sample is not modelled.

Source: S. Kandel et al., Opt. Express 27, 18653 (2019).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.ptycho.evaluate import metrics
from smalti.ptycho.geometry import Placement, place
from smalti.ptycho.optics.modes import orthogonal_modes
from smalti.ptycho.optics.near_field import NearField
from smalti.ptycho.optics.probe import mean_intensity
from smalti.ptycho.patterns import ShuffleBuffer
from smalti.ptycho.solve.initial_state import check_state, forward_model, initial_probe_modes, initial_state
from smalti.ptycho.solve.optimizer import Optimizer, Report, SolverState
from smalti.ptycho.solve.search import find_probe
from smalti.ptycho.solve.settings import SolverSettings
from smalti.training.environment import describe_environment

__all__ = ["SolverSettings", "SolverState", "solve", "with_probe_guess"]

TRIAL = SolverSettings(epochs=5, batch=12, search_probe=False)


def solve(
    scan: Scan,
    settings: SolverSettings,
    initial_object: NDArray[np.complex64] | None = None,
    report: Report | None = None,
    *,
    resume: SolverState | None = None,
    save: Callable[[SolverState], None] | None = None,
) -> Reconstruction:
    """Return the object and probe that explain ``scan``; the same bits each time on the same machine and BLAS.

    Args:
        scan: its ``diffraction`` may be a LazyArray; it is then read through a buffer of ``patterns.BUFFER_NBYTES``.
        initial_object: complex64 on the canvas that ``place`` makes with ``settings.padding``; 1 + 0j if None.
            The object guess of the scan is never used, only compared with where it is the truth.
        report: is called after each epoch with ``epoch`` (counted from 1), ``epochs``, ``loss`` and
            ``patterns_per_s``; and before, for each trial of a search for the probe, as ``find_probe`` calls it.
        resume: the state of a run of the same scan and settings after an epoch; the result has the same bits as that
            of a run without interruption.
        save: is called after each epoch with the state to resume from.

    Returns:
        ``loss`` holds the mean loss per pattern in each epoch (see ``smalti.ptycho.losses``), normalised so that a
        model without light has about 1, with the loss ``poisson`` about 3.5. ``metrics`` holds ``r_factor``, and the
        metrics of ``metrics.compare`` where the truth is known. Corrected positions have the mean of the stated ones,
        as far as ``position_range_px`` allows.

    Raises:
        Refused: an initial object or a state of another shape; rates so large that the loss is no longer finite; a
            near-field scan that does not state energy, distance and object pixel; a scan without light.
    """
    placement = place(scan.xcoords, scan.ycoords, scan.diffraction.shape[1:], settings.padding)
    mean = mean_intensity(scan)
    model = forward_model(scan, mean, placement, settings)
    if resume is None:
        resume = initial_state(initial_object, initial_probe_modes(scan, mean, settings, _trial, report), placement)
    check_state(resume, placement, mean.shape)
    optimizer = Optimizer(model, ShuffleBuffer(scan.diffraction, settings.batch), placement, settings, resume)
    while optimizer.epoch < settings.epochs:
        told = optimizer.run_epoch()
        if save is not None:
            save(optimizer.state)
        if report is not None:
            report(told)
    return _reconstruction(scan, settings, placement, optimizer.state)


def with_probe_guess(scan: Scan, report: Report | None = None) -> Scan:
    """Return the scan, where it has no probe guess with the probe that ``find_probe`` finds."""
    return scan if scan.probe_guess is not None else replace(scan, probe_guess=find_probe(scan, _trial, report))


def _trial(scan: Scan) -> float:
    """Return the loss after a few epochs from the probe guess of a scan."""
    return float(solve(scan, TRIAL).loss[-1])


def _reconstruction(scan: Scan, settings: SolverSettings, placement: Placement, state: SolverState) -> Reconstruction:
    """Return the reconstruction of a state, with its metrics."""
    found = state.arrays["object"]
    probe = np.fft.ifft2(state.arrays["pupil"]).astype(np.complex64)
    xcoords = scan.xcoords - placement.canvas.origin_x + state.positions.shift_px[:, 1]
    ycoords = scan.ycoords - placement.canvas.origin_y + state.positions.shift_px[:, 0]
    figures = {
        "r_factor": metrics.r_factor(
            scan.diffraction,
            found,
            probe,
            xcoords,
            ycoords,
            bad_pixels=scan.bad_pixels,
            near_field=NearField.of(scan),
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
            "initial_object": state.initial_object,
            "settings": asdict(settings),
            "environment": describe_environment(),
        },
    )


def _against_truth(
    truth: NDArray[np.complex64], scan: Scan, found: NDArray[np.complex64], placement: Placement
) -> dict[str, float]:
    """Return the metrics of ``metrics.compare`` in the scanned area, with both arrays cropped to common pixels."""
    top, left = round(placement.canvas.origin_y), round(placement.canvas.origin_x)
    rows = slice(max(top, 0), min(top + found.shape[0], truth.shape[0]))
    cols = slice(max(left, 0), min(left + found.shape[1], truth.shape[1]))
    estimate = found[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
    area = metrics.scanned_area(scan.xcoords - cols.start, scan.ycoords - rows.start)
    return metrics.compare(estimate, truth[rows, cols], area)
