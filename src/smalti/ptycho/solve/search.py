"""Search for an unknown probe: short trial reconstructions over a grid of defocus, then defocus and astigmatism.

The loss after a few epochs is lowest for probes within about 2 rad of the right defocus, sign included; from there the
solver's refinement finds the rest of the pupil. So the grid is ``STEP_rad`` apart and covers every defocus that fits
the window, and the best of it is refined in steps that are halved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.ptycho.optics.aperture import Aberrations, Aperture, aperture_of, to_probe, to_pupil
from smalti.ptycho.optics.probe import initial_probe, mean_intensity

TRIAL_PATTERNS = 36
STEP_rad = 2.5
STEPS_FROM_GUESS = 2  # in either direction
HALVINGS = 3
CROP_RADII = 2.5  # of the aperture: side of the part of a pattern that a trial uses
SIDE_MULTIPLE = 8  # Fourier transforms of such lengths are fast

Trial = Callable[[Scan], float]
Report = Callable[[dict[str, Any]], None]


def find_probe(scan: Scan, trial: Trial, report: Report | None = None) -> NDArray[np.complex64]:
    """Return the (P, H, W) probe with the lowest loss: that of the aperture or the guess, with some aberrations.

    Candidates are the aperture with every defocus of the grid and, where the scan has a guess, the guess with up to
    ``STEPS_FROM_GUESS`` steps more or less, because the guess of a file may have the wrong units, sign or defocus. In
    the near field the aperture is the beam itself and its defocus the curvature.

    Trials use at most ``TRIAL_PATTERNS`` neighbouring patterns and, in the far field, a crop of them around the
    aperture. Equal scans and trials give equal bits.

    Args:
        trial: returns the loss after a short reconstruction of the scan it is given, from the probe guess of that scan.
        report: is called after each trial with ``stage`` ("probe"), ``trial`` (counted from 1), ``trials``,
            ``initial_probe`` ("aperture" or "guess"), the fields of ``Aberrations``, and ``loss``.

    Raises:
        Refused: a scan or a guess without any light.
    """
    mean = mean_intensity(scan)
    aperture = aperture_of(mean, scan.metadata.far_field)
    some, side = _most_varied(scan), _crop_shape(aperture)
    initial = {"aperture": aperture.probe}
    grid = [("aperture", step) for step in _steps(math.ceil(aperture.largest_defocus_rad / STEP_rad))]
    if scan.probe_guess is not None:
        initial["guess"] = partial(aperture.aberrated, initial_probe(scan, mean))
        grid += [("guess", step) for step in _steps(STEPS_FROM_GUESS)]
    told: dict[str, Any] = {"stage": "probe", "trial": 0, "trials": len(grid) + 2 * HALVINGS * len(Aberrations._fields)}

    def attempt(name: str, aberrations: Aberrations) -> _Attempt:
        loss = trial(_cropped(replace(some, probe_guess=initial[name](aberrations)), side))
        told["trial"] += 1
        if report is not None:
            report(told | {"initial_probe": name, "loss": loss} | aberrations._asdict())
        return _Attempt(loss, name, aberrations)

    best = min(attempt(name, Aberrations(step * STEP_rad)) for name, step in grid)
    for halving in range(1, HALVINGS + 1):
        for name in Aberrations._fields:
            both = (best.aberrations.changed(name, sign * STEP_rad / 2**halving) for sign in (-1, 1))
            best = min(best, *(attempt(best.initial, aberrations) for aberrations in both))
    return initial_probe(replace(scan, probe_guess=initial[best.initial](best.aberrations)), mean)


class _Attempt(NamedTuple):
    """A trial, ordered by its loss."""

    loss: float
    initial: str
    aberrations: Aberrations


def _steps(either_way: int) -> range:
    return range(-either_way, either_way + 1)


def _most_varied(scan: Scan) -> Scan:
    """Return ``TRIAL_PATTERNS`` neighbouring patterns: of nine such groups the one with the largest variance.

    Where the sample is empty all patterns are equal, and any probe with their amplitude would fit them.
    """
    centres = product(*(np.quantile(axis, (0.5, 0.25, 0.75)) for axis in (scan.ycoords, scan.xcoords)))
    distances = (np.hypot(scan.ycoords - y, scan.xcoords - x) for y, x in centres)
    groups = [np.sort(np.argsort(distance, kind="stable")[:TRIAL_PATTERNS]) for distance in distances]
    good = np.s_[:] if scan.bad_pixels is None else ~scan.bad_pixels
    varied = max(groups, key=lambda group: float(_patterns(scan, group).var(axis=0)[good].sum()))
    return replace(
        scan,
        diffraction=_patterns(scan, varied),
        xcoords=scan.xcoords[varied],
        ycoords=scan.ycoords[varied],
        scan_index=scan.scan_index[varied],
        object_guess=None,
        patches=None,
    )


def _patterns(scan: Scan, group: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the patterns at these indexes, read by slices, which is all that lazy patterns offer."""
    return np.concatenate([scan.diffraction[i : i + 1] for i in group])


def _crop_shape(aperture: Aperture) -> tuple[int, int]:
    """Return the (rows, columns) around DC that a trial uses: the aperture and its surroundings; near field: all."""
    height, width = aperture.amplitude.shape
    if not aperture.far_field:
        return height, width
    off_centre = max(abs(float(aperture.down[height // 2, 0])), abs(float(aperture.right[0, width // 2])))
    side = SIDE_MULTIPLE * math.ceil((CROP_RADII + 2 * off_centre) * aperture.radius_pixels / SIDE_MULTIPLE)
    return min(side, height), min(side, width)


def _cropped(scan: Scan, side: tuple[int, int]) -> Scan:
    """Return the scan of a smaller detector: cropped patterns, the same field of view, larger object pixels."""
    window = scan.diffraction.shape[1:]
    if side == window or scan.probe_guess is None:
        return scan
    rows, columns = (slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(window, side, strict=True))
    return replace(
        scan,
        diffraction=np.ascontiguousarray(scan.diffraction[:, rows, columns]),
        bad_pixels=None if scan.bad_pixels is None else scan.bad_pixels[rows, columns],
        ycoords=scan.ycoords * (side[0] / window[0]),
        xcoords=scan.xcoords * (side[1] / window[1]),
        probe_guess=to_probe(to_pupil(scan.probe_guess)[:, rows, columns]).astype(np.complex64),
    )
