"""A batch of exposures (pattern, probe, window): the rPIE update of their object patches, and the error sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from smalti.ptycho.optics.propagation import Propagation

RPIE_ALPHA = 0.1
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Detector:
    """The propagation to the detector, its good pixels and its intensity floor.

    Attributes:
        propagation: from the sample to the detector.
        good_pixels: (H, W) float32, 1 or, for a bad pixel, 0, in the pixel order of ``Propagation.forward``.
        floor: is added to modelled and measured intensities, which bounds the correction of dim pixels.
    """

    propagation: Propagation
    good_pixels: mx.array
    floor: float


@dataclass(frozen=True, slots=True)
class Exposures:
    """B patterns of H x W pixels, each with its probe and its window on the flattened object.

    Attributes:
        amplitude: (B, H, W) float32, in the pixel order of ``Propagation.forward``.
        probe: (B, P, H, W) complex64, P modes, moved by the sub-pixel part of the position.
        pixels: (B, H, W) int32, indexes of the window's pixels in the flattened object.
        positions: (B, 2) float32, y and x of the window's first pixel.
        detector: of all patterns.
        target: (B, H, W) complex64, the true object inside the window for supervised training, or None.
    """

    amplitude: mx.array
    probe: mx.array
    pixels: mx.array
    positions: mx.array
    detector: Detector
    target: mx.array | None

    @property
    def probe_intensity(self) -> mx.array:
        """(B, H, W) float32, the intensity of the probe, summed over modes."""
        return intensity(self.probe).sum(axis=1)


def rpie_update(patches: mx.array, exposures: Exposures) -> mx.array:
    """Return the (B, H, W) complex64 rPIE update of these object patches, one pattern each.

    The modelled wave gets the measured amplitude and is propagated back to the sample. A network that is given this
    update, in place of the pattern itself, does not have to learn the propagation.

    Source: the object update of rPIE, A. Maiden, D. Johnson, P. Li, Optica 4, 736 (2017).
    """
    propagation, floor = exposures.detector.propagation, exposures.detector.floor
    wave = propagation.forward(patches[:, None] * exposures.probe)
    measured = mx.sqrt(mx.square(exposures.amplitude) + floor)
    correction = exposures.detector.good_pixels * (
        measured / mx.sqrt(modelled_intensity(wave, propagation) + floor) - 1
    )
    change = propagation.back(wave * correction[:, None])
    weight = exposures.probe_intensity
    damped = (1 - RPIE_ALPHA) * weight + RPIE_ALPHA * weight.max(axis=(-2, -1), keepdims=True)
    return (mx.conj(exposures.probe) * change).sum(axis=1) / damped


def r_factor_sums(patches: mx.array, exposures: Exposures) -> tuple[mx.array, mx.array]:
    """Return sum(abs(A - D)) and sum(D), modelled A and measured amplitude D, over the good pixels of all patterns.

    Their ratio is the R-factor; the sums of blocks can be added.
    """
    propagation, good = exposures.detector.propagation, exposures.detector.good_pixels
    wave = propagation.forward(patches[:, None] * exposures.probe)
    modelled = mx.sqrt(modelled_intensity(wave, propagation) + TINY)  # its gradient is finite where there is no light
    return (good * mx.abs(modelled - exposures.amplitude)).sum(), (good * exposures.amplitude).sum()


def patch_error_sums(patches: mx.array, exposures: Exposures) -> tuple[mx.array, mx.array]:
    """Return sum(I abs(O - e^ip Y)) and sum(I abs(Y)) over all pixels of patches O, targets Y, probe intensity I.

    No pattern depends on the mean phase p of its patch, so p is the one that fits Y to O in least squares.
    """
    assert exposures.target is not None, "only a supervised experiment has targets"
    target, weight = exposures.target, exposures.probe_intensity
    overlap = (weight * mx.conj(target) * patches).sum(axis=(1, 2), keepdims=True)
    in_phase = target * mx.stop_gradient(overlap / mx.maximum(mx.abs(overlap), TINY))
    return (weight * mx.sqrt(intensity(patches - in_phase) + TINY)).sum(), (weight * mx.abs(target)).sum()


def modelled_intensity(wave: mx.array, propagation: Propagation) -> mx.array:
    """Return the (B, H, W) intensity on the detector of (B, P, H, W) propagated modes."""
    return intensity(wave).sum(axis=1) * (1 / propagation.gain**2)


def intensity(wave: mx.array) -> mx.array:
    """Return abs(wave)**2, computed without a square root, so that its gradient is finite at 0."""
    return mx.square(mx.real(wave)) + mx.square(mx.imag(wave))


def centre(images: Any, side: int) -> Any:
    """Return the central (..., side, side) of (..., H, W) images."""
    top, left = ((pixels - side) // 2 for pixels in images.shape[-2:])
    return images[..., top : top + side, left : left + side]
