"""Positions in one table: which column is x is never guessed, but the readings that fit are named, best first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from smalti.contracts.arrays import Array
from smalti.contracts.builtin.scan import FOOTPRINT
from smalti.contracts.violation import Violation, shown
from smalti.scans.image_motion import best_reading, fit_of, measured_shifts

Order = tuple[str, ...]

_ORDERS: tuple[Order, ...] = (("y", "x"), ("x", "y"))
CXI, _CXI_ORDERS = "positions_if_", (("x", "y"), ("y", "x"))  # CXI 1.6 writes x, y, z
_IMAGES_DECIDE, _MARGIN = 0.7, 0.3  # of the fit of an order, either way round


@dataclass(frozen=True, slots=True)
class Candidate:
    """One reading of the positions: a table, its name, and what its columns are."""

    name: str
    table: Array
    order: Order

    @property
    def columns(self) -> tuple[Array, Array]:
        """(N,) x and y."""
        x, y = (np.asarray(self.table[:, self.order.index(letter)], np.float64) for letter in "xy")
        return x, y

    def __str__(self) -> str:
        return f"[{', '.join(self.order)}]"


def asked_for_positions(
    violations: Iterable[Violation],
    arrays: Mapping[str, Array],
    resolved: Mapping[str, Array],
    card_name: str,
    *,
    far_field: bool = True,
) -> tuple[Violation, ...]:
    """Return the violations, those about absent positions naming the (N, 2) and (N, 3) arrays that may hold them.

    Of the readings of all such arrays those are named that put every probe on the object; then the one that the images
    support comes first, with the reason.

    Args:
        far_field: what the card says; in the near field the images tell mirrored readings apart as well.
    """
    asked = tuple(violations)
    absent = {v.place for v in asked if v.code == "key.missing"} & {"xcoords", "ycoords"}
    candidates = _candidates(arrays, resolved) if absent else []
    if not candidates:
        return asked
    preferred, why = _preferred(candidates, resolved, far_field=far_field)
    chosen = preferred or candidates[0]
    hints = [_hint([c for c in candidates if c.name == name]) for name in dict.fromkeys(c.name for c in candidates)]
    others = [
        f"order: {c}" if c.name == chosen.name else f"key: {shown(c.name)}, order: {c}"
        for c in candidates
        if c != chosen
    ]
    remedy = f"write reading.positions: {{key: {shown(chosen.name)}, order: {chosen}}} in {card_name}"
    remedy += f", {why}" if why else ""
    remedy += f" (or {', or '.join(others)})" if others else ""
    return tuple(
        replace(v, found=f"{v.found}; {'; '.join(hints)}", remedy=remedy)
        if v.code == "key.missing" and v.place in absent
        else v
        for v in asked
    )


def _hint(readings: list[Candidate]) -> str:
    """Return what a table may hold, in words."""
    rows, columns = readings[0].table.shape
    why = "" if len(readings) == 2 else f", for only so they lie on {FOOTPRINT.needs[-1]}"
    orders = " or ".join(map(str, readings))
    return f"{shown(readings[0].name)} of {rows} x {columns} numbers may hold both, as {orders}{why}"


def _candidates(arrays: Mapping[str, Array], resolved: Mapping[str, Array]) -> list[Candidate]:
    """Return the readings of every table that may hold positions and is not taken for something else.

    Where some tables have a row for each pattern, only those.
    """
    taken = [id(array) for array in resolved.values()]
    tables = {
        name: squeezed(array, 2)
        for name, array in arrays.items()
        if id(array) not in taken and array.dtype.kind in "fiu"
    }
    tables = {name: t for name, t in tables.items() if t.ndim == 2 and t.shape[1] in (2, 3) and len(t)}
    matching = {name: t for name, t in tables.items() if _stack(resolved, len(t)) is not None}
    found: list[Candidate] = []
    for name, table in (matching or tables).items():
        orders = _CXI_ORDERS if name.startswith(CXI) else _ORDERS
        readings = [Candidate(name, table, (*order, "z")[: table.shape[1]]) for order in orders]
        found.extend([c for c in readings if _on_the_object(c, resolved)] or readings)
    return found


def _on_the_object(candidate: Candidate, resolved: Mapping[str, Array]) -> bool:
    """Tell whether a reading puts every probe on the object; yes, where there is none to tell by."""
    patterns, canvas = resolved.get("diffraction"), resolved.get("objectGuess")
    if patterns is None or canvas is None or patterns.ndim != 3 or canvas.ndim != 2 or not candidate.table.size:
        return True
    xcoords, ycoords = candidate.columns
    return not any(FOOTPRINT.breaches({**resolved, "xcoords": xcoords, "ycoords": ycoords}))


def _preferred(
    candidates: list[Candidate], resolved: Mapping[str, Array], *, far_field: bool
) -> tuple[Candidate | None, str]:
    """Return the reading that the movement of the images supports, if it does, and why as a clause."""
    table = candidates[0].table
    patterns = _stack(resolved, len(table))
    sized = [c for c in candidates if len(c.table) == len(table) and np.isfinite(c.table).all()]
    if patterns is None or len(sized) < 2:
        return None, ""
    shifts = measured_shifts(patterns, np.asarray(table[:, :2], np.float64))
    placed = {n: c.columns for n, c in enumerate(sized)}
    best = best_reading(shifts, placed)
    if best is not None and not far_field:
        return sized[best], "for the images of neighbouring positions move only so"
    fits = {n: fit_of(shifts, *columns) or 0.0 for n, columns in placed.items()}
    by_order = {c.order: max(abs(fits[n]) for n, d in enumerate(sized) if d.order == c.order) for c in sized}
    ranked = sorted(by_order, key=lambda order: by_order[order], reverse=True)
    if by_order[ranked[0]] < _IMAGES_DECIDE or (
        len(ranked) > 1 and by_order[ranked[0]] - by_order[ranked[1]] < _MARGIN
    ):
        return None, ""
    alike = [n for n, c in enumerate(sized) if c.order == ranked[0]]
    chosen = max(alike, key=lambda n: fits[n])
    why = "for the patterns of neighbouring positions move along these axes"
    if len(alike) > 1:
        why += ", and in the near field (physics.far_field: false) only so"
    return sized[chosen], why


def _stack(resolved: Mapping[str, Array], count: int) -> Array | None:
    """Return the patterns as (N, H, W) where they are ``count`` along one of their axes."""
    patterns = resolved.get("diffraction")
    if patterns is None or patterns.dtype.kind not in "fiu":
        return None
    patterns = squeezed(patterns, 3)
    if patterns.ndim != 3 or not patterns.size:
        return None
    axes = [axis for axis in (0, 2, 1) if patterns.shape[axis] == count]
    return np.moveaxis(patterns, axes[0], 0) if axes else None


def moving_otherwise(patterns: Array, xcoords: Array, ycoords: Array, *, far_field: bool) -> str | None:
    """Return how the positions would have to be for the patterns to move as they do, where that is another way.

    In the far field the images of a defocused probe move along the axes of the scan too, but either way round.
    """
    shifts = measured_shifts(patterns, np.stack([xcoords, ycoords], axis=1))
    if far_field:
        plain, swapped = (abs(fit_of(shifts, *columns) or 0) for columns in ((xcoords, ycoords), (ycoords, xcoords)))
        mirrored = max(abs(fit_of(shifts, *c) or 0) for c in ((xcoords, -ycoords), (ycoords, -xcoords)))
        is_swapped = swapped >= _IMAGES_DECIDE and swapped - max(plain, mirrored) >= _MARGIN
        return "x and y were swapped" if is_swapped else None
    ways = {
        "": (xcoords, ycoords),
        "both were mirrored (sample for probe)": (-xcoords, -ycoords),
        "x and y were swapped": (ycoords, xcoords),
        "x and y were swapped and mirrored": (-ycoords, -xcoords),
        "x was mirrored": (-xcoords, ycoords),
        "y was mirrored": (xcoords, -ycoords),
        "x and y were swapped and x mirrored": (-ycoords, xcoords),
        "x and y were swapped and y mirrored": (ycoords, -xcoords),
    }
    return best_reading(shifts, ways) or None


def squeezed(array: Array, rank: int) -> Array:
    """Drop axes of length 1, the leading ones first, until ``array`` has ``rank`` axes or no such axis is left."""
    surplus = max(array.ndim - rank, 0)
    singletons = [axis for axis, length in enumerate(array.shape) if length == 1]
    return np.squeeze(array, tuple(singletons[:surplus]))
