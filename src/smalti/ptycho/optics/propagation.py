"""From the exit wave to the detector and back: the far field, and the near field by the angular spectrum.

DC is at pixel [0, 0] of a far-field wave, so nothing is shifted on the way.

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
from smalti.ptycho.evaluate.metrics import NearField

Wave = NDArray[np.complex128]

# Added to a product between two transforms: MLX compiles two operations together, one alone takes ten times as long.
LONE = 0.0


class Propagation(Protocol):
    """A linear way to the detector."""

    @property
    def gain(self) -> float:
        """What ``forward`` multiplies the norm of a wave by. To leave it in is free, to divide every wave by it not."""
        ...

    def forward(self, exit_wave: mx.array) -> mx.array:
        """Return the (..., H, W) wave on the detector of an (..., H, W) exit wave, both complex64."""
        ...

    def back(self, wave: mx.array) -> mx.array:
        """Return the adjoint of ``forward``, divided by ``gain**2``: the inverse of what arrives."""
        ...

    def as_measured(self, patterns: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (..., H, W) patterns as a scan holds them, laid out as ``forward`` makes them."""
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
    """Free space over a short way: each plane wave arrives with a phase of its own.

    Attributes:
        transfer: (H, W) complex64, the factor of each plane wave, DC at [0, 0].
    """

    transfer: mx.array
    gain: float = 1.0

    def forward(self, exit_wave: mx.array) -> mx.array:
        return mx.fft.ifft2(mx.fft.fft2(exit_wave) * self.transfer + LONE)

    def back(self, wave: mx.array) -> mx.array:
        return mx.fft.ifft2(mx.fft.fft2(wave) * mx.conj(self.transfer))

    def as_measured(self, patterns: NDArray[np.float32]) -> NDArray[np.float32]:
        return patterns


def propagation_of(scan: Scan) -> Propagation:
    """Return the way that the light of a scan takes.

    Raises:
        Refused: the scan is in the near field and does not state energy, distance and object pixel.
    """
    height, width = scan.diffraction.shape[1:]
    way = NearField.of(scan)
    if way is None:
        return FarField(math.sqrt(height * width))
    return AngularSpectrum(mx.array(transfer_function((height, width), way).astype(np.complex64)))


def transfer_function(shape: tuple[int, int], way: NearField) -> Wave:
    """Return the (H, W) factor of each plane wave over this way, DC at [0, 0]; without the phase of the straight beam.

    It is exp(2 pi i z / wavelength (cos - 1)), and 0 for waves so steep that they leave the window on the way: what
    they make would come in again on the other side.
    """
    frequency = [np.fft.fftfreq(n, way.pixel_size_m) for n in shape]  # in 1/m
    sine_squared = np.add.outer(*((way.wavelength_m * f) ** 2 for f in frequency))
    cosine = np.sqrt(np.maximum(1 - sine_squared, 0))
    # cos - 1 would lose all its digits for flat waves
    phase_rad = -2 * math.pi * way.distance_m / way.wavelength_m * sine_squared / (1 + cosine)
    steepest = [
        1 / (way.wavelength_m * math.hypot(2 * way.distance_m / (n * way.pixel_size_m), 1)) for n in shape
    ]  # in 1/m, Matsushima's equation 13
    inside = np.logical_and.outer(*(np.abs(f) <= limit for f, limit in zip(frequency, steepest, strict=True)))
    return np.where(inside & (sine_squared < 1), np.exp(1j * phase_rad), 0)


def far_field_amplitude(exit_wave: mx.array) -> mx.array:
    """Return the detector amplitude abs(FFT2(exit_wave)) / sqrt(H * W), DC at pixel [0, 0].

    Args:
        exit_wave: (..., H, W) complex64, object times probe.

    The transform is orthonormal (Parseval): the sum of amplitude**2 is the sum of abs(exit_wave)**2, so a
    probe carries its photon count. The gradient is finite everywhere, and 0 where the amplitude is 0.
    """
    return mx.abs(mx.fft.fft2(exit_wave, norm="ortho"))
