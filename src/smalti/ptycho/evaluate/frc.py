"""Fourier ring correlation: up to which frequency two independent images of one object agree."""

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

HALF_BIT_SNR = 0.2071  # 0.2071 in each half is 0.4142 in both together: half a bit by log2(1 + snr)
ONE_BIT_SNR = 0.5
FIRST_RING = 2  # the window smears the mean of an image over rings 0 and 1


@dataclass(frozen=True, eq=False, slots=True)
class FrcResult:
    """How well two reconstructions of one object agree, ring by ring.

    Attributes:
        frequency: (R,) of each ring, as a fraction of Nyquist, from 0 to 1.
        phase: (R,) correlation of their phases.
        complex: (R,) correlation of the complex objects.
        pixels: (R,) int64, Fourier pixels on each ring.
        pixel_size_m: object pixel, m, where it is known.
    """

    frequency: Curve
    phase: Curve
    complex: Curve
    pixels: NDArray[np.int64]
    pixel_size_m: float | None = None

    def thresholds(self) -> dict[str, Curve]:
        """Return the curves that a correlation is compared with, (R,) each: half_bit, one_bit and seventh."""
        return {
            "half_bit": bit_threshold(self.pixels, HALF_BIT_SNR),
            "one_bit": bit_threshold(self.pixels, ONE_BIT_SNR),
            "seventh": np.full(len(self.pixels), 1 / 7),
        }

    def figures(self) -> dict[str, float]:
        """Return each crossing: ``frc_phase_half_bit`` as a fraction of Nyquist, ``frc_phase_half_bit_nm`` in nm.

        The latter, pixel size over fraction, is a half period, and is there where the pixel size is known.
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


def compare_rings(first: Image, second: Image, pixel_size_m: float | None = None) -> FrcResult:
    """Return the ring correlations of two aligned complex objects of one shape and of their phases.

    A phase is taken as it is in (-pi, pi], less its mean: bring mean phase and ramp to zero before. Where an object's
    phase wraps nevertheless, both images jump at the same places, and only the complex curve is to be trusted.
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

    The images are tapered by a Hann window first. Rings are one frequency step of the shorter side wide. A ring
    that holds nothing in one image correlates by 0.

    Args:
        first, second: (M, K) real or complex, equal shapes.

    Source: W. O. Saxton, W. Baumeister, J. Microsc. 127, 127 (1982).
    """
    taper = np.multiply.outer(*(np.hanning(side) for side in first.shape))
    return _on_rings(np.fft.fft2(first * taper), np.fft.fft2(second * taper))


def agreement(first: Image, second: Image) -> Curve:
    """Return the ring correlation of two (M, K) spectra, DC at [0, 0], at each of their pixels.

    Where it is negative, and beyond Nyquist in the corners, 0 is returned.
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
    """Return the correlation at which rings of so many pixels carry the information of a signal-to-noise ratio ``snr``.

    Source: M. van Heel, M. Schatz, J. Struct. Biol. 151, 250 (2005). ``pixels`` are all of a ring, as is
    the custom; the window and the symmetry of real images leave fewer that are independent.
    """
    root = np.sqrt(pixels)
    signal = 2 * math.sqrt(snr) / root
    return np.asarray((snr + signal + 1 / root) / (snr + 1 + signal), dtype=np.float64)


def crossing(frequency: Curve, correlation: Curve, threshold: Curve) -> float:
    """Return the frequency of the first ring, from ring 2, whose correlation is below the threshold; 1 if none is."""
    below = np.flatnonzero(correlation[FIRST_RING:] < threshold[FIRST_RING:])
    return float(frequency[below[0] + FIRST_RING]) if below.size else 1.0


def _rings(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the ring of each Fourier pixel, flattened, DC at [0, 0]."""
    down, right = (np.fft.fftfreq(side, 1 / side) * min(shape) / side for side in shape)
    return np.asarray(np.rint(np.hypot(down[:, None], right)).ravel(), dtype=np.intp)


def _count(shape: tuple[int, ...]) -> int:
    return min(shape) // 2 + 1


def _frequencies(shape: tuple[int, ...]) -> Curve:
    return np.arange(_count(shape)) / (min(shape) / 2)
