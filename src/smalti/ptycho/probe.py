"""The probe a solver starts from, and the pupil it is refined in.

A probe is refined as its Fourier transform, the pupil. Light comes only through the optic, so the pupil is zero
outside the bright part of the mean pattern; coefficients inside that support, not free probe pixels, are what
lets a wrong defocus heal.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.errors import Refused

SUPPORT_THRESHOLD = 1e-3


def initial_probe(scan: Scan) -> NDArray[np.complex64]:
    """Return (P, H, W) modes to start from, scaled to the mean photon count of a pattern.

    In the orthonormal convention the sum of abs(probe)**2 then equals the mean sum of counts. Without a probe
    guess the square root of the mean pattern serves as a pupil in focus; that is weak: a probe that is far from
    focus will not be found from there, and a guess within 15 % of the right defocus is worth far more.

    Raises:
        Refused: a scan without any light.
    """
    mean = mean_intensity(scan)
    guess = _focused(mean) if scan.probe_guess is None else scan.probe_guess
    scale = math.sqrt(mean.sum() / float(np.sum(np.abs(guess) ** 2, dtype=np.float64)))
    return np.asarray(guess * scale, dtype=np.complex64)


def _focused(mean: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Return (1, H, W): the wave that a pupil as bright as ``mean`` and without any phase makes in focus."""
    height, width = mean.shape
    half_pixel = np.exp(1j * math.pi * np.add.outer(np.fft.fftfreq(height), np.fft.fftfreq(width)))
    focus = np.fft.ifft2(np.sqrt(np.fft.ifftshift(mean)) * half_pixel)  # the array's centre is (n - 1) / 2
    return np.fft.fftshift(focus)[None].astype(np.complex64)


def pupil_support(scan: Scan) -> NDArray[np.bool_]:
    """Return (H, W) where the pupil may be non-zero, DC at [0, 0]: the mean pattern above 1/1000 of its peak.

    Raises:
        Refused: a scan without any light.
    """
    mean = np.fft.ifftshift(mean_intensity(scan))
    return np.asarray(mean > SUPPORT_THRESHOLD * mean.max())


def mean_intensity(scan: Scan) -> NDArray[np.float64]:
    """Return the (H, W) mean of the squared amplitudes, DC at [H//2, W//2].

    Raises:
        Refused: a scan without any light.
    """
    total = np.zeros(scan.diffraction.shape[1:])
    for amplitude in scan.diffraction:  # one at a time: all squares at once may not fit into memory
        total += amplitude.astype(np.float64) ** 2
    if not total.any():
        raise Refused(f"every pixel of the scan {scan.metadata.name} is 0; there is nothing to reconstruct.")
    return total / len(scan.diffraction)
