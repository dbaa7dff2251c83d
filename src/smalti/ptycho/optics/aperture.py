"""The aperture: a probe computed from the mean pattern, a defocus and an astigmatism.

In the far field the mean pattern shows the pupil: its square root is the pupil's amplitude, blurred by what the object
scatters, central stops and shadows of the optic included. It does not show the pupil's phase, whose largest terms
are usually defocus and astigmatism, quadratic in the distance from the centre.

Sources: J. W. Goodman, Introduction to Fourier Optics, sections 4.2 and 6.4, for defocus as a quadratic phase; M. Born,
E. Wolf, Principles of Optics, section 9.2, for astigmatism; J. Rodenburg, A. Maiden, Springer Handbook of Microscopy,
chapter 17 (2019), for the bright field as an image of the pupil.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalti.optics import shift_ramp

DARK = 1e-3  # of the brightest pixel of the mean pattern
WIDEST_PROBE = 0.4  # of the window, from the centre to the edge

Wave = NDArray[np.complex128]


class Aberrations(NamedTuple):
    """Coefficients of the pupil's phase, in radians at the edge of the aperture.

    The phase is defocus * r^2 + astigmatism * r^2 cos(2 t) + diagonal * r^2 sin(2 t), with r = 1 at the edge and t = 0
    in the direction of increasing row.
    """

    defocus_rad: float = 0.0
    astigmatism_rad: float = 0.0
    diagonal_astigmatism_rad: float = 0.0

    def changed(self, name: str, change_rad: float) -> Aberrations:
        """Return these with one of them changed."""
        return self._replace(**{name: getattr(self, name) + change_rad})


@dataclass(frozen=True, eq=False, slots=True)
class Aperture:
    """The beam on the detector without an object: its amplitude, centre and radius.

    Attributes:
        amplitude: (H, W) float64, DC at [H//2, W//2].
        down, right: (H, 1) and (1, W) float64, distance from the beam's centre along each axis, in radii.
        radius_pixels: of the beam, in pixels of the detector, at least 1; of a uniform disc within half a pixel.
        far_field: the detector shows the pupil; if not, it shows the beam itself, slightly defocused.
    """

    amplitude: NDArray[np.float64]
    down: NDArray[np.float64]
    right: NDArray[np.float64]
    radius_pixels: float
    far_field: bool

    def probe(self, aberrations: Aberrations) -> NDArray[np.complex64]:
        """Return the (1, H, W) probe of this aperture with these aberrations.

        In the far field ``defocus_rad`` is a propagation from the focus by ``-defocus_rad * (W * pixel /
        radius_pixels)**2 / (pi * wavelength)``, with ``pixel`` that of the object. In the near field it is the
        curvature of the beam.
        """
        wave = self.amplitude * self._phasor(aberrations)
        return np.asarray(to_probe(wave) if self.far_field else wave, dtype=np.complex64)[None]

    def aberrated(self, probe: NDArray[np.complex64], aberrations: Aberrations) -> NDArray[np.complex64]:
        """Return the (P, H, W) modes with these aberrations added to their own."""
        phasor = self._phasor(aberrations)
        return np.asarray(to_probe(to_pupil(probe) * phasor) if self.far_field else probe * phasor, dtype=np.complex64)

    def _phasor(self, aberrations: Aberrations) -> Wave:
        defocus, astigmatism, diagonal = aberrations
        phase = (defocus + astigmatism) * self.down**2 + (defocus - astigmatism) * self.right**2
        return np.asarray(np.exp(1j * (phase + 2 * diagonal * self.down * self.right)))

    @property
    def largest_defocus_rad(self) -> float:
        """The defocus whose probe has a radius of ``WIDEST_PROBE`` of the window, about the widest that fits.

        A phase of c r^2 moves the light of the edge, r = 1, to c W / (pi radius) pixels from the centre. In the near
        field the same number is a phase of ``WIDEST_PROBE`` cycles per pixel at the edge; Nyquist is 0.5.
        """
        return WIDEST_PROBE * math.pi * self.radius_pixels


def aperture_of(mean: NDArray[np.float64], far_field: bool = True) -> Aperture:
    """Return the aperture of a mean pattern: its square root, in the far field 0 below ``DARK`` of the peak.

    Its radius is sqrt(2) times the radius that holds half of the light, which for a uniform disc is that of the disc,
    and which a weak halo hardly changes.

    Args:
        mean: (H, W) mean intensity, DC at [H//2, W//2], not all 0.
        far_field: whether the mean pattern shows the pupil.
    """
    rows, columns = (np.arange(n, dtype=np.float64) for n in mean.shape)
    down = rows[:, None] - float(rows @ mean.sum(axis=1)) / mean.sum()
    right = columns[None] - float(columns @ mean.sum(axis=0)) / mean.sum()
    squared = (down**2 + right**2).ravel()
    outwards = np.argsort(squared, kind="stable")
    light = np.cumsum(mean.ravel()[outwards])
    half = squared[outwards[np.searchsorted(light, light[-1] / 2)]]
    radius_pixels = max(math.sqrt(2 * half), 1.0)
    lit = mean > DARK * mean.max() if far_field else np.ones(mean.shape, dtype=np.bool_)
    amplitude = np.asarray(np.sqrt(mean * lit))
    return Aperture(amplitude, down / radius_pixels, right / radius_pixels, radius_pixels, far_field)


def to_probe(pupil: NDArray[Any]) -> Wave:
    """Return the (..., H, W) probe, centred on (n - 1) / 2, of a pupil with DC at [H//2, W//2]; orthonormal."""
    return np.asarray(np.fft.ifft2(np.fft.ifftshift(pupil, axes=(-2, -1)) * _to_centre(pupil.shape), norm="ortho"))


def to_pupil(probe: NDArray[Any]) -> Wave:
    """Return the (..., H, W) pupil, DC at [H//2, W//2], of a probe: the inverse of ``to_probe``."""
    pupil = np.fft.fft2(probe, norm="ortho") * _to_centre(probe.shape).conj()
    return np.asarray(np.fft.fftshift(pupil, axes=(-2, -1)))


def _to_centre(shape: tuple[int, ...]) -> Wave:
    """Return the (H, W) factor, DC at [0, 0], that moves a wave from pixel 0 to (n - 1) / 2."""
    down, right = (shift_ramp(n, (n - 1) / 2) for n in shape[-2:])
    return np.asarray(np.multiply.outer(down, right))
