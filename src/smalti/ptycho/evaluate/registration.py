"""What diffraction cannot tell of an object, removed: a sub-pixel shift, a linear phase ramp and a complex scale."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from smalti.ptycho.evaluate.frc import agreement

Area = tuple[slice, slice]
Complex = NDArray[np.complex64] | NDArray[np.complex128]


def without_ramp(obj: Complex, area: Area) -> NDArray[np.complex128]:
    """Return a whole object without the mean phase and the mean phase ramp that it has inside ``area``.

    Diffraction cannot tell a ramp from a probe whose pupil lies elsewhere.
    """
    inside = obj[area]
    down, right = np.angle(np.vdot(inside[:-1], inside[1:])), np.angle(np.vdot(inside[:, :-1], inside[:, 1:]))
    level = obj * np.exp(-1j * np.add.outer(down * np.arange(obj.shape[0]), right * np.arange(obj.shape[1])))
    return np.asarray(level * np.exp(-1j * np.angle(level[area].mean())), dtype=np.complex128)


def align(estimate: Complex, reference: Complex, area: Area) -> NDArray[np.complex128]:
    """Return ``estimate`` in the gauge of ``reference``: what diffraction cannot tell is removed.

    Shift, ramp and scale are found inside ``area``; the pixels around it only feed the shift.

    Args:
        estimate, reference: (M, K) complex, equal shapes.
        area: where both are trusted.

    Returns:
        The aligned estimate inside ``area``, to be compared with ``reference[area]``.

    Source: M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup, Opt. Lett. 33, 156 (2008), for the shift.
    """
    wanted = np.asarray(reference[area], dtype=np.complex128)
    moved = _remove_ramp(np.asarray(estimate, dtype=np.complex128), wanted, area)
    for weighted in (False, True, True):  # the shift is found better once the ramp is gone, and the other way round
        shift = _shift_between(moved[area] * _best_scale(moved[area], wanted), wanted, weighted)
        moved = _remove_ramp(_shift(moved, *shift), wanted, area)
    return np.asarray(moved[area] * _best_scale(moved[area], wanted), dtype=np.complex128)


def _shift_between(estimate: Complex, wanted: Complex, weighted: bool) -> tuple[float, float]:
    """Return how far down and right ``estimate`` has to go to lie on ``wanted``, pixels.

    Weighted, only frequencies count at which the two agree: noise that both hold is not to be registered.
    """
    from skimage.registration import phase_cross_correlation

    taper = np.multiply.outer(*(np.hanning(side + 2)[1:-1] for side in wanted.shape))
    first, second = (np.fft.fft2((image - wanted.mean()) * taper) for image in (wanted, estimate))
    weight = agreement(first, second) if weighted else 1.0
    (down, right), _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        first * weight, second, space="fourier", upsample_factor=200, normalization=None
    )
    return float(down), float(right)


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
