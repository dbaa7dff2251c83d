"""How images move from one position to the next, and which reading of the positions that movement fits.

In the near field each pattern is an image of the sample under the probe. Where the probe goes to the right on the
sample, what it shows goes to the left in the window: the shift between two images is minus the difference of their
positions. In the far field no pattern is an image, and nothing is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Name = TypeVar("Name")

_PAIRS = 48
_SMALLEST_CODE = 2**31 - 2
_LONGEST_SIDE = 256  # pixels of an image that is compared; larger ones are binned
_CLEAR_PEAK = 6.0  # standard deviations of the correlation
_FEWEST_PAIRS = 4
_SMALLEST_SHIFT_PX = 0.5
_FITS, _MARGIN = 0.7, 0.3  # cosine between measured and expected shifts, and how much the best is ahead


@dataclass(frozen=True, slots=True)
class Shifts:
    """Measured shifts of pairs of images.

    Attributes:
        first, second: (K,) which patterns.
        rows, columns: (K,) how far what the second shows lies from where the first shows it, in pixels.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    rows: Float
    columns: Float


def measured_shifts(patterns: NDArray[Any], positions: Float) -> Shifts:
    """Return the shifts between the images of neighbouring positions, as far as they are clear.

    Args:
        patterns: (N, H, W), as a file holds them; what no image can hold (NaN, codes of a detector) counts as dark.
        positions: (N, 2) in any unit and order; only which are neighbours matters.
    """
    pairs = _neighbours(positions)
    kept: list[tuple[int, int, float, float]] = []
    if len(pairs):
        used = np.unique(np.concatenate([pairs[:, 0], pairs[:, 1]]))
        mean = np.zeros(patterns.shape[1:])
        for n in used:
            mean += _light(patterns[n]) / len(used)
        bins = -(-max(mean.shape) // _LONGEST_SIDE)
        for first, second in pairs.tolist():
            shift = _shift(*(_flattened(patterns[n], mean, bins) for n in (first, second)))
            if shift is not None and np.hypot(*shift) >= _SMALLEST_SHIFT_PX:
                kept.append((first, second, shift[0] * bins, shift[1] * bins))
    columns = list(zip(*kept, strict=True)) or [(), (), (), ()]
    first, second = (np.array(column, np.intp) for column in columns[:2])
    rows, cols = (np.array(column, np.float64) for column in columns[2:])
    return Shifts(first, second, rows, cols)


def fit_of(shifts: Shifts, xcoords: Float, ycoords: Float) -> float | None:
    """Return how well positions explain the shifts: 1 in every direction, -1 mirrored; None with too few shifts.

    The size of a pixel does not matter.
    """
    down = -(ycoords[shifts.second] - ycoords[shifts.first])
    right = -(xcoords[shifts.second] - xcoords[shifts.first])
    norm = np.hypot(down, right) * np.hypot(shifts.rows, shifts.columns)
    clear = norm > 0
    if clear.sum() < _FEWEST_PAIRS:
        return None
    return float(np.median((down * shifts.rows + right * shifts.columns)[clear] / norm[clear]))


def best_reading(shifts: Shifts, readings: Mapping[Name, tuple[Float, Float]]) -> Name | None:
    """Return the one reading, of names to (xcoords, ycoords), that the shifts fit clearly better than any other."""
    fits = {name: fit_of(shifts, *placed) for name, placed in readings.items()}
    ranked = sorted(((fit, n) for n, fit in enumerate(fits.values()) if fit is not None), reverse=True)
    if not ranked or ranked[0][0] < _FITS or (len(ranked) > 1 and ranked[0][0] - ranked[1][0] < _MARGIN):
        return None
    return list(fits)[ranked[0][1]]


def _neighbours(positions: Float) -> NDArray[np.intp]:
    """Return (K, 2), pairs of neighbouring patterns, up to two of each of some evenly spaced ones."""
    count = len(positions)
    pairs: list[tuple[int, int]] = []
    for at in range(0, count, -(-count // (_PAIRS // 2))):
        offsets = positions - positions[at]
        distances = np.hypot(*offsets.T)
        distances[distances == 0] = np.inf
        nearest = int(distances.argmin())
        if not np.isfinite(distances[nearest]):
            continue
        pairs.append((at, nearest))
        # and the nearest one across that direction, so that both axes are seen
        across = np.abs(offsets @ offsets[nearest]) < 0.5 * np.hypot(*offsets.T) * distances[nearest]
        distances[~across] = np.inf
        if np.isfinite(distances.min()):
            pairs.append((at, int(distances.argmin())))
    return np.array(pairs, np.intp).reshape(-1, 2)


def _light(pattern: NDArray[Any]) -> Float:
    with np.errstate(invalid="ignore"):
        return np.where((pattern >= 0) & (pattern < _SMALLEST_CODE), pattern, 0).astype(np.float64)


def _flattened(pattern: NDArray[Any], mean: Float, bins: int) -> Float:
    """Return what a pattern shows beside what all of them show, with soft edges, as an image of zero mean."""
    dim = max(1e-3 * float(mean.max()), 1e-12)
    image = (_light(pattern) - mean) / np.sqrt(mean + dim)
    height, width = (length // bins * bins for length in image.shape)
    image = image[:height, :width].reshape(height // bins, bins, width // bins, bins).mean(axis=(1, 3))
    soft = np.outer(np.hanning(image.shape[0] + 2)[1:-1], np.hanning(image.shape[1] + 2)[1:-1])
    return np.asarray((image - np.average(image, weights=soft)) * soft)


def _shift(first: Float, second: Float) -> tuple[float, float] | None:
    """Return by how many rows and columns ``second`` lies further than ``first``, or None where nothing is clear."""
    cross = np.fft.rfft2(second) * np.conj(np.fft.rfft2(first))
    surface = np.fft.irfft2(cross / np.sqrt(np.abs(cross) + 1e-30), s=first.shape)
    if not np.isfinite(surface).all() or surface.std() == 0:
        return None
    row, column = np.unravel_index(int(surface.argmax()), surface.shape)
    if surface[row, column] < _CLEAR_PEAK * surface.std():
        return None
    height, width = surface.shape
    return float((row + height // 2) % height - height // 2), float((column + width // 2) % width - width // 2)
