"""Patterns with the probes that made them: what each would change of an object, and how badly one explains them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from smalti.ptycho.optics.propagation import Propagation

RPIE_ALPHA = 0.1
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Detector:
    """How the light gets there, and what is known of its pixels.

    Attributes:
        way: from the sample to the detector.
        good: (H, W) float32, 1 where it tells anything, laid out as the way makes patterns.
        floor: an intensity that is added to modelled and measured ones, so that no dim pixel asks for a large change.
    """

    way: Propagation
    good: mx.array
    floor: float


@dataclass(frozen=True, slots=True)
class Exposures:
    """B patterns of H x W pixels, with the probe that made each and where on the flattened object it fell.

    Attributes:
        amplitude: (B, H, W) float32, laid out as the propagation makes it.
        probe: (B, P, H, W) complex64, P modes, moved by the sub-pixel part of the position.
        pixels: (B, H, W) int32, the object's pixels under the window.
        positions: (B, 2) float32, y and x of the window's first pixel.
        detector: what all patterns have in common.
        taught: (B, H, W) complex64, the object that a teacher shows under the window, or None.
    """

    amplitude: mx.array
    probe: mx.array
    pixels: mx.array
    positions: mx.array
    detector: Detector
    taught: mx.array | None

    @property
    def light(self) -> mx.array:
        """(B, H, W) float32, the intensity of the probe."""
        return intensity(self.probe).sum(axis=1)


def update(patches: mx.array, exposures: Exposures) -> mx.array:
    """Return the change, (B, H, W) complex64, that a solver's look at each pattern makes to these patches of object.

    The modelled wave takes the measured amplitude and goes back to the sample. That is a linear change of view,
    after which everything lies in its place. From the logarithm of the bare pattern a network has to learn the
    Fourier transform first: one minute on a simulated scan takes it to a phase PSNR of 15 dB instead of 19.

    Source: the object update of rPIE, A. Maiden, D. Johnson, P. Li, Optica 4, 736 (2017).
    """
    way, floor = exposures.detector.way, exposures.detector.floor
    wave = way.forward(patches[:, None] * exposures.probe)
    measured = mx.sqrt(mx.square(exposures.amplitude) + floor)
    correction = exposures.detector.good * (measured / mx.sqrt(modelled_intensity(wave, way) + floor) - 1)
    change = way.back(wave * correction[:, None])
    light = exposures.light
    damped = (1 - RPIE_ALPHA) * light + RPIE_ALPHA * light.max(axis=(-2, -1), keepdims=True)
    return (mx.conj(exposures.probe) * change).sum(axis=1) / damped


def misfit(patches: mx.array, exposures: Exposures) -> tuple[mx.array, mx.array]:
    """Return sum(abs(A - D)) and sum(D): modelled A and measured amplitude D, over the good pixels of all patterns."""
    way, good = exposures.detector.way, exposures.detector.good
    wave = way.forward(patches[:, None] * exposures.probe)
    modelled = mx.sqrt(modelled_intensity(wave, way) + TINY)  # its gradient is finite where there is no light
    return (good * mx.abs(modelled - exposures.amplitude)).sum(), (good * exposures.amplitude).sum()


def unlike_the_taught(patches: mx.array, exposures: Exposures) -> tuple[mx.array, mx.array]:
    """Return sum(I abs(O - e^ip Y)) and sum(I abs(Y)) over all pixels: O of ``patches``, Y taught, I the light.

    No pattern tells the phase p of its patch; it is the one that brings Y nearest to O.
    """
    assert exposures.taught is not None, "only a supervised experiment has taught patches"
    taught, light = exposures.taught, exposures.light
    agreement = (light * mx.conj(taught) * patches).sum(axis=(1, 2), keepdims=True)
    turned = taught * mx.stop_gradient(agreement / mx.maximum(mx.abs(agreement), TINY))
    return (light * mx.sqrt(intensity(patches - turned) + TINY)).sum(), (light * mx.abs(taught)).sum()


def modelled_intensity(wave: mx.array, way: Propagation) -> mx.array:
    """Return (B, H, W) on the detector of (B, P, H, W) modes."""
    return intensity(wave).sum(axis=1) * (1 / way.gain**2)


def intensity(wave: mx.array) -> mx.array:
    """Return abs(wave)**2 without the square root that abs takes."""
    return mx.square(mx.real(wave)) + mx.square(mx.imag(wave))


def centre(images: Any, side: int) -> Any:
    """Return the central (..., side, side) of (..., H, W) images."""
    top, left = ((pixels - side) // 2 for pixels in images.shape[-2:])
    return images[..., top : top + side, left : left + side]
