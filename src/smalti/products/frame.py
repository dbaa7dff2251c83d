"""Pixels and metres: where a probe stands in the object array, and where that is in the world.

Source: ``ObjectGeometry.map_coordinates_*`` of ptychodus 1.6.0 and later: the object's centre lies at pixel
(n - 1) / 2 of an n-pixel axis, +x is increasing column, +y increasing row. Releases before 1.6 put it at n / 2, and no
file says which release wrote it: what they reconstructed lies half a pixel from where it is read, as in Ptychodus.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_metres(pixels: NDArray[np.float64], size: int, pixel_m: float, center_m: float) -> NDArray[np.float64]:
    """Return world coordinates in m of positions in pixels of an axis of ``size`` pixels; 0 is the first's centre.

    >>> to_metres(np.array([0.0, 9.5]), size=20, pixel_m=2.0, center_m=100.0)
    array([ 81., 100.])
    """
    return center_m + (pixels - (size - 1) / 2) * pixel_m


def to_pixels(metres: NDArray[np.float64], size: int, pixel_m: float, center_m: float) -> NDArray[np.float64]:
    """Return positions in pixels of an axis of ``size`` pixels: the inverse of ``to_metres``."""
    return (metres - center_m) / pixel_m + (size - 1) / 2
