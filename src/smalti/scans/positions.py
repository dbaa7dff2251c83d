"""Positions in one table: which of its two columns is x is never guessed, but the readings that fit are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from smalti.contracts.arrays import Array
from smalti.contracts.builtin.scan import FOOTPRINT
from smalti.contracts.violation import Violation, shown

_ORDERS = (("y", "x"), ("x", "y"))


def asked_for_positions(
    violations: Iterable[Violation], arrays: Mapping[str, Array], resolved: Mapping[str, Array], card_name: str
) -> tuple[Violation, ...]:
    """Return the violations, those about absent positions naming the (N, 2) arrays that may be what is looked for."""
    asked = tuple(violations)
    taken = [id(array) for array in resolved.values()]
    for name, array in arrays.items():
        table = squeezed(array, 2)
        if id(array) in taken or table.ndim != 2 or table.shape[1] != 2 or array.dtype.kind not in "fiu":
            continue
        readings = [f"[{', '.join(order)}]" for order in _fitting(table, resolved)]
        why = "" if len(readings) > 1 else f", for only so they lie on {FOOTPRINT.needs[-1]}"
        hint = f"{shown(name)} of {len(table)} x 2 numbers may hold both, as {' or '.join(readings)}{why}"
        remedy = f"write reading.positions: {{key: {shown(name)}, order: {readings[0]}}} in {card_name}"
        remedy += f" (or order: {readings[1]})" if len(readings) > 1 else ""
        asked = tuple(
            replace(v, found=f"{v.found}; {hint}", remedy=remedy)
            if v.code == "key.missing" and v.place in ("xcoords", "ycoords")
            else v
            for v in asked
        )
    return asked


def _fitting(table: Array, resolved: Mapping[str, Array]) -> list[tuple[str, str]]:
    """Return the orders of the columns that put every probe on the object; both, where there is nothing to tell."""
    patterns, canvas = resolved.get("diffraction"), resolved.get("objectGuess")
    if patterns is None or canvas is None or patterns.ndim != 3 or canvas.ndim != 2 or not table.size:
        return list(_ORDERS)
    placed = {order: {f"{letter}coords": table[:, i] for i, letter in enumerate(order)} for order in _ORDERS}
    fitting = [order for order in _ORDERS if not any(FOOTPRINT.breaches({**resolved, **placed[order]}))]
    return fitting or list(_ORDERS)


def squeezed(array: Array, rank: int) -> Array:
    """Drop axes of length 1, the leading ones first, until ``array`` has ``rank`` axes or no such axis is left."""
    surplus = max(array.ndim - rank, 0)
    singletons = [axis for axis, length in enumerate(array.shape) if length == 1]
    return np.squeeze(array, tuple(singletons[:surplus]))
