"""Simulated ptychography scans: two photographs as object, a defocused probe, real far-field counts.

The object's amplitude is ``skimage.data.astronaut`` (NASA, public domain) and its phase is
``skimage.data.camera`` (Lav Varshney, CC0); both ship inside the scikit-image wheel, nothing is downloaded.
"""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan, ScanMetadata, Stated
from smalti.errors import Refused

PHOTON_ENERGY_eV = 8800.0
DETECTOR_DISTANCE_m = 2.0
DETECTOR_PIXEL_SIZE_m = 75e-6
PLANCK_eV_m = 1.23984198e-6

AMPLITUDE_RANGE = (0.55, 1.0)
PHASE_RANGE_rad = (-0.6, 0.6)

# All lengths are fractions of the window, so that any window shows the same picture.
PUPIL_RADIUS = 0.16
PUPIL_EDGE = 0.02
PROBE_RADIUS = 0.17
STEP = 0.09
JITTER = 0.3  # of the step, either way


def simulate_scan(
    name: str,
    *,
    positions_per_side: int = 24,
    window: int = 64,
    photons_per_pattern: float = 1e6,
    seed: int = 0,
) -> Scan:
    """Return a far-field scan of a known object with Poisson noise; its ``object_guess`` is the truth.

    The positions are a jittered raster on fractions of a pixel, neighbours overlap by about three quarters of
    the probe's diameter, and the probe guess is exact. One seed gives one scan.

    Args:
        name: the scan's name.
        positions_per_side: the raster has this many rows and columns.
        window: pixels along a pattern's side.
        photons_per_pattern: photons in the probe; a pattern counts what the object lets through.
        seed: decides the jitter and the noise.

    Raises:
        Refused: a number that gives no scan.
    """
    if positions_per_side < 1 or window < 16 or photons_per_pattern <= 0:
        raise Refused(
            f"{positions_per_side} positions per side, a window of {window} pixels and "
            f"{photons_per_pattern:g} photons give no scan; "
            "take at least 1 position, 16 pixels and more than 0 photons."
        )
    rng = np.random.default_rng(seed)
    first = _jittered_raster(positions_per_side, STEP * window, rng)  # (N, 2): top and left of each window
    probe = _defocused_probe(window) * math.sqrt(photons_per_pattern)
    truth = _object_from_photographs(math.ceil(first.max()) + window + 1)
    intensity = np.stack([_pattern(truth, probe, y, x) for y, x in first])
    counts = rng.poisson(intensity)
    centre = first + (window - 1) / 2
    return Scan(
        diffraction=np.sqrt(counts).astype(np.float32),
        xcoords=np.ascontiguousarray(centre[:, 1]),
        ycoords=np.ascontiguousarray(centre[:, 0]),
        probe_guess=probe[None].astype(np.complex64),
        object_guess=truth.astype(np.complex64),
        scan_index=np.arange(len(first), dtype=np.int64),
        metadata=_metadata(name, window, photons_per_pattern, seed),
    )


