"""Pictures of stored arrays, of which only the rows that are shown are read."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Palette = Literal["viridis", "twilight", "gray"]

LONGEST_PX = 420
_SMALLEST_PX = 256  # smaller images are drawn larger, each pixel a square
_MOST_READ_NBYTES = 64 * 1024 * 1024  # for one picture; of more a sample of the rows is read
_SAMPLED_ROWS = 200
_PEAKED = 50.0  # times the mean, from which a maximum hides the rest on a linear scale
_DECADES = 5


def frame_of(array: Any, index: int | None = None) -> NDArray[Any] | None:
    """Return one image (h, w) of an array (..., h, w) that may be lazy, by default from the middle of the first axis.

    An image whose rows are too many to read is sampled. None where a single row is too large, or nothing is there.
    """
    shape = array.shape
    if len(shape) < 2 or 0 in shape:
        return None
    row_nbytes = array.nbytes // shape[0]
    if row_nbytes > _MOST_READ_NBYTES:
        return None
    if len(shape) == 2:
        return _rows(array)
    frame = np.asarray(array[shape[0] // 2 if index is None else index])
    while frame.ndim > 2:
        frame = frame[0]
    return frame


def values_of(array: Any, most: int = 4000) -> NDArray[Any]:
    """Return the values of an array (N,) that may be lazy, every so many where there are more than that."""
    if array.nbytes <= _MOST_READ_NBYTES:
        step = max(1, -(-len(array) // most))
        return np.asarray(array)[::step]
    places = np.linspace(0, len(array) - 1, _SAMPLED_ROWS).astype(int)
    return np.concatenate([np.asarray(array[int(at) : int(at) + 1]) for at in places])


def image_png(plane: NDArray[Any], palette: Palette = "viridis", longest_px: int = LONGEST_PX) -> tuple[bytes, str]:
    """Return a real image (h, w) as PNG of 256 colours, and the scale of its colours in words.

    The palette spans what lies between the 0.5th and the 99.5th percentile; where few values are far above the rest
    and none is below 0, it is logarithmic over five decades. What is no number is drawn in grey.
    """
    from PIL import Image

    values = np.asarray(plane, np.float64)
    known = np.isfinite(values)
    finite = values[known]
    low, high, logarithmic = _limits(finite)
    with np.errstate(all="ignore"):
        if logarithmic:
            part = 1 + np.log10(np.maximum(values / high, 10.0**-_DECADES)) / _DECADES
        else:
            part = (values / 2 - low / 2) / (high / 2 - low / 2) if high > low else np.full(values.shape, 0.5)
    levels = np.where(known, 1 + np.round(254 * np.clip(np.nan_to_num(part, nan=0.0), 0, 1)), 0).astype(np.uint8)
    picture = Image.fromarray(levels, "L")
    picture.putpalette(_colours(palette))
    factor = longest_px / max(picture.size)
    if factor < 1:
        small = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
        picture = Image.fromarray(np.asarray(picture.convert("RGB").resize(small, Image.Resampling.BOX)))
        picture = picture.quantize(128, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    elif (grow := _SMALLEST_PX // max(picture.size)) > 1:
        picture = picture.resize((picture.width * grow, picture.height * grow), Image.Resampling.NEAREST)
    scale = f"0 to {high:.3g}, logarithmic" if logarithmic else f"{low:.3g} to {high:.3g}"
    return _png(picture), scale if finite.size else "no finite values"


def rgb_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return an image (h, w, 3) as PNG."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((LONGEST_PX, LONGEST_PX))
    return _png(picture)


def _rows(array: Any) -> NDArray[Any]:
    if array.nbytes <= _MOST_READ_NBYTES:
        return np.asarray(array)
    fitting = max(1, _MOST_READ_NBYTES // max(1, array.nbytes // array.shape[0]))
    places = np.linspace(0, array.shape[0] - 1, min(_SAMPLED_ROWS, fitting, array.shape[0])).astype(int)
    return np.concatenate([np.asarray(array[int(at) : int(at) + 1]) for at in places])


def _limits(finite: NDArray[np.float64]) -> tuple[float, float, bool]:
    if not finite.size:
        return 0.0, 1.0, False
    with np.errstate(over="ignore"):
        if finite.min() >= 0 and finite.max() > _PEAKED * finite.mean() > 0:
            return 0.0, float(finite.max()), True
    low, high = (float(limit) for limit in np.percentile(finite, (0.5, 99.5), method="nearest"))
    return (low, high, False) if low < high else (float(finite.min()), float(finite.max()), False)


def _colours(palette: Palette) -> list[int]:
    """Return a palette of 256 colours, the first of which is grey and stands for what is no number."""
    from matplotlib import colormaps

    rgb = (colormaps[palette](np.linspace(0, 1, 255))[:, :3] * 255).round().astype(int)
    return [128, 128, 128, *rgb.ravel().tolist()]


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    return buffer.getvalue()
