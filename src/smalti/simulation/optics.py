"""What happens to a wave in a simulation: the probe an optic makes, and how an exit wave gets to the detector.

Nothing here is the solver's: a mistake in its forward model must show, not cancel. Lengths are fractions of the window,
so that any window shows the same picture.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

PUPIL_RADIUS = 0.16  # cycles per pixel
PUPIL_EDGE = 0.02
PROBE_RADIUS = 0.17  # of the window
STAR_PROBE_RADIUS = 0.34  # far from focus: a wrong defocus does harm there

Wave = NDArray[np.complex128]


def probe_of(window: int, *, radius: float = STAR_PROBE_RADIUS, defocus: float = 1.0) -> NDArray[np.complex64]:
    """Return a (window, window) probe of unit energy: a soft round pupil, out of focus.

    Args:
        radius: of the disc that the right defocus makes of the pupil, in windows; by default that of a simulated star.
        defocus: of the right defocus; 1.15 is 15 % too much.
    """
    frequency = np.fft.fftfreq(window)
    of_pupil = np.hypot(frequency[:, None], frequency[None, :]) / PUPIL_RADIUS
    soft_pupil = 0.5 * (1 - np.tanh((of_pupil - 1) * PUPIL_RADIUS / PUPIL_EDGE))
    # A phase of c * of_pupil**2 sends the pupil's edge c / (pi * PUPIL_RADIUS) pixels from the centre.
    defocus_rad = defocus * math.pi * PUPIL_RADIUS * radius * window
    pupil = soft_pupil * np.exp(1j * defocus_rad * of_pupil**2)
    # The array's centre is (window - 1) / 2: half a pixel above and left of where fftshift leaves the focus.
    half_pixel = np.exp(1j * math.pi * (frequency[:, None] + frequency[None, :]))
    probe = np.fft.fftshift(np.fft.ifft2(pupil * half_pixel))
    return np.asarray(probe / np.linalg.norm(probe), dtype=np.complex64)


def shifted(wave: Wave, down: float, right: float) -> Wave:
    """Return an (H, W) wave moved by fractions of a pixel; what leaves at one edge comes in at the other."""
    height, width = wave.shape
    ramp = np.exp(-2j * math.pi * np.fft.fftfreq(height) * down)[:, None] * np.exp(
        -2j * math.pi * np.fft.fftfreq(width) * right
    )
    return np.asarray(np.fft.ifft2(np.fft.fft2(wave) * ramp))


def to_far_field(exit_wave: Wave) -> Wave:
    """Return the wave on a far detector, DC at [H//2, W//2], as many photons as in ``exit_wave``."""
    return np.asarray(np.fft.fftshift(np.fft.fft2(exit_wave, norm="ortho")))


def to_near_field(exit_wave: Wave, distance_m: float, wavelength_m: float, pixel_size_m: float) -> Wave:
    """Return the wave after ``distance_m``, on the same grid of pixels: the angular spectrum method.

    The phase of the plane wave itself is left out. Source: J. W. Goodman, Introduction to Fourier Optics, section 3.10.
    """
    fx, fy = (np.fft.fftfreq(n, pixel_size_m) * wavelength_m for n in exit_wave.shape[::-1])
    obliquity = np.sqrt(1 - fy[:, None] ** 2 - fx**2) - 1
    return np.asarray(
        np.fft.ifft2(np.fft.fft2(exit_wave) * np.exp(2j * math.pi * distance_m / wavelength_m * obliquity))
    )
