"""Fourier ring correlation (FRC) of two images of one object, its thresholds, and where it crosses them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.store.values import Tree

Image = NDArray[np.floating[Any]] | NDArray[np.complexfloating[Any, Any]]
Curve = NDArray[np.float64]

HALF_BIT_SNR = 0.2071  # of each half, 0.4142 of both together: log2(1 + 0.4142) is half a bit
ONE_BIT_SNR = 0.5
FIRST_RING = 2  # the Hann window spreads the mean of an image over rings 0 and 1


@dataclass(frozen=True, eq=False, slots=True)
class FrcResult:
    """The ring correlations of two reconstructions of one object.

    Attributes:
        frequency: (R,) of each ring, as a fraction of Nyquist, from 0 to 1, or to 1 - 1 / side of an odd side.
        phase: (R,) correlation of the phases, from -1 to 1.
        complex: (R,) correlation of the complex objects, from -1 to 1.
        pixels: (R,) int64, Fourier pixels on each ring.
        pixel_size_m: object pixel, m; None where it is unknown.
    """

    frequency: Curve
    phase: Curve
    complex: Curve
    pixels: NDArray[np.int64]
    pixel_size_m: float | None = None

    def thresholds(self) -> dict[str, Curve]:
        """Return the threshold curves, (R,) each: half_bit, one_bit and seventh (a constant 1/7)."""
        return {
            "half_bit": bit_threshold(self.pixels, HALF_BIT_SNR),
            "one_bit": bit_threshold(self.pixels, ONE_BIT_SNR),
            "seventh": np.full(len(self.pixels), 1 / 7),
        }

    def metrics(self) -> dict[str, float]:
        """Return the crossings, such as ``frc_phase_half_bit`` as a fraction of Nyquist.

        Where the pixel size is known, ``frc_phase_half_bit_nm`` and the like are the half periods in nm, pixel size
        over fraction.
        """
        found: dict[str, float] = {}
        for image in ("phase", "complex"):
            for name, threshold in self.thresholds().items():
                fraction = crossing(self.frequency, getattr(self, image), threshold)
                found[f"frc_{image}_{name}"] = fraction
                if self.pixel_size_m is not None:
                    found[f"frc_{image}_{name}_nm"] = self.pixel_size_m * 1e9 / fraction
        return found

    def to_tree(self) -> Tree:
        """Return the tree it is stored as: the curves, and the pixel size as an attribute."""
        curves = {name: getattr(self, name) for name in ("frequency", "phase", "complex", "pixels")}
        return Tree(curves, {"pixel_size_m": self.pixel_size_m})

    @classmethod
    def from_stored(cls, value: Mapping[str, Any]) -> FrcResult:
        """Return what ``store.get`` gives for a stored ``to_tree()``."""
        return cls(**value)


def compute_frc(first: Image, second: Image, pixel_size_m: float | None = None) -> FrcResult:
    """Return the ring correlations of two registered complex objects of one shape, and of their phases.

    Phases are taken from -pi to pi without unwrapping, less their mean: remove mean phase and ramp before. Where an
    object's phase wraps nevertheless, both images jump at the same places, the phase correlates too well, and only the
    complex curve is valid.
    """
    phases = (np.angle(image) for image in (first, second))
    a, b = (phase - phase.mean() for phase in phases)
    return FrcResult(
        *(_frequencies(first.shape), ring_correlation(a, b), ring_correlation(first, second)),
        pixels=np.bincount(_rings(first.shape))[: _count(first.shape)],
        pixel_size_m=pixel_size_m,
    )


def ring_correlation(first: Image, second: Image) -> Curve:
    """Return Re(sum F1 conj(F2)) / sqrt(sum abs(F1)**2 sum abs(F2)**2) on each ring, from 0 to Nyquist.

    The images are multiplied by a Hann window first. A ring is as wide as one frequency step of the shorter side. On
    a ring where one image is 0 the correlation is 0.

    Args:
        first, second: (M, K) real or complex, equal shapes.

    Source: W. O. Saxton, W. Baumeister, J. Microsc. 127, 127 (1982).
    """
    taper = np.multiply.outer(*(np.hanning(side) for side in first.shape))
    return _on_rings(np.fft.fft2(first * taper), np.fft.fft2(second * taper))


def ring_correlation_map(first: Image, second: Image) -> Curve:
    """Return the ring correlation of two (M, K) spectra, DC at [0, 0], as (M, K) weights of their pixels.

    Negative correlations, and pixels beyond the Nyquist ring, become 0.
    """
    found = np.append(np.maximum(_on_rings(first, second), 0), 0)
    return np.asarray(found[np.minimum(_rings(first.shape), len(found) - 1)].reshape(first.shape), dtype=np.float64)


def _on_rings(first: Image, second: Image) -> Curve:
    ring, count = _rings(first.shape), _count(first.shape)

    def ring_sum(values: NDArray[np.floating[Any]]) -> Curve:
        return np.asarray(np.bincount(ring, values.ravel())[:count], dtype=np.float64)

    power = np.sqrt(ring_sum(np.abs(first) ** 2) * ring_sum(np.abs(second) ** 2))
    return ring_sum((first * second.conj()).real) / np.maximum(power, np.finfo(float).tiny)


def bit_threshold(pixels: NDArray[np.int64], snr: float) -> Curve:
    """Return the (R,) correlations that rings of ``pixels`` have at the signal-to-noise ratio ``snr`` of each image.

    Source: M. van Heel, M. Schatz, J. Struct. Biol. 151, 250 (2005). As is customary, all ``pixels`` of a ring are
    counted, although the window and the symmetry of real images leave fewer independent ones.
    """
    root = np.sqrt(pixels)
    signal = 2 * math.sqrt(snr) / root
    return np.asarray((snr + signal + 1 / root) / (snr + 1 + signal), dtype=np.float64)


def crossing(frequency: Curve, correlation: Curve, threshold: Curve) -> float:
    """Return the frequency of the first ring, from ring 2, whose correlation is below the threshold; 1 if none is."""
    below = np.flatnonzero(correlation[FIRST_RING:] < threshold[FIRST_RING:])
    return float(frequency[below[0] + FIRST_RING]) if below.size else 1.0


def _rings(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the ring number of each Fourier pixel, flattened, DC at [0, 0]."""
    down, right = (np.fft.fftfreq(side, 1 / side) * min(shape) / side for side in shape)
    return np.asarray(np.rint(np.hypot(down[:, None], right)).ravel(), dtype=np.intp)


def _count(shape: tuple[int, ...]) -> int:
    return min(shape) // 2 + 1


def _frequencies(shape: tuple[int, ...]) -> Curve:
    return np.arange(_count(shape)) / (min(shape) / 2)
