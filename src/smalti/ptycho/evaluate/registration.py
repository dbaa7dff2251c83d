"""Registration of two reconstructions: sub-pixel shift, linear phase ramp and complex scale, which are ambiguous.

A probe and object with opposite shifts, ramps or scales explain the same patterns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.optics import fourier_shift
from smalti.ptycho.evaluate.frc import ring_correlation_map

Area = tuple[slice, slice]
Complex = NDArray[np.complex64] | NDArray[np.complex128]


def remove_phase_ramp(obj: Complex, area: Area) -> NDArray[np.complex128]:
    """Return the whole (M, K) object less the mean phase and the mean phase ramp that it has inside ``area``.

    A ramp on the object is equivalent to a shift of the probe's pupil.
    """
    inside = obj[area]
    down, right = np.angle(np.vdot(inside[:-1], inside[1:])), np.angle(np.vdot(inside[:, :-1], inside[:, 1:]))
    level = obj * np.exp(-1j * np.add.outer(down * np.arange(obj.shape[0]), right * np.arange(obj.shape[1])))
    return np.asarray(level * np.exp(-1j * np.angle(level[area].mean())), dtype=np.complex128)


def register(estimate: Complex, reference: Complex, area: Area) -> NDArray[np.complex128]:
    """Return ``estimate`` inside ``area`` with the shift, phase ramp and complex scale of ``reference`` there.

    All three are determined inside ``area``; pixels outside only move in when the estimate is shifted.

    Args:
        estimate, reference: (M, K) complex, equal shapes.
        area: where both have been scanned.

    Returns:
        The registered estimate, of the shape of ``reference[area]``.

    Source: M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup, Opt. Lett. 33, 156 (2008), for the shift.
    """
    wanted = np.asarray(reference[area], dtype=np.complex128)
    moved = _remove_ramp_between(np.asarray(estimate, dtype=np.complex128), wanted, area)
    for weighted in (False, True, True):  # shift and ramp each improve with the other
        shift = _shift_between(moved[area] * _best_scale(moved[area], wanted), wanted, weighted)
        moved = _remove_ramp_between(fourier_shift(moved, *shift), wanted, area)
    return np.asarray(moved[area] * _best_scale(moved[area], wanted), dtype=np.complex128)


def _shift_between(estimate: Complex, wanted: Complex, weighted: bool) -> tuple[float, float]:
    """Return how far down and right ``estimate`` must be moved to match ``wanted``, in steps of 1/200 pixel.

    If ``weighted``, each frequency counts by the ring correlation there, so that independent noise counts little.
    """
    from skimage.registration import phase_cross_correlation

    taper = np.multiply.outer(*(np.hanning(side + 2)[1:-1] for side in wanted.shape))
    first, second = (np.fft.fft2((image - wanted.mean()) * taper) for image in (wanted, estimate))
    weight = ring_correlation_map(first, second) if weighted else 1.0
    (down, right), _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        first * weight, second, space="fourier", upsample_factor=200, normalization=None
    )
    return float(down), float(right)


def _best_scale(estimate: Complex, wanted: Complex) -> complex:
    """Return the complex factor that fits ``estimate`` to ``wanted`` in least squares."""
    return complex(np.vdot(estimate, wanted) / np.vdot(estimate, estimate))


def _remove_ramp_between(
    estimate: NDArray[np.complex128], wanted: NDArray[np.complex128], area: Area
) -> NDArray[np.complex128]:
    """Return the whole ``estimate`` without the linear phase ramp it has against ``wanted`` inside ``area``."""
    y, x = np.mgrid[: estimate.shape[0], : estimate.shape[1]]
    for _ in range(3):
        against = estimate[area] * wanted.conj()
        slope_y = np.angle((against[1:] * against[:-1].conj()).sum())
        slope_x = np.angle((against[:, 1:] * against[:, :-1].conj()).sum())
        estimate = estimate * np.exp(-1j * (slope_y * y + slope_x * x))
    # Slopes between neighbours are noisy; the fit of a plane to the remaining phase refines them.
    against = estimate[area] * wanted.conj()
    against = against / np.exp(1j * np.angle(against.sum()))
    weight = np.abs(against).ravel()
    plane = np.stack([y[area].ravel(), x[area].ravel(), np.ones(weight.size)], axis=1)
    slope_y, slope_x, _ = np.linalg.lstsq(plane * weight[:, None], np.angle(against).ravel() * weight, rcond=None)[0]
    return np.asarray(estimate * np.exp(-1j * (slope_y * y + slope_x * x)), dtype=np.complex128)
