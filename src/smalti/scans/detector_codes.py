"""Numbers that a detector writes where it measured nothing, and values that are too large to be counts.

Eiger marks gaps and dead pixels with the largest number of its type and the one below it, Pilatus with -1 and -2, and
merged images with NaN. A code stands in the same pixels of every pattern; a saturated or hot pixel only in some.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation

Pixels = NDArray[np.bool_]

_NEARLY_ALWAYS = 0.9  # of the patterns
_BLOCK_VALUES = 1 << 22  # compared at once
_WIDE_CODES = (2**16 - 1, 2**16 - 2, 2**31 - 1, 2**32 - 1, 2**32 - 2)  # known from detectors, whatever type holds them
_MOST_NEGATIVE_CODES = 8
_DARK = 0.01  # of a code: light falls off more slowly than that beside a saturated pixel
_FEWEST_PATTERNS = 4  # with fewer, "in every pattern" says little
_HOT = 20  # times the largest value of a typical pattern, and of its neighbours


@dataclass(frozen=True, slots=True)
class Code:
    """One number, in words and as it is compared: ``value``, or within ``tolerance`` of it."""

    value: float | int
    words: str
    tolerance: float = 0.0

    def at(self, values: NDArray[Any]) -> Pixels:
        """Return where values are this code."""
        if not self.tolerance:
            return np.asarray(values == self.value)
        return np.asarray(np.abs(values - self.value) <= self.tolerance)


@dataclass(frozen=True, slots=True)
class Codes:
    """What was found in a stack of patterns.

    Attributes:
        bad: (H, W), true where a pixel measures nothing.
        notes: what was concluded, in words.
        violations: what a person should hear, or must decide.
    """

    bad: Pixels
    notes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


def find_codes(patterns: NDArray[Any], known_bad: Pixels, stated: str | None, card: str) -> Codes:
    """Return the pixels of (N, H, W) patterns, as the file holds them, that hold a code in nearly every pattern.

    Args:
        known_bad: (H, W), pixels that are already said to be bad; nothing is found there.
        stated: ``bad`` or ``signal`` where the card says what such values are.
        card: file name of the card, for remedies.
    """
    bad = known_bad.copy()
    notes: list[str] = []
    violations: list[Violation] = []
    for code in _codes(patterns, ~bad):
        count = _count(patterns, code)
        always = (count >= max(1, _NEARLY_ALWAYS * len(patterns))) & ~bad
        if code.value < 0 and len(patterns) < _FEWEST_PATTERNS and _negative_elsewhere(patterns, bad | always):
            continue
        doubtful = _may_be_saturated(patterns, always, bad, code) if stated is None else np.zeros_like(bad)
        if stated == "signal":
            always = np.zeros_like(bad)
        if (gap := always & ~doubtful).any():
            bad |= gap
            held = (
                "every pattern"
                if count[gap].min() == len(patterns)
                else f"nearly every one of {len(patterns)} patterns"
            )
            notes.append(f"{named(gap)} hold {code.words} in {held}: taken as bad pixels")
        if doubtful.any():
            violations.append(_asked(doubtful, code.words, card))
        some = (count > 0) & ~always & ~bad
        if code.value > 0 and some.any() and _is_largest(patterns, code, bad):
            violations.append(_saturated(patterns, some, count, code))
    missing = _count(patterns, None) if patterns.dtype.kind == "f" else np.zeros(bad.shape, np.intp)
    always = (missing >= max(1, _NEARLY_ALWAYS * len(patterns))) & ~bad
    if always.any() and stated == "bad":
        bad |= always
        notes.append(f"{named(always)} hold NaN or infinity in every pattern: taken as bad pixels, as the card says")
    elif always.any():
        violations.append(_asked(always, "NaN or infinity", card, code="array.not_finite"))
    if not (always.any() or violations):
        violations.extend(_hot(patterns, bad))
    return Codes(bad, tuple(notes), tuple(violations))


def named(pixels: Pixels) -> str:
    """Return how many pixels there are and where, e.g. ``96 pixels (rows 14 to 16)``."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    count = int(pixels.sum())
    if count == 1:
        return f"1 pixel ([{rows[0]}, {columns[0]}])"
    parts = [
        f"{axis} {found[0]} to {found[-1]}" if found[-1] > found[0] else f"{axis.removesuffix('s')} {found[0]}"
        for axis, found, length in (("rows", rows, pixels.shape[0]), ("columns", columns, pixels.shape[1]))
        if len(found) < length
    ]
    return f"{count} pixels ({', '.join(parts) or 'all over the detector'})"


def _codes(patterns: NDArray[Any], looked_at: Pixels) -> Iterator[Code]:
    """Yield the codes that occur in the patterns, the largest number of their type first."""
    dtype = patterns.dtype
    if dtype.kind not in "fiu" or not looked_at.any():
        return
    highest, lowest = patterns.max(axis=0)[looked_at], patterns.min(axis=0)[looked_at]
    if dtype.kind == "f":
        of_type: tuple[int, ...] = ()
    else:
        largest = int(np.iinfo(dtype).max)
        of_type = (largest, largest - 1) if dtype.itemsize > 1 else (largest,)
    for value in dict.fromkeys((*of_type, *_WIDE_CODES)):
        for code in _written(value, dtype):
            if code.at(highest).any():
                yield code
    constant = np.unique(lowest[(lowest == highest) & (lowest < 0)])[:_MOST_NEGATIVE_CODES]
    for value in dict.fromkeys((-1, -2, *(v.item() for v in constant))):
        if (lowest == value).any():
            yield Code(value, f"{value:g}")


