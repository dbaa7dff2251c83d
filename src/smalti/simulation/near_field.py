"""A near-field scan of a Siemens star: the detector is 1 mm behind the object, each pattern a Fresnel hologram."""

from __future__ import annotations

from functools import partial

import numpy as np

from smalti.codecs.scan import Scan, ScanMetadata, Stated
from smalti.memoize import memoize
from smalti.simulation.exposure import (
    SOURCE,
    STEP,
    PHOTON_ENERGY_eV,
    WAVELENGTH_m,
    check,
    expose,
    jittered_raster,
    side_of_object,
)
from smalti.simulation.optics import PROBE_RADIUS, probe_of, to_near_field
from smalti.simulation.star import star

DETECTOR_DISTANCE_m = 1e-3
PIXEL_SIZE_m = 1e-7


@memoize(version=1)
def simulate_near_field(
    name: str,
    *,
    positions_per_side: int = 12,
    window: int = 64,
    photons_per_pattern: float = 1e6,
    seed: int = 0,
) -> Scan:
    """Return a near-field scan of a Siemens star with Poisson noise; its ``object_guess`` is the truth.

    The probe is small enough that diffraction over 1 mm leaves its light inside the window.

    Args:
        name: the scan's name.
        positions_per_side: the raster has this many rows and columns.
        window: pixels along a pattern's side.
        photons_per_pattern: photons in the probe, before the object absorbs any.
        seed: decides the jitter and the noise; the object is always the same.

    Raises:
        Refused: a number that gives no scan.
    """
    check(positions_per_side, window, photons_per_pattern)
    rng = np.random.default_rng(seed)
    first = jittered_raster(positions_per_side, STEP * window, rng)
    metadata = ScanMetadata(
        name=name,
        title="Simulated near-field scan of a Siemens star",
        source=f"{SOURCE}, {photons_per_pattern:g} photons per pattern, seed {seed}",
        version="1",
        licence="CC0-1.0",
        photon_energy_eV=Stated(value=PHOTON_ENERGY_eV, note="simulated"),
        detector_distance_m=Stated(value=DETECTOR_DISTANCE_m, note="simulated"),
        detector_pixel_size_m=Stated(value=PIXEL_SIZE_m, note="simulated"),
        object_pixel_size_m=Stated(value=PIXEL_SIZE_m, note="simulated"),
        far_field=False,
        object_role="truth",
    )
    propagate = partial(
        to_near_field, distance_m=DETECTOR_DISTANCE_m, wavelength_m=WAVELENGTH_m, pixel_size_m=PIXEL_SIZE_m
    )
    truth = star(side_of_object(first, window))
    return expose(truth, probe_of(window, radius=PROBE_RADIUS), first, photons_per_pattern, rng, metadata, propagate)
