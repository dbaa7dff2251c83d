"""Where the undiffracted beam lies on the detector: at the centre, at pixel [0, 0], or somewhere else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.scans.inference import Inference

Image = NDArray[np.float64]

_GROUPS = 9  # an odd number, so that the middle one is a group
_PATTERNS_LOOKED_AT = 512
_SUPPORTED, _CERTAIN = 2, 10  # energy of one place against that of the other
_CONCENTRATED = 0.1  # first Fourier coefficient over the zeroth: 0 for flat light, 1 for one pixel
_NEAR = 1 / 8  # of the side: how far the middle of the light may lie from where the beam should be
_ONE_PIXEL = 1.5
_EACH_CORNER = 0.02  # of the brightest corner: what lies around [0, 0] shines into all four
_SPIKE = 4  # times the brightest neighbour


def dc_of(patterns: NDArray[Any]) -> Inference:
    """Tell a centred beam from one at pixel [0, 0] in (N, H, W) amplitudes, and both from one that is elsewhere.

    The energy in the middle quarter of a typical pattern is compared with that in its four corners, and the middle of
    its light is found by the phase of the first Fourier coefficient along each axis, which wraps around as a beam at
    [0, 0] does. Typical is the median of the mean patterns of nine groups, single hot pixels limited to what lies
    beside them: neither a few bad patterns nor a few bad pixels decide.

    ``says`` is ``centre``, ``corner``, ``neither``, or None where the light shows no beam.
    """
    image = typical_pattern(patterns)
    height, width = image.shape
    inner = (slice(height // 4, height - height // 4), slice(width // 4, width - width // 4))
    centre, corner = float(image[inner].mean()), float(np.fft.fftshift(image)[inner].mean())
    middle = _middle(image)
    if middle is not None and not any(_close(middle, at, image.shape) for at in ((height // 2, width // 2), (0, 0))):
        because = f"the middle of the light is at [{middle[0]:.0f}, {middle[1]:.0f}] of {height} x {width} pixels"
        return Inference("neither", because, "certain")
    if centre == corner:
        return Inference(None, "the middle and the corners of a typical pattern are equally bright")
    says, more, less = ("centre", centre, corner) if centre > corner else ("corner", corner, centre)
    ratio = more / less if less > 0 else float("inf")
    if says == "corner" and ratio >= _SUPPORTED and not _wraps(image, middle):
        because = "the light lies in one corner of a typical pattern and not around all four"
        return Inference("neither", because, "certain")
    places = ("middle", "corners") if says == "centre" else ("corners", "middle")
    because = f"a typical pattern has {ratio:.3g} times the energy of its {places[1]} in its {places[0]}"
    return Inference(says if ratio >= _SUPPORTED else None, because, "certain" if ratio >= _CERTAIN else "likely")


def typical_pattern(patterns: NDArray[Any]) -> Image:
    """Return the (H, W) intensity of a typical pattern of (N, H, W) finite amplitudes; empty ones are left out."""
    some = patterns[:: -(-len(patterns) // _PATTERNS_LOOKED_AT)]
    lit = some[some.any(axis=(1, 2))] if not some.any(axis=(1, 2)).all() else some
    if not len(lit):
        return np.zeros(patterns.shape[1:])
    groups = [lit[start::_GROUPS] for start in range(min(_GROUPS, len(lit)))]
    means = [np.einsum("nhw,nhw->hw", group, group, dtype=np.float64) / len(group) for group in groups]
    return without_spikes(np.median(means, axis=0))


def without_spikes(image: Image) -> Image:
    """Return the image with each pixel limited to four times its brightest neighbour; itself where nothing is left."""
    height, width = image.shape
    padded = np.pad(image, 1)
    around = [
        padded[row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
        if (row, column) != (1, 1)
    ]
    limited = np.minimum(image, _SPIKE * np.max(around, axis=0))
    return limited if limited.any() else image


def _middle(image: Image) -> tuple[float, float] | None:
    """Return the row and column of the middle of the light on the torus, or None where there is no middle."""
    total = float(image.sum())
    found = []
    for axis, length in enumerate(image.shape):
        along = image.sum(axis=1 - axis)
        coefficient = complex(along @ np.exp(2j * math.pi * np.arange(length) / length))
        if total <= 0 or abs(coefficient) < _CONCENTRATED * total:
            return None
        found.append(float(np.angle(coefficient)) % (2 * math.pi) * length / (2 * math.pi))
    return found[0], found[1]


def _close(middle: tuple[float, float], place: tuple[int, int], shape: tuple[int, ...]) -> bool:
    return all(
        abs((at - wanted + length / 2) % length - length / 2) <= max(_NEAR * length, _ONE_PIXEL)
        for at, wanted, length in zip(middle, place, shape, strict=True)
    )


def _wraps(image: Image, middle: tuple[float, float] | None) -> bool:
    """Tell whether light at the corners lies around all four, or is one pixel's worth at [0, 0]."""
    height, width = image.shape
    above = np.maximum(image - np.median(image), 0)
    corners = [
        float(above[rows, columns].sum())
        for rows in (slice(height // 4), slice(height - height // 4, None))
        for columns in (slice(width // 4), slice(width - width // 4, None))
    ]
    if min(corners) >= _EACH_CORNER * max(corners):
        return True
    return middle is not None and all(
        min(at, length - at) <= _ONE_PIXEL for at, length in zip(middle, image.shape, strict=True)
    )