def _written(value: int, dtype: np.dtype[Any]) -> Iterator[Code]:
    """Yield a code as an array of this type holds it: as it is, and in a float also as the root of it."""
    if dtype.kind != "f":
        if value <= np.iinfo(dtype).max:
            yield Code(value, f"{value}")
    elif value <= float(np.finfo(dtype).max):
        yield Code(float(dtype.type(value)), f"{value}")
        root = float(dtype.type(value**0.5))
        yield Code(root, f"{root:.6g}, the root of {value},", 4 * float(np.finfo(dtype).eps) * root)


def _count(patterns: NDArray[Any], code: Code | None) -> NDArray[np.intp]:
    """Return (H, W), how many patterns hold the code there; None counts what is NaN or infinite."""
    step = max(1, _BLOCK_VALUES // max(1, patterns[0].size))
    blocks = (patterns[start : start + step] for start in range(0, len(patterns), step))
    counts = [(~np.isfinite(b) if code is None else code.at(b)).sum(axis=0) for b in blocks]
    return np.asarray(np.sum(counts, axis=0), np.intp)


def _negative_elsewhere(patterns: NDArray[Any], pixels: Pixels) -> bool:
    return bool((patterns[:, ~pixels] < 0).any())


def _is_largest(patterns: NDArray[Any], code: Code, bad: Pixels) -> bool:
    return bool(not (patterns.max(axis=0)[~bad] > code.value + code.tolerance).any())


def _may_be_saturated(patterns: NDArray[Any], pixels: Pixels, bad: Pixels, code: Code) -> Pixels:
    """Return those connected groups of pixels that have no dark pixel beside them, so that they may be beam."""
    doubtful = np.zeros_like(pixels)
    if code.value < 0 or not pixels.any():
        return doubtful
    from scipy.ndimage import binary_dilation, label

    groups, count = label(pixels, np.ones((3, 3), int))
    some = patterns[:: -(-len(patterns) // 64)]
    for number in range(1, count + 1):
        group = groups == number
        beside = binary_dilation(group, np.ones((3, 3), bool)) & ~pixels & ~bad
        if beside.any() and float(np.median(some[:, beside], axis=0).min()) >= _DARK * code.value:
            doubtful |= group
    return doubtful


def _asked(pixels: Pixels, held: str, card: str, code: str = "diffraction.codes") -> Violation:
    found = f"{named(pixels)} that hold {held} in every pattern"
    wanted = "a mask that says whether they measured anything"
    remedy = f"mark them in bad_pixels, or write reading.diffraction.codes: bad in {card}"
    if code == "diffraction.codes":
        remedy += " (or signal, where the beam is as strong as that)"
    return Violation(code, "diffraction", found, wanted, remedy)


def _saturated(patterns: NDArray[Any], pixels: Pixels, count: NDArray[np.intp], code: Code) -> Violation:
    number = next(n for n, pattern in enumerate(patterns) if (code.at(pattern) & pixels).any())
    row, column = np.argwhere(code.at(patterns[number]) & pixels)[0].tolist()
    of_type = patterns.dtype.kind != "f" and code.value == np.iinfo(patterns.dtype).max
    held = f"the largest number that {patterns.dtype} holds" if of_type else "a code of detectors"
    times = int(count[pixels].sum())
    found = f"{times} of {patterns.size} values (first at {[number, row, column]}) of {code.words}, {held}"
    remedy = f"mark pixel {[row, column]} in bad_pixels if it is hot, or leave those patterns out"
    index = (number, row, column)
    return Violation("diffraction.saturated", "diffraction", found, "counts below it", remedy, "warning", index)


def _hot(patterns: NDArray[Any], bad: Pixels) -> Iterator[Violation]:
    """Yield a warning where single pixels of single patterns outshine everything beside them."""
    if len(patterns) < _FEWEST_PATTERNS or patterns.dtype.kind not in "fiu" or bad.all():
        return
    peaks = np.array([pattern.max(initial=0, where=~bad) for pattern in patterns], dtype=np.float64)
    typical = float(np.median(peaks[peaks > 0])) if (peaks > 0).any() else 0.0
    hot: list[tuple[int, int, int]] = []
    for n in np.flatnonzero(peaks > _HOT * typical).tolist() if typical else ():
        pattern = np.where(bad, 0, patterns[n])
        row, column = (int(i) for i in np.unravel_index(int(pattern.argmax()), pattern.shape))
        around = pattern[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].astype(np.float64)
        if np.sort(around, axis=None)[-2] * _HOT < peaks[n]:
            hot.append((n, row, column))
    if hot and len(hot) < _NEARLY_ALWAYS * len(patterns):
        n, row, column = hot[0]
        found = f"{len(hot)} of {len(patterns)} patterns with a hot pixel (first at {[n, row, column]}: {peaks[n]:g})"
        wanted = f"values near {typical:g}, the largest of a typical pattern"
        remedy = f"mark pixel {[row, column]} in bad_pixels, or leave those patterns out"
        yield Violation("diffraction.hot_pixel", "diffraction", found, wanted, remedy, "warning", hot[0])
