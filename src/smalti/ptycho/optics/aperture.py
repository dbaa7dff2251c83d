"""The aperture a beam comes through: what a probe looks like when only the mean pattern and few phases are known.

In the far field the mean pattern shows the pupil: its square root is the pupil's amplitude, blurred by what the object
scatters, and central stops, rings and shadows of the real optic are all in it. What it cannot show is the phase. The
strongest parts of that are defocus and astigmatism, which grow with the square of the distance from the centre.

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

DARK = 1e-3  # of the brightest pixel of the mean pattern
WIDEST_PROBE = 0.4  # of the window, from the centre to the edge

Wave = NDArray[np.complex128]


class Aberrations(NamedTuple):
    """Phases at the edge of an aperture, in radians; all of them are 0 at its centre.

    With r = 1 at the edge and the angle t from the rows' axis they are r^2, r^2 cos(2 t) and r^2 sin(2 t).
    """

    defocus_rad: float = 0.0
    astigmatism_rad: float = 0.0
    diagonal_astigmatism_rad: float = 0.0

    def moved(self, name: str, change_rad: float) -> Aberrations:
        """Return these with one of them changed."""
        return self._replace(**{name: getattr(self, name) + change_rad})


@dataclass(frozen=True, eq=False, slots=True)
class Aperture:
    """A beam on the detector, without an object: its amplitude, and where its centre and edge are.

    Attributes:
        amplitude: (H, W) float64, DC at [H//2, W//2].
        down, right: (H, 1) and (1, W) float64, distance from the beam's centre, 1 at its edge.
        radius_pixels: from the centre to the edge, in pixels of the detector; for a uniform disc exactly that.
        far_field: the detector shows the pupil. If not, it shows the beam itself, near enough.
    """

    amplitude: NDArray[np.float64]
    down: NDArray[np.float64]
    right: NDArray[np.float64]
    radius_pixels: float
    far_field: bool

    def probe(self, aberrations: Aberrations) -> NDArray[np.complex64]:
        """Return (1, H, W): the probe that this aperture makes.

        In the far field a defocus is what travels on by ``-defocus_rad * (W * pixel / radius)**2 / (pi * wavelength)``
        after the focus, with ``pixel`` that of the object. In the near field it is the curvature of the beam.
        """
        wave = self.amplitude * self._phasor(aberrations)
        return np.asarray(to_probe(wave) if self.far_field else wave, dtype=np.complex64)[None]

    def changed(self, probe: NDArray[np.complex64], aberrations: Aberrations) -> NDArray[np.complex64]:
        """Return (P, H, W): the given modes with so much more phase."""
        phasor = self._phasor(aberrations)
        return np.asarray(to_probe(to_pupil(probe) * phasor) if self.far_field else probe * phasor, dtype=np.complex64)

    def _phasor(self, aberrations: Aberrations) -> Wave:
        defocus, astigmatism, diagonal = aberrations
        phase = (defocus + astigmatism) * self.down**2 + (defocus - astigmatism) * self.right**2
        return np.asarray(np.exp(1j * (phase + 2 * diagonal * self.down * self.right)))

    @property
    def largest_defocus_rad(self) -> float:
        """The defocus whose probe is ``WIDEST_PROBE`` of the window from centre to edge: more would not fit.

        A phase of c r^2 sends the edge, r = 1, to c W / (pi radius) pixels from the centre. In the near field the
        same number is a fringe of ``WIDEST_PROBE`` cycles per pixel at the edge, the finest that the grid can hold.
        """
        return WIDEST_PROBE * math.pi * self.radius_pixels


def aperture_of(mean: NDArray[np.float64], far_field: bool = True) -> Aperture:
    """Return the aperture that is as bright as the mean pattern.

    Its radius is the square root of 2 times the one that holds half of the light, which a weak halo hardly changes.

    Args:
        mean: (H, W) mean intensity, DC at [H//2, W//2], not all dark.
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
    """Return the (..., H, W) probe, centred on (n - 1) / 2, of a pupil with DC at [H//2, W//2]; Parseval holds."""
    return np.asarray(np.fft.ifft2(np.fft.ifftshift(pupil, axes=(-2, -1)) * _to_centre(pupil.shape), norm="ortho"))


def to_pupil(probe: NDArray[Any]) -> Wave:
    """Return what ``to_probe`` takes back."""
    pupil = np.fft.fft2(probe, norm="ortho") * _to_centre(probe.shape).conj()
    return np.asarray(np.fft.fftshift(pupil, axes=(-2, -1)))


def _to_centre(shape: tuple[int, ...]) -> Wave:
    """Return the (H, W) factor, DC at [0, 0], that moves a wave from pixel 0 to (n - 1) / 2."""
    down, right = (np.exp(-1j * math.pi * (n - 1) * np.fft.fftfreq(n)) for n in shape[-2:])
    return np.asarray(np.multiply.outer(down, right))
