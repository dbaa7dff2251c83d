"""What the values of a file say where nobody does: amplitude or counts, and which axis counts patterns or modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation

_PATTERNS_LOOKED_AT = 512
_FEWEST_ROOTS = 10
_LARGEST_COUNT_TESTED = 1e5  # above it float32 cannot tell a squared root from a whole number
_LARGEST_NORMALISED = 10  # PtychoPINN, docs/data_contracts.md: maximum and maximum / mean of a normalised amplitude
_LARGEST_PEAK_TO_MEAN = 100

Strength = Literal["likely", "certain", "only"]


@dataclass(frozen=True, slots=True)
class Inference:
    """Which reading the values support, and how strongly.

    Attributes:
        says: the reading, or None where they support more than one.
        because: what was seen, as a clause.
        strength: what becomes of a card that says otherwise: it is followed (``likely``), followed with a warning
            (``certain``), or refused, for its reading does not fit the shapes (``only``).
    """

    says: str | None
    because: str
    strength: Strength = "likely"


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


def resolve(question: Question, stated: str | None, seen: Inference, card: str) -> tuple[str | None, Violation | None]:
    """Return the reading to take, if there is one, and what a person should hear about it.

    The card wins over the values; where they certainly say otherwise, that is a warning with both readings.

    Args:
        question: what is asked.
        stated: what the card says, if it does.
        seen: what the values say.
        card: file name of the card, for the remedy.
    """
    if stated is None and seen.says is None:
        found = f"values that can be read as {' or '.join(question.readings)}: {seen.because}"
        first, second = question.readings
        remedy = f"write {question.field}: {first} (or {second}) in {card}"
        return None, Violation(question.code, question.place, found, "one reading", remedy)
    if stated is not None and seen.strength != "likely" and seen.says not in (None, stated):
        found = f"{stated} in the card and {seen.says} in the values: {seen.because}"
        if seen.strength == "only":
            remedy = f"correct {question.field} in {card}, or the file"
            return None, Violation(question.code, question.place, found, "one reading", remedy)
        remedy = f"the card is followed; correct {question.field} in {card} if the values are right"
        return stated, Violation(question.code, question.place, found, "one reading", remedy, "warning")
    return stated or seen.says, None


def quantity_of(patterns: NDArray[Any], *, far_field: bool = True) -> Inference:
    """Tell amplitude from counts in (N, H, W) finite, non-negative floating-point patterns.

    Whole numbers are counts and roots of whole numbers are amplitudes for certain; where neither holds,
    PtychoPINN's limits for a normalised amplitude support one reading or none. They are about the far field: an image
    in the near field divided by the empty beam lies within them too, whether it is an intensity or its root. What is
    held against them is the largest value of a typical pattern, so that a hot pixel of a few patterns decides nothing.
    """
    some = _some(patterns)
    if (some == np.rint(some)).all():
        largest = float(patterns.max())
        if largest <= 1:
            return Inference("amplitude", "every value is 0 or 1, where amplitude and counts agree")
        return Inference("counts", f"every value is a whole number and the largest is {largest:g}", "certain")
    if _are_roots(some):
        because = "the square of every value is a whole number and the values are not"
        return Inference("amplitude", because, "certain")
    largest, mean = _typical(some.max(axis=(1, 2))), _typical(some.mean(axis=(1, 2), dtype=np.float64))
    peak_to_mean = largest / mean if mean else float("inf")
    because = (
        f"neither values nor squares are whole numbers, and the largest of a typical pattern is {largest:g}, "
        f"{peak_to_mean:.3g} times its mean"
    )
    normalised = largest < _LARGEST_NORMALISED and peak_to_mean < _LARGEST_PEAK_TO_MEAN
    return Inference("amplitude" if normalised and far_field else None, because)


def _typical(of_each: NDArray[Any]) -> float:
    """Return the median of one number for each pattern, empty patterns left out."""
    return float(np.median(of_each[of_each > 0])) if of_each.any() else 0.0


def _are_roots(values: NDArray[Any]) -> bool:
    """Tell whether values are square roots of whole numbers, as far as their precision can show it."""
    precision = float(np.finfo(values.dtype).eps)
    counts = np.square(values[values > 0], dtype=np.float64)
    tested = counts[counts <= min(_LARGEST_COUNT_TESTED, 0.0125 / precision)]
    whole = np.rint(tested)
    close = (np.abs(tested - whole) <= 1e-3 + 4 * precision * tested) & (whole >= 1)
    return bool(tested.size >= _FEWEST_ROOTS and close.all() and whole.max() > 1)


def stack_axis_of(shape: tuple[int, ...], positions: int) -> Inference:
    """Tell (N, H, W) from (H, W, N) and (H, N, W) by where in ``shape`` the number of positions is.

    The middle axis is taken only where neither end fits, for the same number at an end is far more usual.
    """
    first, middle, last = (length == positions for length in shape)
    because = f"shape {shape} with {positions} positions"
    if first and last:
        return Inference(None, because)
    says = "first" if first else "last" if last else "middle" if middle else "first"
    return Inference(says, because, "only" if first or middle or last else "likely")


def mode_axis_of(shape: tuple[int, ...], plane: tuple[int, ...] | None) -> Inference:
    """Tell (P, H, W) from (H, W, P) by which end of ``shape`` is a plane as large as those of the patterns.

    Args:
        plane: (H, W) of the patterns; None where there are none, and a square plane decides.
    """
    if plane is None:
        first, last = shape[1] == shape[2], shape[0] == shape[1]
        because = f"shape {shape}"
    else:
        first, last = shape[1:] == plane, shape[:-1] == plane
        because = f"shape {shape} and patterns of {' x '.join(map(str, plane))}"
    if first and last:
        return Inference(None, because)
    return Inference("last" if last else "first", because, "only" if first or last else "likely")


def _some(patterns: NDArray[Any]) -> NDArray[Any]:
    """Return evenly spaced patterns, few enough to look at in bounded memory."""
    return patterns[:: -(-len(patterns) // _PATTERNS_LOOKED_AT)]
