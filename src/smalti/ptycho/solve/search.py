"""The search for a probe that nobody measured: short trials of the solver over a range of defocus.

The loss after a few epochs tells a probe within about 2 rad of the right defocus from any other, sign included, long
before the object is good to look at; and from there the solver's own refinement finds the rest of the pupil. So a
grid over all defocus that fits the window does not miss it, and halving steps, over astigmatism too, come near enough.
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
STEPS_FROM_GUESS = 2  # either way
HALVINGS = 3
SEEN_RADII = 2.5  # of the aperture, across: what a trial sees of a pattern
SIDE_MULTIPLE = 8  # lengths that Fourier transforms are fast for

Trial = Callable[[Scan], float]
Report = Callable[[dict[str, Any]], None]


def find_probe(scan: Scan, trial: Trial, report: Report | None = None) -> NDArray[np.complex64]:
    """Return the (P, H, W) probe that explains the patterns best: the aperture's or the guess', with some aberrations.

    A guess is as good as any other: it is tried as it is and with some more and less defocus, beside the aperture with
    every defocus. Files come with a guess in the wrong units, of the wrong sign, or of another day. In the near field
    the aperture is the beam itself and its defocus the curvature.

    Trials see ``TRIAL_PATTERNS`` neighbours, and of each pattern the aperture and a quarter of its radius around. The
    same scan and trial give the same bits.

    Args:
        trial: returns the loss after a short solve of the scan it is given, from the probe guess of that scan.
        report: is called after each trial with ``stage`` ("probe"), ``trial`` (counted from 1), ``trials``, ``start``
            ("aperture" or "guess"), the fields of ``Aberrations``, and ``loss``.

    Raises:
        Refused: a scan or a guess without any light.
    """
    mean = mean_intensity(scan)
    aperture = aperture_of(mean, scan.metadata.far_field)
    some, side = _most_varied(scan), _seen(aperture)
    starts = {"aperture": aperture.probe}
    grid = [("aperture", step) for step in _steps(math.ceil(aperture.largest_defocus_rad / STEP_rad))]
    if scan.probe_guess is not None:
        starts["guess"] = partial(aperture.changed, initial_probe(scan, mean))
        grid += [("guess", step) for step in _steps(STEPS_FROM_GUESS)]
    told: dict[str, Any] = {"stage": "probe", "trial": 0, "trials": len(grid) + 2 * HALVINGS * len(Aberrations._fields)}

    def attempt(start: str, aberrations: Aberrations) -> _Attempt:
        loss = trial(_narrowed(replace(some, probe_guess=starts[start](aberrations)), side))
        told["trial"] += 1
        if report is not None:
            report(told | {"start": start, "loss": loss} | aberrations._asdict())
        return _Attempt(loss, start, aberrations)

    best = min(attempt(start, Aberrations(step * STEP_rad)) for start, step in grid)
    for halving in range(1, HALVINGS + 1):
        for name in Aberrations._fields:
            both = (best.aberrations.moved(name, sign * STEP_rad / 2**halving) for sign in (-1, 1))
            best = min(best, *(attempt(best.start, aberrations) for aberrations in both))
    return initial_probe(replace(scan, probe_guess=starts[best.start](best.aberrations)), mean)


class _Attempt(NamedTuple):
    """A trial; of two the lower has the lower loss."""

    loss: float
    start: str
    aberrations: Aberrations


def _steps(either_way: int) -> range:
    return range(-either_way, either_way + 1)


def _most_varied(scan: Scan) -> Scan:
    """Return ``TRIAL_PATTERNS`` neighbours, of nine such groups all over the scan those that differ most.

    Empty substrate makes the same pattern everywhere and would tell nothing about the probe.
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
    """Return these patterns, one after another: a scan larger than memory gives slices only."""
    return np.concatenate([scan.diffraction[i : i + 1] for i in group])


def _seen(aperture: Aperture) -> tuple[int, int]:
    """Return the (rows, columns) around DC that a trial sees: in the far field the aperture and its surroundings."""
    height, width = aperture.amplitude.shape
    if not aperture.far_field:
        return height, width
    off_centre = max(abs(float(aperture.down[height // 2, 0])), abs(float(aperture.right[0, width // 2])))
    side = SIDE_MULTIPLE * math.ceil((SEEN_RADII + 2 * off_centre) * aperture.radius_pixels / SIDE_MULTIPLE)
    return min(side, height), min(side, width)


def _narrowed(scan: Scan, side: tuple[int, int]) -> Scan:
    """Return a scan with a probe guess as a smaller detector sees it: as wide a window, of fewer, larger pixels."""
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
