"""How good a reconstruction is: R-factor against the patterns; PSNR, SSIM and FRC against another object.

Nothing here uses the solver's forward model: a mistake there must not vouch for itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Area = tuple[slice, slice]
Complex = NDArray[np.complex64] | NDArray[np.complex128]
Float = NDArray[np.float32] | NDArray[np.float64]

PATTERNS_AT_ONCE = 32
HALF_BIT_SNR = 0.2071
SSIM_WINDOW_PIXELS = 11


def r_factor(
    diffraction: NDArray[np.float32],
    object: Complex,
    probe: Complex,
    xcoords: NDArray[np.float64],
    ycoords: NDArray[np.float64],
) -> float:
    """Return sum(abs(A - D)) / sum(D) over all pixels of all patterns; 0 is perfect, 1 no better than nothing.

    Args:
        diffraction: (N, H, W) measured amplitude D, DC at [H//2, W//2].
        object: (M, K) complex.
        probe: (P, H, W) complex modes in the orthonormal convention.
        xcoords, ycoords: (N,) probe centres in pixels of ``object``.
    """
    difference = total = 0.0
    for some, amplitude in _amplitudes(object, probe, xcoords, ycoords):
        measured = diffraction[some]
        difference += float(np.abs(amplitude - measured).sum(dtype=np.float64))
        total += float(measured.sum(dtype=np.float64))
    return difference / total


def _amplitudes(
    object: Complex, probe: Complex, xcoords: NDArray[np.float64], ycoords: NDArray[np.float64]
) -> Iterator[tuple[slice, Float]]:
    """Yield the modelled amplitudes, DC centred, for one slice of the patterns after another."""
    height, width = probe.shape[-2:]
    top, left = ycoords - (height - 1) / 2, xcoords - (width - 1) / 2
    rows, cols = np.rint(top).astype(int), np.rint(left).astype(int)
    windows = np.lib.stride_tricks.sliding_window_view(object, (height, width))
    spectrum = np.fft.fft2(probe)
    for start in range(0, len(xcoords), PATTERNS_AT_ONCE):
        some = slice(start, start + PATTERNS_AT_ONCE)
        ramp_y = np.exp(-2j * math.pi * np.multiply.outer((top - rows)[some], np.fft.fftfreq(height)))
        ramp_x = np.exp(-2j * math.pi * np.multiply.outer((left - cols)[some], np.fft.fftfreq(width)))
        shifted = np.fft.ifft2(spectrum * ramp_y[:, None, :, None] * ramp_x[:, None, None, :])  # (B, P, H, W)
        exit_wave = windows[rows[some], cols[some]][:, None] * shifted
        intensity = (np.abs(np.fft.fft2(exit_wave)) ** 2).sum(axis=1) / (height * width)
        yield some, np.sqrt(np.fft.fftshift(intensity, axes=(-2, -1)))


def scanned_area(xcoords: NDArray[np.float64], ycoords: NDArray[np.float64]) -> Area:
    """Return the box around the probe centres, in pixels of the array the coordinates belong to."""
    return (
        slice(math.ceil(ycoords.min()), math.floor(ycoords.max()) + 1),
        slice(math.ceil(xcoords.min()), math.floor(xcoords.max()) + 1),
    )


def align(estimate: Complex, reference: Complex, area: Area) -> NDArray[np.complex128]:
    """Return ``estimate`` in the gauge of ``reference``: what diffraction cannot tell is removed.

    That is a sub-pixel shift, a linear phase ramp and a complex scale, all found inside ``area``; the pixels
    around it only feed the shift.

    Args:
        estimate, reference: (M, K) complex, equal shapes.
        area: where both are trusted.

    Returns:
        The aligned estimate inside ``area``, to be compared with ``reference[area]``.

    Source: M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup, Opt. Lett. 33, 156 (2008), for the shift.
    """
    from skimage.registration import phase_cross_correlation

    wanted = np.asarray(reference[area], dtype=np.complex128)
    moved = _remove_ramp(np.asarray(estimate, dtype=np.complex128), wanted, area)
    taper = np.multiply.outer(np.hanning(wanted.shape[0] + 2), np.hanning(wanted.shape[1] + 2))[1:-1, 1:-1]
    for _ in range(2):  # the shift is found better once the ramp is gone, and the other way round
        scale = _best_scale(moved[area], wanted)
        shift, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
            (wanted - wanted.mean()) * taper,
            (moved[area] * scale - wanted.mean()) * taper,
            upsample_factor=200,
            normalization=None,
        )
        moved = _remove_ramp(_shift(moved, *shift), wanted, area)
    return np.asarray(moved[area] * _best_scale(moved[area], wanted), dtype=np.complex128)


def _shift(image: NDArray[np.complex128], down: float, right: float) -> NDArray[np.complex128]:
    ramp_y = np.exp(-2j * math.pi * down * np.fft.fftfreq(image.shape[0]))
    ramp_x = np.exp(-2j * math.pi * right * np.fft.fftfreq(image.shape[1]))
    return np.asarray(np.fft.ifft2(np.fft.fft2(image) * np.multiply.outer(ramp_y, ramp_x)))


def _best_scale(estimate: Complex, wanted: Complex) -> complex:
    """Return the complex factor that brings ``estimate`` nearest to ``wanted`` in least squares."""
    return complex(np.vdot(estimate, wanted) / np.vdot(estimate, estimate))


def _remove_ramp(
    estimate: NDArray[np.complex128], wanted: NDArray[np.complex128], area: Area
) -> NDArray[np.complex128]:
    """Return the whole ``estimate`` without the linear phase ramp it has against ``wanted`` inside ``area``."""
    y, x = np.mgrid[: estimate.shape[0], : estimate.shape[1]]
    for _ in range(3):
        against = estimate[area] * wanted.conj()
        slope_y = np.angle((against[1:] * against[:-1].conj()).sum())
        slope_x = np.angle((against[:, 1:] * against[:, :-1].conj()).sum())
        estimate = estimate * np.exp(-1j * (slope_y * y + slope_x * x))
    # Neighbours only see the slope between them; a plane through the whole area finishes the work.
    against = estimate[area] * wanted.conj()
    against = against / np.exp(1j * np.angle(against.sum()))
    weight = np.abs(against).ravel()
    plane = np.stack([y[area].ravel(), x[area].ravel(), np.ones(weight.size)], axis=1)
    slope_y, slope_x, _ = np.linalg.lstsq(plane * weight[:, None], np.angle(against).ravel() * weight, rcond=None)[0]
    return np.asarray(estimate * np.exp(-1j * (slope_y * y + slope_x * x)), dtype=np.complex128)


def psnr(estimate: Float, reference: Float) -> float:
    """Return the peak signal-to-noise ratio in dB; the peak is the range of ``reference``, max minus min."""
    mean_square = float(np.mean((estimate - reference) ** 2))
    return 10 * math.log10(float(np.ptp(reference)) ** 2 / mean_square)


def ssim(estimate: Float, reference: Float) -> float:
    """Return the mean structural similarity, 1 for equal images, with the range of ``reference``.

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

    The estimate is aligned first. A truth whose phase (or amplitude) is constant has no range to compare with
    and gets no such figure; an area narrower than the window of the SSIM gets none at all.
    """
    wanted = np.asarray(truth[area], dtype=np.complex128)
    if min(wanted.shape) < SSIM_WINDOW_PIXELS:
        return {}
    aligned = align(estimate, truth, area)
    phase = np.angle(wanted)
    images = {
        "phase": (phase + np.angle(aligned * wanted.conj()), phase),  # no false jump where a phase wraps
        "amplitude": (np.abs(aligned), np.abs(wanted)),
    }
    figures: dict[str, float] = {}
    for name, (found, known) in images.items():
        if np.ptp(known) > 0:
            figures[f"{name}_psnr_dB"] = psnr(found, known)
            figures[f"{name}_ssim"] = ssim(found, known)
    return figures


def fourier_ring_correlation(
    first: Complex, second: Complex
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (frequency, correlation, half-bit threshold) of two aligned square images, ring by ring.

    Frequencies are fractions of Nyquist; the images are tapered by a Hann window first.

    Source: M. van Heel, M. Schatz, J. Struct. Biol. 151, 250 (2005).
    """
    side = first.shape[0]
    taper = np.multiply.outer(np.hanning(side), np.hanning(side))
    a, b = np.fft.fft2(first * taper), np.fft.fft2(second * taper)
    index = np.fft.fftfreq(side, 1 / side)
    ring = np.rint(np.hypot(index[:, None], index[None, :])).astype(int).ravel()
    rings = side // 2 + 1

    def ring_sum(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(ring, values.ravel())[:rings], dtype=np.float64)

    power = np.sqrt(ring_sum(np.abs(a) ** 2) * ring_sum(np.abs(b) ** 2))
    correlation = ring_sum((a * b.conj()).real) / np.maximum(power, np.finfo(float).tiny)
    root_n = np.sqrt(np.bincount(ring)[:rings])
    signal = 2 * math.sqrt(HALF_BIT_SNR) / root_n
    threshold = (HALF_BIT_SNR + signal + 1 / root_n) / (HALF_BIT_SNR + 1 + signal)
    return np.arange(rings) / (side / 2), correlation, threshold


def resolution(first: Complex, second: Complex) -> float:
    """Return the first frequency, as a fraction of Nyquist, where the FRC falls below half a bit; 1 if none."""
    frequency, correlation, threshold = fourier_ring_correlation(first, second)
    below = np.flatnonzero(correlation[2:] < threshold[2:])
    return float(frequency[below[0] + 2]) if below.size else 1.0
