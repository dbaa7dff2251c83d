"""What the numbers themselves say where a file does not: amplitude or counts, where DC is, axes, unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation

_PATTERNS_LOOKED_AT = 512
_FEWEST_ROOTS = 10
_LARGEST_COUNT_TESTED = 1e5  # above it float32 cannot tell a squared root from a whole number
_LARGEST_NORMALISED = 10  # PtychoPINN, docs/data_contracts.md: maximum and maximum / mean of a normalised amplitude
_LARGEST_PEAK_TO_MEAN = 100
_DC_SUPPORTED, _DC_CERTAIN = 2, 10
_SMALLEST_SPAN_PX = 1e-2


@dataclass(frozen=True, slots=True)
class Evidence:
    """Which reading the values support.

    Attributes:
        says: the reading, or None where they support more than one.
        because: what was seen, as a clause.
        certain: whether a card that says otherwise must be wrong.
    """

    says: str | None
    because: str
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """Something a file does not say: the code of its violation, its place, its card field, the two readings."""

    code: str
    place: str
    field: str
    readings: tuple[str, str]


QUANTITY = Question("diffraction.quantity", "diffraction", "reading.diffraction.quantity", ("amplitude", "counts"))
DC = Question("diffraction.dc", "diffraction", "reading.diffraction.dc", ("centre", "corner"))
STACK_AXIS = Question("diffraction.stack_axis", "diffraction", "reading.diffraction.stack_axis", ("first", "last"))
MODE_AXIS = Question("probeGuess.mode_axis", "probeGuess", "reading.probe.mode_axis", ("first", "last"))
UNIT = Question("positions.unit", "xcoords and ycoords", "reading.positions.unit", ("px", "m"))


def settle(question: Question, stated: str | None, evidence: Evidence, card: str) -> str | Violation:
    """Return the reading that card and values agree on, or the violation that names both readings.

    Args:
        question: what is asked.
        stated: what the card says, if it does.
        evidence: what the values say.
        card: file name of the card, for the remedy.
    """
    if stated is None and evidence.says is None:
        found = f"values that can be read as {' or '.join(question.readings)}: {evidence.because}"
        first, second = question.readings
        remedy = f"write {question.field}: {first} (or {second}) in {card}"
        return Violation(question.code, question.place, found, "one reading", remedy)
    if stated is not None and evidence.certain and evidence.says not in (None, stated):
        found = f"{stated} in the card and {evidence.says} in the values: {evidence.because}"
        remedy = f"correct {question.field} in {card}, or the file"
        return Violation(question.code, question.place, found, "one reading", remedy)
    return stated or evidence.says or question.readings[0]


def quantity_of(patterns: NDArray[Any], *, far_field: bool = True) -> Evidence:
    """Tell amplitude from counts in (N, H, W) finite, non-negative floating-point patterns.

    Whole numbers are counts and roots of whole numbers are amplitudes for certain; where neither holds,
    PtychoPINN's limits for a normalised amplitude support one reading or none. They are about the far field: an image
    in the near field divided by the empty beam lies within them too, whether it is an intensity or its root.
    """
    some = _some(patterns)
    largest, mean = float(patterns.max()), float(some.mean(dtype=np.float64))
    if (some == np.rint(some)).all():
        if largest <= 1:
            return Evidence("amplitude", "every value is 0 or 1, where amplitude and counts agree")
        return Evidence("counts", f"every value is a whole number and the largest is {largest:g}", certain=True)
    if _are_roots(some):
        because = "the square of every value is a whole number and the values are not"
        return Evidence("amplitude", because, certain=True)
    peak_to_mean = largest / mean if mean else float("inf")
    because = (
        f"neither values nor squares are whole numbers, the largest is {largest:g}, {peak_to_mean:.3g} times the mean"
    )
    normalised = largest < _LARGEST_NORMALISED and peak_to_mean < _LARGEST_PEAK_TO_MEAN
    return Evidence("amplitude" if normalised and far_field else None, because)


def _are_roots(values: NDArray[Any]) -> bool:
    """Tell whether values are square roots of whole numbers, as far as their precision can show it."""
    precision = float(np.finfo(values.dtype).eps)
    counts = np.square(values[values > 0], dtype=np.float64)
    tested = counts[counts <= min(_LARGEST_COUNT_TESTED, 0.0125 / precision)]
    whole = np.rint(tested)
    close = (np.abs(tested - whole) <= 1e-3 + 4 * precision * tested) & (whole >= 1)
    return bool(tested.size >= _FEWEST_ROOTS and close.all() and whole.max() > 1)


def dc_of(patterns: NDArray[Any]) -> Evidence:
    """Tell a centred beam from one at pixel [0, 0] in (N, H, W) amplitudes.

    The energy in the middle quarter of the mean pattern is compared with that in its four corners.
    """
    some = _some(patterns)
    mean = np.einsum("nhw,nhw->hw", some, some)
    height, width = mean.shape
    top, left = height // 4, width // 4
    centre = float(mean[top : height - top, left : width - left].mean())
    rolled = np.fft.fftshift(mean)
    corner = float(rolled[top : height - top, left : width - left].mean())
    if centre == corner:
        return Evidence(None, "the middle and the corners of the mean pattern are equally bright")
    says, more, less = ("centre", centre, corner) if centre > corner else ("corner", corner, centre)
    ratio = more / less if less > 0 else float("inf")
    places = ("middle", "corners") if says == "centre" else ("corners", "middle")
    because = f"the mean pattern has {ratio:.3g} times the energy of its {places[1]} in its {places[0]}"
    return Evidence(says if ratio >= _DC_SUPPORTED else None, because, certain=ratio >= _DC_CERTAIN)


def stack_axis_of(shape: tuple[int, ...], positions: int) -> Evidence:
    """Tell (N, H, W) from (H, W, N) by which end of ``shape`` is the number of positions."""
    first, last = shape[0] == positions, shape[-1] == positions
    because = f"shape {shape} with {positions} positions"
    if first and last:
        return Evidence(None, because)
    return Evidence("last" if last else "first", because, certain=first or last)


def mode_axis_of(shape: tuple[int, ...], plane: tuple[int, ...]) -> Evidence:
    """Tell (P, H, W) from (H, W, P) by which end of ``shape`` is a plane as large as those of the patterns."""
    first, last = shape[1:] == plane, shape[:-1] == plane
    because = f"shape {shape} and patterns of {' x '.join(map(str, plane))}"
    if first and last:
        return Evidence(None, because)
    return Evidence("last" if last else "first", because, certain=first or last)


def unit_of(xcoords: NDArray[Any], ycoords: NDArray[Any]) -> Evidence:
    """Tell pixels from metres: a scan that moves, but by less than a hundredth of a pixel, may be in metres."""
    span = max(float(np.ptp(xcoords)), float(np.ptp(ycoords)))
    because = f"the positions span {span:.3g}"
    return Evidence(None if 0 < span < _SMALLEST_SPAN_PX else "px", because)


def _some(patterns: NDArray[Any]) -> NDArray[Any]:
    """Return evenly spaced patterns, few enough to look at in bounded memory."""
    return patterns[:: -(-len(patterns) // _PATTERNS_LOOKED_AT)]
