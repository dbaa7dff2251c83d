"""Photon energy and wavelength, the object pixel of a far-field pattern, and the Fourier shift of a sampled wave."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

_PLANCK_TIMES_LIGHT_eV_m = 1.239841984332003e-6  # CODATA 2018, exact by definition of the SI


def wavelength_m(photon_energy_eV: float) -> float:
    """Return the wavelength of a photon in m."""
    return _PLANCK_TIMES_LIGHT_eV_m / photon_energy_eV


def photon_energy(wavelength_m: float) -> float:
    """Return the energy in eV of a photon of a wavelength in m."""
    return _PLANCK_TIMES_LIGHT_eV_m / wavelength_m


def far_field_pixel_m(
    photon_energy_eV: float, detector_distance_m: float, detector_pixel_m: float, detector_size: int
) -> float:
    """Return the object pixel in m that a far-field pattern of ``detector_size`` pixels samples: λz / (N p).

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), section 4.3.
    """
    return wavelength_m(photon_energy_eV) * detector_distance_m / (detector_size * detector_pixel_m)


def shift_ramp(pixels: int, shift_px: ArrayLike) -> NDArray[np.complex128]:
    """Return (..., pixels) factors exp(-2 pi i f s) on a discrete Fourier transform that move a signal by s pixels.

    The signal moves towards higher indexes and is periodic: what leaves at one end comes in at the other. With DC at
    index 0, a two-dimensional shift is the outer product of the ramps of its axes.

    Args:
        pixels: length of the axis.
        shift_px: (...) shifts, any real numbers.

    Source: the shift theorem, R. N. Bracewell, The Fourier Transform and Its Applications, 3rd ed. (2000), chapter 6.
    """
    return np.asarray(np.exp(-2j * math.pi * np.multiply.outer(np.asarray(shift_px, float), np.fft.fftfreq(pixels))))


def fourier_shift(image: NDArray[np.complex128], down_px: float, right_px: float) -> NDArray[np.complex128]:
    """Return an (H, W) image moved down and right by any number of pixels, see :func:`shift_ramp`."""
    ramp = np.multiply.outer(shift_ramp(image.shape[0], down_px), shift_ramp(image.shape[1], right_px))
    return np.asarray(np.fft.ifft2(np.fft.fft2(image) * ramp))
