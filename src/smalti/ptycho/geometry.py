"""Where each probe window lies on the object canvas, in whole and fractional pixels, and how large a pixel is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan, object_pixels_m
from smalti.errors import Refused

LARGEST_CANVAS_PIXELS = 2**28


@dataclass(frozen=True, slots=True)
class Canvas:
    """The object array a scan is reconstructed on.

    Attributes:
        shape: (rows, columns) of the object array.
        origin_x, origin_y: scan coordinates of its pixel [0, 0]: scan coordinate = local + origin.
    """

    shape: tuple[int, int]
    origin_x: float
    origin_y: float


@dataclass(frozen=True, eq=False, slots=True)
class Placement:
    """Every probe window of a scan on its canvas.

    Attributes:
        canvas: the object array the windows lie on.
        rows, cols: (N,) int32, the window's first row and column on the canvas.
        dy, dx: (N,) float32, from -0.5 to 0.5, how far the probe is below and right of its window.
    """

    canvas: Canvas
    rows: NDArray[np.int32]
    cols: NDArray[np.int32]
    dy: NDArray[np.float32]
    dx: NDArray[np.float32]

    @property
    def is_whole(self) -> bool:
        """Whether no probe needs a sub-pixel shift."""
        return not (self.dy.any() or self.dx.any())


def place(
    xcoords: NDArray[np.float64], ycoords: NDArray[np.float64], window: tuple[int, int], padding: int
) -> Placement:
    """Return the smallest canvas that holds every window with ``padding`` pixels around, and the windows.

    Args:
        xcoords, ycoords: (N,) scan positions in pixels, of the centre (n - 1) / 2 of an n-pixel window.
        window: (H, W) of the probe array.
        padding: free pixels on every side of the outermost windows.

    The canvas begins on a whole scan pixel, unless all windows share one fraction (integer positions and an even
    window do: 0.5), which is then part of the origin, and no window needs a sub-pixel shift.

    Raises:
        Refused: no or unequal numbers of coordinates, one that is not finite, or a canvas of more than
            ``LARGEST_CANVAS_PIXELS``.
    """
    if xcoords.shape != ycoords.shape or xcoords.ndim != 1 or xcoords.size == 0:
        raise Refused(
            f"xcoords {xcoords.shape} and ycoords {ycoords.shape} must be two lists of equal length; "
            "give one x and one y per pattern."
        )
    if not (np.isfinite(xcoords).all() and np.isfinite(ycoords).all()):
        raise Refused("the scan positions hold a NaN or an infinity; remove those patterns from the scan.")
    (height, origin_y, rows, dy), (width, origin_x, cols, dx) = (
        _place_axis(ycoords, window[0], padding),
        _place_axis(xcoords, window[1], padding),
    )
    if height * width > LARGEST_CANVAS_PIXELS:
        raise Refused(
            f"the scan positions span a canvas of {height} x {width} pixels, more than "
            f"{LARGEST_CANVAS_PIXELS} in all; give positions in object pixels."
        )
    canvas = Canvas((height, width), origin_x, origin_y)
    return Placement(canvas, rows.astype(np.int32), cols.astype(np.int32), dy, dx)


def _place_axis(
    centre: NDArray[np.float64], window: int, padding: int
) -> tuple[int, float, NDArray[np.float64], NDArray[np.float32]]:
    """Return the canvas length, its origin, and each window's first pixel and remainder along one axis."""
    first = centre - (window - 1) / 2
    steps = first - first.min()
    share_remainder = np.array_equal(steps, np.rint(steps))
    origin = (first.min() if share_remainder else np.floor(first.min() + 0.5)) - padding
    local = first - origin
    whole = np.floor(local + 0.5)
    return int(whole.max()) + window + padding, float(origin), whole, (local - whole).astype(np.float32)


def object_pixel_m(scan: Scan) -> float | None:
    """Return the pitch of a square object pixel of a scan in m; None where it is unknown or not square."""
    pixels = object_pixels_m(scan.metadata, scan.diffraction.shape[-2:])
    return pixels[0].value if pixels and pixels[0].value == pixels[1].value else None
