"""The simulated optics: a defocused probe, and propagation to the far and the near field.

Independent of the solver's forward model, so that a mistake in one does not cancel in the other. Lengths are fractions
of the window, so that a scan looks the same with any window.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from smalti.optics import shift_ramp

PUPIL_RADIUS = 0.16  # cycles per pixel
PUPIL_EDGE = 0.02
PROBE_RADIUS = 0.17  # of the window
STAR_PROBE_RADIUS = 0.34  # far from focus, so that a wrong defocus matters

Wave = NDArray[np.complex128]


def probe_of(window: int, *, radius: float = STAR_PROBE_RADIUS, defocus: float = 1.0) -> NDArray[np.complex64]:
    """Return a (window, window) probe of unit energy: a soft round pupil, out of focus.

    Args:
        radius: of the probe at ``defocus`` 1, a disc, as a fraction of the window; by default that of a star scan.
        defocus: relative to the true one; 1.15 is 15 % too much.
    """
    frequency = np.fft.fftfreq(window)
    of_pupil = np.hypot(frequency[:, None], frequency[None, :]) / PUPIL_RADIUS
    soft_pupil = 0.5 * (1 - np.tanh((of_pupil - 1) * PUPIL_RADIUS / PUPIL_EDGE))
    # A phase of c * of_pupil**2 sends the pupil's edge c / (pi * PUPIL_RADIUS) pixels from the centre.
    defocus_rad = defocus * math.pi * PUPIL_RADIUS * radius * window
    pupil = soft_pupil * np.exp(1j * defocus_rad * of_pupil**2)
    # fftshift leaves the focus at window // 2, but the centre of the array is (window - 1) / 2.
    to_centre = shift_ramp(window, (window - 1) / 2 - window // 2)
    probe = np.fft.fftshift(np.fft.ifft2(pupil * np.multiply.outer(to_centre, to_centre)))
    return np.asarray(probe / np.linalg.norm(probe), dtype=np.complex64)


def to_far_field(exit_wave: Wave) -> Wave:
    """Return the wave on a far detector, DC at [H//2, W//2]; the transform is orthonormal."""
    return np.asarray(np.fft.fftshift(np.fft.fft2(exit_wave, norm="ortho")))


def to_near_field(exit_wave: Wave, distance_m: float, wavelength_m: float, pixel_size_m: float) -> Wave:
    """Return the wave after ``distance_m``, on the same grid of pixels: the angular spectrum method.

    The phase of the undeflected wave is left out. Source: J. W. Goodman, Introduction to Fourier Optics, section 3.10.
    """
    fx, fy = (np.fft.fftfreq(n, pixel_size_m) * wavelength_m for n in exit_wave.shape[::-1])
    obliquity = np.sqrt(1 - fy[:, None] ** 2 - fx**2) - 1
    return np.asarray(
        np.fft.ifft2(np.fft.fft2(exit_wave) * np.exp(2j * math.pi * distance_m / wavelength_m * obliquity))
    )
