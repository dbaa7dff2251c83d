"""What a difference between scans, reconstructions or products means physically: shifts of positions in nm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from smalti.codecs.scan import ScanMetadata, object_pixels_m
from smalti.outputs.quantities import change_text, quantity
from smalti.store.format.record import Record

POSITIONS = {
    "scan": ("xcoords", "ycoords"),
    "reconstruction": ("xcoords", "ycoords"),
    "product": ("probe_position_x_m", "probe_position_y_m"),
}

Read = Callable[[str], NDArray[Any]]


def positions_note(before: Record, after: Record, read: Read, plane: tuple[int, int] | None) -> str:
    """Return how the positions of two scans, reconstructions or products differ, in a sentence; nothing if they do not.

    Args:
        before, after: records of two trees of one of these types.
        read: returns an array by its address.
        plane: (H, W) of a pattern of a scan, from which its object pixel follows.
    """
    kind = str(before.header.get("type"))
    names = POSITIONS.get(kind)
    ours, theirs = before.children, after.children
    if (
        not names
        or before.header.get("type") != after.header.get("type")
        or not {*names} <= ours.keys() & theirs.keys()
    ):
        return ""
    if all(ours[name] == theirs[name] for name in names):
        return ""
    old, new = (np.stack([np.asarray(read(some[name]), np.float64) for name in names]) for some in (ours, theirs))
    if old.shape != new.shape:
        return f"{old.shape[1]} positions became {new.shape[1]}; their shifts were not compared"
    shifts = new - old
    shifts = shifts[:, np.isfinite(shifts).all(axis=0)]
    if not shifts.size:
        return "no position is finite before and after"
    lengths = np.hypot(*shifts)
    moved = int(np.count_nonzero(lengths))
    unit = "m" if kind == "product" else "px"
    pixel = object_pixel(before, plane) if kind == "scan" else None

    def said(x: float, y: float) -> str:
        text = quantity(float(np.hypot(x, y)), unit)
        if pixel is not None:
            text += f" ({quantity(float(np.hypot(x * pixel[0], y * pixel[1])), 'm')})"
        return text

    worst = int(np.argmax(lengths))
    mean = shifts.mean(axis=1)
    rms = np.sqrt((shifts**2).mean(axis=1))
    parts = [
        f"{moved} of {old.shape[1]} positions moved, by {said(*shifts[:, worst])} at most (number {worst})",
        f"{said(*rms)} rms",
        f"all together by x {quantity(float(mean[0]), unit)}, y {quantity(float(mean[1]), unit)}",
    ]
    return "; ".join(parts)


def pixel_note(before: Record, after: Record, planes: tuple[tuple[int, int] | None, tuple[int, int] | None]) -> str:
    """Return how the object pixels of two scans differ where they are not stated but follow, in a sentence."""
    pixels = [object_pixel(record, plane) for record, plane in zip((before, after), planes, strict=True)]
    if pixels[0] is None or pixels[1] is None or pixels[0] == pixels[1]:
        return ""
    sides = [change_text(one, other, "m") for one, other in zip(pixels[0], pixels[1], strict=True)]
    return f"object pixel {sides[0]}" if len(set(sides)) == 1 else f"object pixel {sides[0]} wide, {sides[1]} high"


def object_pixel(record: Record, plane: tuple[int, int] | None) -> tuple[float, float] | None:
    """Return width and height of an object pixel in m that a scan states or implies; None where unknown."""
    try:
        metadata = ScanMetadata.model_validate(record.header.get("attrs", {}))
    except ValidationError:
        return None
    pixels = object_pixels_m(metadata, plane)
    return (pixels[0].value, pixels[1].value) if pixels else None
