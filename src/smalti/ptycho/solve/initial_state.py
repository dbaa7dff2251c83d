"""What a descent begins with: the forward model of a scan, and the first object and probe."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.ptycho.forward import ForwardModel
from smalti.ptycho.geometry import Placement
from smalti.ptycho.optics.modes import initial_modes
from smalti.ptycho.optics.probe import initial_probe, pupil_support
from smalti.ptycho.optics.propagation import propagation_of
from smalti.ptycho.solve.losses import LOSSES
from smalti.ptycho.solve.optimizer import Report, SolverState
from smalti.ptycho.solve.patterns import one_count
from smalti.ptycho.solve.search import Trial, find_probe
from smalti.ptycho.solve.settings import SolverSettings

ANSCOMBE = 0.375  # of a count


def model_of(scan: Scan, mean: NDArray[np.float64], placement: Placement, settings: SolverSettings) -> ForwardModel:
    """Return the forward model of a scan with this (H, W) mean intensity.

    Raises:
        Refused: a near-field scan without what its way to the detector takes.
    """
    support = pupil_support(scan, mean)
    usual_pupil = math.sqrt(mean.sum() / support.sum() * mean.size)
    good = np.ones(mean.shape, np.bool_) if scan.bad_pixels is None else ~scan.bad_pixels
    light = (np.sqrt(mean) if settings.loss == "absolute" else mean).sum(where=good)
    propagation = propagation_of(scan)
    return ForwardModel(
        window=mean.shape,
        propagation=propagation,
        loss=LOSSES[settings.loss],
        # One count is the least intensity that was ever seen, in whatever unit the patterns are.
        floor=max(ANSCOMBE * one_count(scan.diffraction, good), 1e-9 * float(mean.mean())),
        weight=mx.array(propagation.as_measured((good / light).astype(np.float32))),
        pupil_scale=mx.array((support * usual_pupil).astype(np.float32)),
        between_pixels=not placement.is_whole or settings.refine_positions_from is not None,
    )


def first_probe(
    scan: Scan, mean: NDArray[np.float64], settings: SolverSettings, trial: Trial, report: Report | None
) -> NDArray[np.complex64]:
    """Return the (P, H, W) modes to start from: the guess or what a search finds, with as many modes as are wanted.

    Raises:
        Refused: a guess without light, or a number of modes that the probe cannot have.
    """
    search = scan.probe_guess is None if settings.search_probe is None else settings.search_probe
    probe = find_probe(scan, trial, report) if search else initial_probe(scan, mean)
    return initial_modes(probe, settings.probe_modes or len(probe))


def first_state(
    start_object: NDArray[np.complex64] | None, probe: NDArray[np.complex64], placement: Placement
) -> SolverState:
    """Return the state before the first epoch.

    Raises:
        Refused: a start object of another shape than the canvas.
    """
    canvas = placement.canvas.shape
    if start_object is not None and start_object.shape != canvas:
        raise Refused(
            f"the start object is {start_object.shape}, but the canvas of this scan is {canvas}; "
            "make it with the padding of the settings."
        )
    obj = np.ones(canvas, np.complex64) if start_object is None else start_object.astype(np.complex64)
    pupil = np.fft.fft2(probe).astype(np.complex64)
    return SolverState.begin(obj, pupil, len(placement.rows), "flat" if start_object is None else "given")


def check_state(state: SolverState, placement: Placement, window: tuple[int, ...]) -> None:
    """Raise Refused unless a state is one of this canvas, these patterns and their window."""
    has = (state.arrays["object"].shape, state.arrays["pupil"].shape[1:], len(state.drift.moved_px))
    needs = (placement.canvas.shape, window, len(placement.rows))
    if has != needs:
        raise Refused(
            f"the state has object, pupil and patterns of {has}, but this scan and these settings take {needs}; "
            "resume with those that it was made with."
        )
