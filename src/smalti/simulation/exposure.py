"""Simulated exposure of a known object at many positions, with Poisson noise, as a scan."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan, ScanMetadata, Stated
from smalti.errors import Refused
from smalti.optics import far_field_pixel_m, fourier_shift, wavelength_m
from smalti.simulation.optics import Wave

T = TypeVar("T", np.complex64, np.complex128)

SOURCE = "smalti.simulation"  # the source of every simulated scan begins with it

STEP = 0.09  # of the window, from one raster position to the next
JITTER = 0.3  # of the step, in either direction

PHOTON_ENERGY_eV = 8800.0
WAVELENGTH_m = wavelength_m(PHOTON_ENERGY_eV)
FAR_DETECTOR_DISTANCE_m = 2.0
FAR_DETECTOR_PIXEL_SIZE_m = 75e-6


def check(positions_per_side: int, window: int, photons_per_pattern: float) -> None:
    """Raise ``Refused`` for fewer than 1 position, 16 pixels or any photon."""
    if positions_per_side < 1 or window < 16 or photons_per_pattern <= 0:
        raise Refused(
            f"{positions_per_side} positions per side, a window of {window} pixels and "
            f"{photons_per_pattern:g} photons give no scan; "
            "take at least 1 position, 16 pixels and more than 0 photons."
        )


def jittered_raster(per_side: int, step: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the (N, 2) first row and column of each window, fractions included, all at least 1."""
    rows, cols = np.meshgrid(np.arange(per_side), np.arange(per_side), indexing="ij")
    raster = np.stack([rows.ravel(), cols.ravel()], axis=1) * step
    return raster + rng.uniform(0, 2 * JITTER * step, raster.shape) + 1


def side_of_object(first: NDArray[np.float64], window: int) -> int:
    """Return the side of a square object that contains every window, rounded to whole pixels."""
    return math.ceil(float(first.max())) + window + 1


def expose(
    truth: Wave,
    probe: NDArray[np.complex64],
    first: NDArray[np.float64],
    photons_per_pattern: float,
    rng: np.random.Generator,
    metadata: ScanMetadata,
    propagate: Callable[[Wave], Wave],
) -> Scan:
    """Return the scan: Poisson counts of the propagated exit waves, as amplitudes.

    Args:
        truth: (M, K) object.
        probe: (H, W) of unit energy; scaled to ``photons_per_pattern`` it is also the probe guess.
        first: (N, 2) row and column where each window begins, in pixels of ``truth``; fractions shift the probe.
        propagate: from an exit wave to the wave on the detector, DC in the centre.
    """
    lit = probe.astype(np.complex128) * math.sqrt(photons_per_pattern)
    rows_cols = np.rint(first).astype(int)
    intensity = np.stack(
        [
            np.abs(propagate(fourier_shift(lit, *(corner - whole)) * patch)) ** 2
            for corner, whole, patch in zip(first, rows_cols, _windows(truth, rows_cols, probe.shape), strict=True)
        ]
    )
    centre = first + (np.array(probe.shape) - 1) / 2
    return Scan(
        diffraction=np.sqrt(rng.poisson(intensity)).astype(np.float32),
        xcoords=np.ascontiguousarray(centre[:, 1]),
        ycoords=np.ascontiguousarray(centre[:, 0]),
        probe_guess=lit.astype(np.complex64)[None],
        object_guess=truth.astype(np.complex64),
        scan_index=np.arange(len(first), dtype=np.int64),
        metadata=metadata,
    )


def patches_of(scan: Scan) -> NDArray[np.complex64]:
    """Return (N, H, W): the true object of a simulated scan inside each window, at the nearest whole pixel.

    Raises:
        Refused: the object of the scan is not known to be the truth.
    """
    if scan.object_guess is None or scan.metadata.object_role != "truth":
        raise Refused(
            f"the scan {scan.metadata.name} does not contain its true object, so its patches are unknown; "
            "take a simulated scan."
        )
    window = scan.diffraction.shape[1:]
    first = np.stack([scan.ycoords, scan.xcoords], axis=1) - (np.array(window) - 1) / 2
    return _windows(scan.object_guess, np.rint(first).astype(int), window)


def _windows(image: NDArray[T], corners: NDArray[np.int_], window: tuple[int, ...]) -> NDArray[T]:
    """Return (N, H, W) copies of the windows of ``image`` that begin at these rows and columns."""
    return np.lib.stride_tricks.sliding_window_view(image, window)[corners[:, 0], corners[:, 1]]


def far_field_metadata(name: str, window: int) -> ScanMetadata:
    """Return the metadata of a simulated far-field scan, without title and source."""
    return ScanMetadata(
        name=name,
        version="1",
        licence="CC0-1.0",
        photon_energy_eV=Stated(value=PHOTON_ENERGY_eV, note="simulated"),
        detector_distance_m=Stated(value=FAR_DETECTOR_DISTANCE_m, note="simulated"),
        detector_pixel_size_m=Stated(value=FAR_DETECTOR_PIXEL_SIZE_m, note="simulated"),
        object_pixel_size_m=Stated(
            value=far_field_pixel_m(PHOTON_ENERGY_eV, FAR_DETECTOR_DISTANCE_m, FAR_DETECTOR_PIXEL_SIZE_m, window),
            note="wavelength * distance / (window * pixel)",
        ),
        object_role="truth",
    )
