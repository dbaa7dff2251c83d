"""Propagation of the exit wave to the detector: the far field, and the near field by the angular spectrum.

DC is at pixel [0, 0] of a far-field wave: patterns are shifted once, waves never.

Sources: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), sections 3.10 and 4.3; K. Matsushima, T.
Shimobaba, Opt. Express 17, 19662 (2009), for the band limit of the angular spectrum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.ptycho.optics.near_field import NearField

Wave = NDArray[np.complex128]

# Added to a complex product between two transforms: MLX on a CPU fuses product and sum into one compiled kernel, but
# runs a product alone ten times slower.
ZERO = 0.0


class Propagation(Protocol):
    """A linear propagation to the detector."""

    @property
    def gain(self) -> float:
        """What ``forward`` multiplies the norm of a wave by; callers divide intensities by its square."""
        ...

    def forward(self, exit_wave: mx.array) -> mx.array:
        """Return the (..., H, W) wave on the detector of an (..., H, W) exit wave, both complex64."""
        ...

    def back(self, wave: mx.array) -> mx.array:
        """Return the adjoint of ``forward`` divided by ``gain**2``, its inverse on all waves that arrive."""
        ...

    def as_measured(self, patterns: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (..., H, W) patterns of a scan in the pixel order of ``forward``."""
        ...


@dataclass(frozen=True, slots=True)
class FarField:
    """The Fraunhofer field: one Fourier transform; ``gain`` is sqrt(H * W)."""

    gain: float

    def forward(self, exit_wave: mx.array) -> mx.array:
        return mx.fft.fft2(exit_wave)

    def back(self, wave: mx.array) -> mx.array:
        return mx.fft.ifft2(wave)

    def as_measured(self, patterns: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.fft.ifftshift(patterns, axes=(-2, -1))


@dataclass(frozen=True, eq=False, slots=True)
class AngularSpectrum:
    """Free space between object and detector: each plane wave of the exit wave gets a phase factor.

    Attributes:
        transfer: (H, W) complex64, the factor of each plane wave, DC at [0, 0].
    """

    transfer: mx.array
    gain: float = 1.0

    def forward(self, exit_wave: mx.array) -> mx.array:
        return mx.fft.ifft2(mx.fft.fft2(exit_wave) * self.transfer + ZERO)

    def back(self, wave: mx.array) -> mx.array:
        return mx.fft.ifft2(mx.fft.fft2(wave) * mx.conj(self.transfer))

    def as_measured(self, patterns: NDArray[np.float32]) -> NDArray[np.float32]:
        return patterns


def propagation_of(scan: Scan) -> Propagation:
    """Return the propagation of a scan: near or far field.

    Raises:
        Refused: the scan is in the near field and does not state energy, distance and object pixel.
    """
    height, width = scan.diffraction.shape[1:]
    near_field = NearField.of(scan)
    if near_field is None:
        return FarField(math.sqrt(height * width))
    return AngularSpectrum(mx.array(transfer_function((height, width), near_field).astype(np.complex64)))


def transfer_function(shape: tuple[int, int], near_field: NearField) -> Wave:
    """Return the (H, W) factor of each plane wave, DC at [0, 0], without the phase of the undeflected wave.

    It is exp(2 pi i z / wavelength (cos - 1)), and 0 beyond the band limit, where plane waves leave the window at one
    side and would alias in at the other.
    """
    frequency = [np.fft.fftfreq(n, near_field.pixel_size_m) for n in shape]  # in 1/m
    sine_squared = np.add.outer(*((near_field.wavelength_m * f) ** 2 for f in frequency))
    cosine = np.sqrt(np.maximum(1 - sine_squared, 0))
    # -sin**2 / (1 + cos), because cos - 1 cancels at small angles
    phase_rad = -2 * math.pi * near_field.distance_m / near_field.wavelength_m * sine_squared / (1 + cosine)
    steepest = [
        1 / (near_field.wavelength_m * math.hypot(2 * near_field.distance_m / (n * near_field.pixel_size_m), 1))
        for n in shape
    ]  # in 1/m, Matsushima's equation 13
    inside = np.logical_and.outer(*(np.abs(f) <= limit for f, limit in zip(frequency, steepest, strict=True)))
    return np.where(inside & (sine_squared < 1), np.exp(1j * phase_rad), 0)