def _jittered_raster(per_side: int, step: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (N, 2) rows and columns, none below 1 so that a sub-pixel neighbour exists."""
    rows, cols = np.meshgrid(np.arange(per_side), np.arange(per_side), indexing="ij")
    raster = np.stack([rows.ravel(), cols.ravel()], axis=1) * step
    return raster + rng.uniform(0, 2 * JITTER * step, raster.shape) + 1


def _defocused_probe(window: int) -> NDArray[np.complex128]:
    """Return a (window, window) probe of unit energy: a soft round pupil, defocused to PROBE_RADIUS."""
    frequency = np.fft.fftfreq(window)
    radius = np.hypot(frequency[:, None], frequency[None, :]) / PUPIL_RADIUS
    soft_pupil = 0.5 * (1 - np.tanh((radius - 1) * PUPIL_RADIUS / PUPIL_EDGE))
    # A phase of c * radius**2 sends the pupil's edge c / (pi * PUPIL_RADIUS) pixels from the centre.
    defocus_rad = math.pi * PUPIL_RADIUS * PROBE_RADIUS * window
    pupil = soft_pupil * np.exp(1j * defocus_rad * radius**2)
    # The array's centre is (window - 1) / 2: half a pixel above and left of where fftshift leaves the focus.
    half_pixel = np.exp(1j * math.pi * (frequency[:, None] + frequency[None, :]))
    probe = np.fft.fftshift(np.fft.ifft2(pupil * half_pixel))
    return np.asarray(probe / np.linalg.norm(probe), dtype=np.complex128)


def _object_from_photographs(side: int) -> NDArray[np.complex128]:
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


def _pattern(
    truth: NDArray[np.complex128], probe: NDArray[np.complex128], top: float, left: float
) -> NDArray[np.float64]:
    """Return the expected counts, DC at [H//2, W//2], with the probe's window beginning at (top, left)."""
    height, width = probe.shape
    row, col = round(top), round(left)
    ramp = np.exp(-2j * math.pi * np.fft.fftfreq(height) * (top - row))[:, None] * np.exp(
        -2j * math.pi * np.fft.fftfreq(width) * (left - col)
    )
    exit_wave = np.fft.ifft2(np.fft.fft2(probe) * ramp) * truth[row : row + height, col : col + width]
    return np.asarray(np.abs(np.fft.fftshift(np.fft.fft2(exit_wave, norm="ortho"))) ** 2, dtype=np.float64)


def _metadata(name: str, window: int, photons_per_pattern: float, seed: int) -> ScanMetadata:
    wavelength_m = PLANCK_eV_m / PHOTON_ENERGY_eV
    object_pixel_size_m = wavelength_m * DETECTOR_DISTANCE_m / (window * DETECTOR_PIXEL_SIZE_m)
    return ScanMetadata(
        name=name,
        title="Simulated far-field scan of a known object",
        source=f"smalti.datasets.simulators, {photons_per_pattern:g} photons per pattern, seed {seed}; "
        "amplitude from skimage.data.astronaut (NASA), phase from skimage.data.camera (Lav Varshney)",
        version="1",
        licence="CC0-1.0",
        photon_energy_eV=Stated(value=PHOTON_ENERGY_eV, note="simulated"),
        detector_distance_m=Stated(value=DETECTOR_DISTANCE_m, note="simulated"),
        detector_pixel_size_m=Stated(value=DETECTOR_PIXEL_SIZE_m, note="simulated"),
        object_pixel_size_m=Stated(value=object_pixel_size_m, note="wavelength * distance / (window * pixel)"),
        object_role="truth",
    )


def write_raw_npz(scan: Scan, path: str | Path) -> None:
    """Write the raw file a beamline would leave, under PtychoPINN's keys; equal scans give equal bytes.

    The file appears whole or not at all. One probe mode is written as (H, W), several as (P, H, W).

    Source: PtychoPINN ``docs/data_contracts.md``, section 1.
    """
    probe = scan.probe_guess
    arrays: dict[str, Any] = {
        "diffraction": scan.diffraction,
        "probeGuess": probe[0] if probe is not None and len(probe) == 1 else probe,
        "objectGuess": scan.object_guess,
        "xcoords": scan.xcoords,
        "ycoords": scan.ycoords,
        "scan_index": scan.scan_index,
    }
    path = Path(path)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".partial", delete=False) as file:
        try:
            np.savez(file, **{key: array for key, array in arrays.items() if array is not None})
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def card_fields(scan: Scan) -> dict[str, Any]:
    """Return the fields of the card (``smalti.contracts.card.Card``) that says what the raw file cannot."""
    fields = scan.metadata.model_dump(mode="json", exclude_none=True)
    return {
        **{key: fields[key] for key in ("name", "title", "source", "version", "licence")},
        "reading": {
            "diffraction": {"quantity": "amplitude", "dc": "centre", "stack_axis": "first"},
            "positions": {"xcoords": "xcoords", "ycoords": "ycoords", "unit": "px"},
            "object": {"role": fields.get("object_role", "guess")},
        },
        "physics": {key: stated for key, stated in fields.items() if isinstance(stated, dict)},
    }
