"""A far-field scan of two photographs, for demonstrations.

The object's amplitude is ``skimage.data.astronaut`` (NASA, public domain) and its phase is
``skimage.data.camera`` (Lav Varshney, CC0); both ship inside the scikit-image color_wheel, nothing is downloaded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.memoize import memoize
from smalti.simulation.exposure import (
    SOURCE,
    STEP,
    check,
    expose,
    far_field_metadata,
    jittered_raster,
    side_of_object,
)
from smalti.simulation.optics import PROBE_RADIUS, Wave, probe_of, to_far_field

AMPLITUDE_RANGE = (0.55, 1.0)
PHASE_RANGE_rad = (-0.6, 0.6)


@memoize(version=1)
def simulate_scan(
    name: str,
    *,
    positions_per_side: int = 24,
    window: int = 64,
    photons_per_pattern: float = 1e6,
    seed: int = 0,
) -> Scan:
    """Return a far-field scan of a known object with Poisson noise; its ``object_guess`` is the truth.

    The positions are a jittered raster on fractions of a pixel, a quarter of the probe's diameter apart, and the probe
    guess is exact. Equal arguments give equal scans.

    Args:
        name: the scan's name.
        positions_per_side: the raster has this many rows and columns.
        window: pixels along a pattern's side.
        photons_per_pattern: photons in the probe, before the object absorbs any.
        seed: decides the jitter and the noise.

    Raises:
        Refused: a number that gives no scan.
    """
    check(positions_per_side, window, photons_per_pattern)
    rng = np.random.default_rng(seed)
    first = jittered_raster(positions_per_side, STEP * window, rng)
    metadata = far_field_metadata(name, window).model_copy(
        update={
            "title": "Simulated far-field scan of a known object",
            "source": f"{SOURCE}, {photons_per_pattern:g} photons per pattern, seed {seed}; "
            "amplitude from skimage.data.astronaut (NASA), phase from skimage.data.camera (Lav Varshney)",
        }
    )
    truth = _object_from_photographs(side_of_object(first, window))
    return expose(truth, probe_of(window, radius=PROBE_RADIUS), first, photons_per_pattern, rng, metadata, to_far_field)


def _object_from_photographs(side: int) -> Wave:
    """Return a (side, side) object whose amplitude and phase are two photographs."""
    from skimage import color, data

    amplitude = _resized(color.rgb2gray(data.astronaut()), side, AMPLITUDE_RANGE)  # type: ignore[no-untyped-call]
    phase_rad = _resized(data.camera() / 255.0, side, PHASE_RANGE_rad)  # type: ignore[no-untyped-call]
    return np.asarray(amplitude * np.exp(1j * phase_rad), dtype=np.complex128)


def _resized(photograph: NDArray[np.float64], side: int, value_range: tuple[float, float]) -> NDArray[np.float64]:
    """Return a (side, side) copy of a photograph with its values, 0 to 1, stretched to ``value_range``."""
    from skimage import transform

    small = transform.resize(photograph, (side, side), anti_aliasing=True)  # type: ignore[no-untyped-call]
    return np.asarray(np.interp(small, (0, 1), value_range), dtype=np.float64)
