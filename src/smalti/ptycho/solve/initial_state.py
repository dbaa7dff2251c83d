"""The initial state of the optimizer: forward model, initial object and initial probe of a scan."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.ptycho.forward import ForwardModel
from smalti.ptycho.geometry import Placement
from smalti.ptycho.losses import LOSSES
from smalti.ptycho.optics.modes import initial_modes
from smalti.ptycho.optics.probe import initial_probe, pupil_support
from smalti.ptycho.optics.propagation import propagation_of
from smalti.ptycho.patterns import one_count
from smalti.ptycho.solve.optimizer import Report, SolverState
from smalti.ptycho.solve.search import Trial, find_probe
from smalti.ptycho.solve.settings import SolverSettings

ANSCOMBE = 0.375  # of a count


def forward_model(
    scan: Scan, mean: NDArray[np.float64], placement: Placement, settings: SolverSettings
) -> ForwardModel:
    """Return the forward model of a scan with this (H, W) mean intensity.

    Raises:
        Refused: a near-field scan that does not state energy, distance and object pixel.
    """
    support = pupil_support(scan, mean)
    rms_pupil = math.sqrt(mean.sum() / support.sum() * mean.size)
    good = np.ones(mean.shape, np.bool_) if scan.bad_pixels is None else ~scan.bad_pixels
    light = (np.sqrt(mean) if settings.loss == "absolute" else mean).sum(where=good)
    propagation = propagation_of(scan)
    return ForwardModel(
        window=mean.shape,
        propagation=propagation,
        loss=LOSSES[settings.loss],
        # Patterns may be in any unit; the least intensity above 0 is taken for one count.
        floor=max(ANSCOMBE * one_count(scan.diffraction, good), 1e-9 * float(mean.mean())),
        weight=mx.array(propagation.as_measured((good / light).astype(np.float32))),
        pupil_scale=mx.array((support * rms_pupil).astype(np.float32)),
        between_pixels=not placement.is_whole or settings.refine_positions_from is not None,
    )


def initial_probe_modes(
    scan: Scan, mean: NDArray[np.float64], settings: SolverSettings, trial: Trial, report: Report | None
) -> NDArray[np.complex64]:
    """Return the initial (P, H, W) modes: the probe guess or the result of a search, as many as the settings ask for.

    Raises:
        Refused: a guess without light, or a number of modes that the probe cannot have.
    """
    search = scan.probe_guess is None if settings.search_probe is None else settings.search_probe
    probe = find_probe(scan, trial, report) if search else initial_probe(scan, mean)
    return initial_modes(probe, settings.probe_modes or len(probe))


def initial_state(
    initial_object: NDArray[np.complex64] | None, probe: NDArray[np.complex64], placement: Placement
) -> SolverState:
    """Return the state before the first epoch; the object is 1 + 0j where none is given.

    Raises:
        Refused: an initial object of another shape than the canvas.
    """
    canvas = placement.canvas.shape
    if initial_object is not None and initial_object.shape != canvas:
        raise Refused(
            f"the initial object is {initial_object.shape}, but the canvas of this scan is {canvas}; "
            "make it with the padding of the settings."
        )
    obj = np.ones(canvas, np.complex64) if initial_object is None else initial_object.astype(np.complex64)
    pupil = np.fft.fft2(probe).astype(np.complex64)
    return SolverState.initial(obj, pupil, len(placement.rows), "flat" if initial_object is None else "given")


def check_state(state: SolverState, placement: Placement, window: tuple[int, ...]) -> None:
    """Refuse a state whose object, pupil or positions have not the shapes of this canvas, window and scan.

    Raises:
        Refused: they have not.
    """
    has = (state.arrays["object"].shape, state.arrays["pupil"].shape[1:], len(state.positions.shift_px))
    needs = (placement.canvas.shape, window, len(placement.rows))
    if has != needs:
        raise Refused(
            f"the state has object, pupil and patterns of {has}, but this scan and these settings take {needs}; "
            "resume with those that it was made with."
        )
