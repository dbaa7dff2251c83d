"""The unit of scan positions: object pixels or a length, held against the window, the step and the object pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation
from smalti.scans.card import PositionUnit

METRES: dict[PositionUnit, float] = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "nm": 1e-9}
WORDS: dict[PositionUnit, str] = {"m": "metres", "mm": "millimetres", "um": "micrometres", "nm": "nanometres"}
PLACE = "xcoords and ycoords"

_FEWEST_POSITIONS = 4  # with fewer, a span or a step says little
_SMALLEST_SPAN_PX, _SMALLEST_SPAN_OF_FEW_PX = 1.0, 1e-2
_SMALLEST_PITCH_PX = 0.25
_LIKELY_STEPS = (1 / 200, 1 / 2)  # of the window; beyond them a scan is unusual, but possible
_NEIGHBOURS_LOOKED_AT = 64
_OBJECT_PIXELS_M = (1e-11, 2e-6)  # from the finest of electrons to magnified near fields
_USUAL_STEP_M = 1e-7


@dataclass(frozen=True, slots=True)
class Spread:
    """How positions lie, in their own unit.

    Attributes:
        count: how many there are.
        span: the longer side of the rectangle around them.
        pitch: the step of a square raster of so many positions over that span; repeated positions do not shrink it.
        step: median distance of a position to the nearest other one.
    """

    count: int
    span: float
    pitch: float
    step: float

    def times(self, factor: float) -> Spread:
        """Return the same positions in another unit."""
        return Spread(self.count, self.span * factor, self.pitch * factor, self.step * factor)


def spread_of(xcoords: NDArray[Any], ycoords: NDArray[Any]) -> Spread:
    """Return how (N,) finite positions lie."""
    span = max(float(np.ptp(xcoords)), float(np.ptp(ycoords)))
    pitch = span / max(math.sqrt(len(xcoords)) - 1, 1)
    places = np.unique(np.stack([xcoords, ycoords], axis=1), axis=0)
    nearest = []
    for at in range(0, len(places), -(-len(places) // _NEIGHBOURS_LOOKED_AT)):
        distances = np.hypot(*(places - places[at]).T)
        distances[at] = np.inf
        nearest.append(float(distances.min()))
    return Spread(len(xcoords), span, pitch, float(np.median(nearest)) if len(places) > 1 else 0.0)


def implausible(pixels: Spread, window: int) -> str:
    """Return what is wrong with positions in object pixels of a scan with such windows, or nothing."""
    few = pixels.count < _FEWEST_POSITIONS
    if 0 < pixels.span < (_SMALLEST_SPAN_OF_FEW_PX if few else _SMALLEST_SPAN_PX):
        return "all probes would lie within one pixel"
    if not few and 0 < pixels.pitch < _SMALLEST_PITCH_PX:
        return f"the probes would lie {pixels.pitch:.2g} pixels apart"
    if not few and pixels.step > window:
        return f"no window would overlap another one, {window} pixels wide"
    return ""


def unusual(pixels: Spread, window: int) -> str:
    """Return what is unusual about positions in object pixels that are plausible, or nothing."""
    if pixels.count < _FEWEST_POSITIONS or not pixels.span:
        return ""
    if pixels.pitch < _LIKELY_STEPS[0] * window:
        return f"windows {window} pixels wide would overlap by more than 99 %"
    if pixels.step > _LIKELY_STEPS[1] * window:
        return f"windows {window} pixels wide would overlap by less than half"
    return ""


def resolve_unit(
    spread: Spread, stated: PositionUnit | None, window: int, pixel_m: float | None, card: str
) -> tuple[PositionUnit | None, Violation | None]:
    """Return the unit to take, if there is one, and what a person should hear about it.

    Without a word in the card positions are pixels, with a warning where that makes an unusual scan, unless they cannot
    be; then it is asked, and the units that give a plausible scan are named. The card's unit is taken, with a warning
    where it gives an implausible scan.

    Args:
        spread: of the positions as they are.
        stated: the unit that the card gives.
        window: pixels along the longer side of a pattern.
        pixel_m: size of an object pixel, where it is known.
        card: file name of the card, for the remedy.
    """
    scale: float | None = 1.0
    if stated not in (None, "px"):
        scale = METRES[stated] / pixel_m if pixel_m else None
    read_as = stated or "px"
    wrong = implausible(spread.times(scale), window) if scale is not None else ""
    doubtful = unusual(spread.times(scale), window) if scale is not None and not wrong and stated is None else ""
    if not (wrong or doubtful):
        return read_as, None
    others = [unit for unit in _plausible(spread, window, pixel_m) if unit != read_as]
    described = f"{spread.count} positions that span {spread.span:.3g}, {spread.step:.2g} from one to the next"
    fitting = ", ".join(_described(unit, spread, pixel_m) for unit in others)
    found = f"{described}: in {read_as}, {wrong or doubtful}" + (f"; plausible is {fitting}" if fitting else "")
    if doubtful:
        remedy = f"they are taken as pixels; write reading.positions.unit in {card}, px if that is right"
        return "px", Violation("positions.unit", PLACE, found, "a usual scan", remedy, "warning")
    readings = [*others, read_as]
    choice = f"{readings[0]} (or {', '.join(readings[1:])})" if readings[1:] else readings[0]
    remedy = f"write reading.positions.unit: {choice} in {card}"
    if stated is not None:
        remedy = f"the card is followed; correct reading.positions.unit in {card} if it is wrong"
        return stated, Violation("positions.unit", PLACE, found, "a plausible scan", remedy, "warning")
    return None, Violation("positions.unit", PLACE, found, "one unit", remedy)


def _plausible(spread: Spread, window: int, pixel_m: float | None) -> list[PositionUnit]:
    """Return the units in which these positions make a scan, the likeliest first."""
    fitting: list[PositionUnit] = []
    for unit, metres in METRES.items():
        if pixel_m:
            fits = not implausible(spread.times(metres / pixel_m), window)
        else:  # some object pixel between the finest and the coarsest makes it one
            least, most = spread.step * metres / window, spread.pitch * metres / _SMALLEST_PITCH_PX
            fits = least <= _OBJECT_PIXELS_M[1] and most >= _OBJECT_PIXELS_M[0]
        if fits:
            fitting.append(unit)
    fitting.sort(key=lambda unit: abs(math.log10(max(spread.step * METRES[unit], 1e-30) / _USUAL_STEP_M)))
    return fitting if implausible(spread, window) else [*fitting, "px"]


def _described(unit: PositionUnit, spread: Spread, pixel_m: float | None) -> str:
    if unit == "px" or not pixel_m:
        return unit
    return f"{unit} (steps of {spread.step * METRES[unit] / pixel_m:.3g} pixels of {pixel_m:g} m)"
