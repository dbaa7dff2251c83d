"""Metrics of a reconstruction: R-factor against the patterns; PSNR and SSIM against a registered true object.

The forward model here is independent of the solver's, so that a mistake in the latter shows in the metrics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused
from smalti.optics import shift_ramp
from smalti.ptycho.evaluate.registration import Area, Complex, register
from smalti.ptycho.optics.near_field import NearField
from smalti.ptycho.patterns import Patterns

Float = NDArray[np.float32] | NDArray[np.float64]

BLOCK_PIXELS = 2**20  # of exit waves at once, all modes counted
SSIM_WINDOW_PIXELS = 11
CONSTANT = 1e-5  # an image whose values differ by no more, in rad or relative to the largest, is constant


def r_factor(
    diffraction: Patterns,
    object: Complex,
    probe: Complex,
    xcoords: NDArray[np.float64],
    ycoords: NDArray[np.float64],
    *,
    bad_pixels: NDArray[np.bool_] | None = None,
    near_field: NearField | None = None,
) -> float:
    """Return sum(abs(A - D)) / sum(D) over the good pixels of all patterns; 0 is perfect, A = 0 gives 1.

    Patterns are read in blocks, so that the scan may be larger than memory.

    Args:
        diffraction: (N, H, W) measured amplitude D; far field: DC at [H//2, W//2].
        object: (M, K) complex.
        probe: (P, H, W) complex modes in the orthonormal convention.
        xcoords, ycoords: (N,) probe centres in pixels of ``object``.
        bad_pixels: (H, W) bool, which pixels are left out; None for none.
        near_field: the propagation to the detector; None for the far field.

    Raises:
        Refused: a window is not wholly on the object, or no good pixel saw any light.

    Source: the R-factor of crystallography, on amplitudes: W. C. Hamilton, Acta Cryst. 18, 502 (1965).
    """
    good = slice(None) if bad_pixels is None else ~bad_pixels
    difference = total = 0.0
    for some, amplitude in _amplitudes(object, probe, xcoords, ycoords, near_field):
        measured = diffraction[some][:, good]
        difference += float(np.abs(amplitude[:, good] - measured).sum(dtype=np.float64))
        total += float(measured.sum(dtype=np.float64))
    if not total:
        raise Refused("every good pixel of the patterns is 0, so they have no R-factor; give patterns with light.")
    return difference / total


def _amplitudes(
    object: Complex,
    probe: Complex,
    xcoords: NDArray[np.float64],
    ycoords: NDArray[np.float64],
    near_field: NearField | None = None,
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield slices of the patterns, and their (B, H, W) modelled amplitudes in the layout of ``Scan.diffraction``."""
    height, width = probe.shape[-2:]
    top, left = ycoords - (height - 1) / 2, xcoords - (width - 1) / 2
    rows, cols = np.rint(top).astype(int), np.rint(left).astype(int)
    last_row, last_col = np.array(object.shape) - (height, width)
    if rows.min() < 0 or cols.min() < 0 or rows.max() > last_row or cols.max() > last_col:
        raise Refused(
            f"some of the {len(rows)} windows of {height} x {width} pixels leave the object of {object.shape}; "
            "give positions in pixels of this object."
        )
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(object, np.complex64), (height, width))
    spectrum = np.fft.fft2(np.asarray(probe, np.complex64))
    transfer = None if near_field is None else angular_spectrum(near_field, (height, width)).astype(np.complex64)
    at_once = max(1, BLOCK_PIXELS // probe.size)
    for start in range(0, len(xcoords), at_once):
        some = slice(start, start + at_once)
        ramp_y, ramp_x = shift_ramp(height, (top - rows)[some]), shift_ramp(width, (left - cols)[some])
        ramps = ramp_y.astype(np.complex64)[:, None, :, None] * ramp_x.astype(np.complex64)[:, None, None, :]
        wave = np.fft.fft2(windows[rows[some], cols[some]][:, None] * np.fft.ifft2(spectrum * ramps))  # (B, P, H, W)
        if transfer is None:
            intensity = (wave.real**2 + wave.imag**2).sum(axis=1) / (height * width)
            yield some, np.sqrt(np.fft.fftshift(intensity, axes=(-2, -1)))
        else:
            wave = np.fft.ifft2(wave * transfer)
            yield some, np.sqrt((wave.real**2 + wave.imag**2).sum(axis=1))


def angular_spectrum(near_field: NearField, shape: tuple[int, int]) -> NDArray[np.complex128]:
    """Return the (H, W) factor of each plane wave, DC at [0, 0]; evanescent waves get 0.

    The phase of the undeflected wave is left out: no intensity depends on it.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), section 3.10, angular spectrum.
    """
    down, right = (np.fft.fftfreq(n, near_field.pixel_size_m) * near_field.wavelength_m for n in shape)
    sine_squared = np.add.outer(down**2, right**2)
    cosine = np.sqrt(np.maximum(1 - sine_squared, 0))
    # cosine - 1 in a form that keeps its digits at small angles
    phase = -2 * math.pi * near_field.distance_m / near_field.wavelength_m * sine_squared / (1 + cosine)
    return np.where(sine_squared < 1, np.exp(1j * phase), 0)


def scanned_area(xcoords: NDArray[np.float64], ycoords: NDArray[np.float64]) -> Area:
    """Return the largest box of whole pixels between the outermost probe centres, which are in pixels of the array."""
    return (
        slice(math.ceil(ycoords.min()), math.floor(ycoords.max()) + 1),
        slice(math.ceil(xcoords.min()), math.floor(xcoords.max()) + 1),
    )


def psnr(estimate: Float, reference: Float) -> float:
    """Return the peak signal-to-noise ratio in dB, infinite for equal images.

    The peak is the range of ``reference``, max minus min.

    Source: Q. Huynh-Thu, M. Ghanbari, Electron. Lett. 44, 800 (2008), for its scope of validity.
    """
    mean_square = float(np.mean((estimate - reference) ** 2))
    return 10 * math.log10(float(np.ptp(reference)) ** 2 / mean_square) if mean_square else math.inf


def ssim(estimate: Float, reference: Float) -> float:
    """Return the mean structural similarity, 1 for equal images; the data range is that of ``reference``.

    Source: Z. Wang et al., IEEE Trans. Image Process. 13, 600 (2004), with its Gaussian window (sigma 1.5).
    """
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            estimate,
            reference,
            data_range=float(np.ptp(reference)),
            gaussian_weights=True,
            sigma=1.5,
            win_size=SSIM_WINDOW_PIXELS,
            use_sample_covariance=False,
        )
    )


def compare(estimate: Complex, truth: Complex, area: Area) -> dict[str, float]:
    """Return ``phase_psnr_dB``, ``phase_ssim``, ``amplitude_psnr_dB`` and ``amplitude_ssim`` inside ``area``.

    The estimate is registered first. Where the true phase (or amplitude) is constant up to rounding, the metrics of it
    are left out, because they are relative to its range; all are left out where the area is narrower than the window
    of the SSIM.
    """
    wanted = np.asarray(truth[area], dtype=np.complex128)
    if min(wanted.shape) < SSIM_WINDOW_PIXELS:
        return {}
    registered = register(estimate, truth, area)
    phase = np.angle(wanted)
    images = {
        "phase": (phase + np.angle(registered * wanted.conj()), phase),  # the difference does not wrap with the phase
        "amplitude": (np.abs(registered), np.abs(wanted)),
    }
    metrics: dict[str, float] = {}
    for name, (found, known) in images.items():
        if np.ptp(known) > CONSTANT * (1.0 if name == "phase" else known.max()):
            metrics[f"{name}_psnr_dB"] = psnr(found, known)
            metrics[f"{name}_ssim"] = ssim(found, known)
    return metrics
