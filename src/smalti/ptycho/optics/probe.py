"""The initial probe, and the support of its pupil.

A probe is refined as its Fourier transform, the pupil. Light comes only through the optic, so the pupil is zero
outside the bright part of the mean pattern. With the coefficients inside this support as unknowns a wrong defocus is
corrected, which free probe pixels did not achieve (decision 13).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.ptycho.optics.aperture import DARK, Aberrations, aperture_of

PATTERNS_AT_ONCE = 64


def initial_probe(scan: Scan, mean: NDArray[np.float64] | None = None) -> NDArray[np.complex64]:
    """Return the (P, H, W) modes of the probe guess, scaled to the mean counts of a pattern.

    In the orthonormal convention the sum of abs(probe)**2 then equals the mean sum of counts. Without a probe guess it
    is the aperture in focus (near field: the square root of the mean image, with a flat phase), which is a good guess
    only for a beam near focus; ``smalti.ptycho.solve.search.find_probe`` searches for a better one.

    Args:
        mean: what ``mean_intensity`` gives, where that is known already.

    Raises:
        Refused: a scan without any light, or a guess without light or with a pixel that is not finite.
    """
    mean = mean_intensity(scan) if mean is None else mean
    guess = (
        aperture_of(mean, scan.metadata.far_field).probe(Aberrations())
        if scan.probe_guess is None
        else scan.probe_guess
    )
    energy = float(np.sum(np.abs(guess) ** 2, dtype=np.float64))
    if not 0 < energy < math.inf:
        raise Refused(
            f"the probe guess of the scan {scan.metadata.name} has an energy of {energy:g}; "
            "give one with light and finite pixels, or none."
        )
    return np.asarray(guess * math.sqrt(mean.sum() / energy), dtype=np.complex64)


def pupil_support(scan: Scan, mean: NDArray[np.float64] | None = None) -> NDArray[np.bool_]:
    """Return (H, W) where the pupil may be non-zero, DC at [0, 0]: the mean pattern above ``DARK`` of its peak.

    In the near field the mean pattern shows the probe and not its pupil, so the support is the whole window.

    Args:
        mean: what ``mean_intensity`` gives, where that is known already.

    Raises:
        Refused: a scan without any light.
    """
    if not scan.metadata.far_field:
        return np.ones(scan.diffraction.shape[1:], dtype=np.bool_)
    mean = np.fft.ifftshift(mean_intensity(scan) if mean is None else mean)
    return np.asarray(mean > DARK * mean.max())


def mean_intensity(scan: Scan) -> NDArray[np.float64]:
    """Return the (H, W) mean of the squared amplitudes, DC at [H//2, W//2].

    A bad pixel gets the value of its nearest good one. Patterns are read ``PATTERNS_AT_ONCE`` at a time, so
    ``scan.diffraction`` may be anything that has a shape and gives arrays for slices.

    Raises:
        Refused: a scan without any light.
    """
    patterns, *window = scan.diffraction.shape
    mean = np.zeros(window)
    for start in range(0, patterns, PATTERNS_AT_ONCE):
        block = np.asarray(scan.diffraction[start : start + PATTERNS_AT_ONCE])
        mean += np.square(block, dtype=np.float64).sum(axis=0) / patterns
    if scan.bad_pixels is not None:
        mean = _filled(mean, scan.bad_pixels)
    if not mean.any():
        raise Refused(f"every pixel of the scan {scan.metadata.name} is 0; there is nothing to reconstruct.")
    return mean


def _filled(image: NDArray[np.float64], bad: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``image`` with each bad pixel replaced by its nearest good one; all zero if none is good."""
    from scipy.ndimage import distance_transform_edt

    if bad.all():
        return np.zeros_like(image)
    nearest = distance_transform_edt(bad, return_distances=False, return_indices=True)
    return np.asarray(image[tuple(nearest)])
