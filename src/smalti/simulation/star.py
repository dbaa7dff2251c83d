"""A far-field scan of a Siemens star with a textured phase and an uncorrelated amplitude."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.memoize import memoize
from smalti.simulation.exposure import (
    JITTER,
    SOURCE,
    STEP,
    check,
    expose,
    far_field_metadata,
    jittered_raster,
    side_of_object,
)
from smalti.simulation.optics import Wave, probe_of, to_far_field

PHASE_RANGE_rad = 0.9  # STAR_SHARE of it by the star, the rest by a fine texture
STAR_SHARE = 0.8
AMPLITUDE_RANGE = (0.55, 1.0)
SPOKES = 18
EDGE_pixels = 0.7  # half the width over which a spoke begins
GRAIN_pixels = (2.0, 4.0)  # of the texture of the phase, and of the amplitude


@memoize(version=1)
def simulate_star(
    name: str,
    *,
    positions_per_side: int = 23,
    window: int = 64,
    photons_per_pattern: float = 1e6,
    whole_pixels: bool = False,
    seed: int = 0,
) -> Scan:
    """Return a far-field scan of a Siemens star with Poisson noise; its ``object_guess`` is the truth.

    The positions are a jittered raster, and the probe guess is exact. Metrics are meant for :func:`interior`.

    Args:
        name: the scan's name.
        positions_per_side: the raster has this many rows and columns.
        window: pixels along a pattern's side.
        photons_per_pattern: photons in the probe, before the object absorbs any.
        whole_pixels: round the windows to whole pixels.
        seed: decides the jitter and the noise; the object is always the same.

    Raises:
        Refused: a number that gives no scan.
    """
    check(positions_per_side, window, photons_per_pattern)
    rng = np.random.default_rng(seed)
    first = jittered_raster(positions_per_side, STEP * window, rng)
    if whole_pixels:
        first = np.rint(first)
    metadata = far_field_metadata(name, window).model_copy(
        update={
            "title": "Simulated far-field scan of a Siemens star",
            "source": f"{SOURCE}, {photons_per_pattern:g} photons per pattern, seed {seed}",
        }
    )
    truth = star(side_of_object(first, window))
    return expose(truth, probe_of(window), first, photons_per_pattern, rng, metadata, to_far_field)


def interior(positions_per_side: int = 23, window: int = 64) -> tuple[slice, slice]:
    """Return the area for metrics of a simulated star: between the mean positions of the outermost raster lines.

    With 23 positions per side and 64 pixels this is 126 x 126 pixels, from [35, 35] of the true object.
    """
    begin = math.ceil(1 + JITTER * STEP * window + (window - 1) / 2)
    lines = slice(begin, begin + math.floor((positions_per_side - 1) * STEP * window))
    return lines, lines


def star(side: int) -> Wave:
    """Return a (side, side) Siemens star of PHASE_RANGE_rad with texture; its amplitude is another texture."""
    rng = np.random.default_rng(0)
    fine, coarse = (_texture(side, grain, rng) for grain in GRAIN_pixels)
    phase_rad = PHASE_RANGE_rad * (STAR_SHARE * _spokes(side) + (1 - STAR_SHARE) * fine)
    return np.asarray(np.interp(coarse, (0, 1), AMPLITUDE_RANGE) * np.exp(1j * phase_rad), dtype=np.complex128)


def _spokes(side: int) -> NDArray[np.float64]:
    """Return (side, side) values from 0 to 1: the spokes of a star around the centre, with soft edges."""
    axis = np.arange(side) - (side - 1) / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    angle = SPOKES * np.arctan2(y, x)
    to_edge_pixels = np.sin(angle) * np.hypot(x, y) / SPOKES  # to the nearest edge of a spoke, near that edge
    return np.asarray(0.5 + 0.5 * np.tanh(to_edge_pixels / EDGE_pixels))


def _texture(side: int, grain_pixels: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (side, side) values from 0 to 1: white noise blurred by a Gaussian of sigma ``grain_pixels``."""
    frequency = np.fft.fftfreq(side)
    blur = np.exp(-2 * (math.pi * grain_pixels) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * blur).real
    return np.asarray((noise - noise.min()) / np.ptp(noise))
