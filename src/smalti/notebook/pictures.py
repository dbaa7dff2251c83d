"""Small PNG pictures of arrays, drawn with numpy and Pillow alone: quick, and of big arrays only a sample is read."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

Palette = Literal["sequential", "diverging", "cyclic"]
Limits = tuple[float, float]

THUMBNAIL_PX = 96
_NARROWEST_PX = 16
_LINE_PX = (160, 48)
_SAMPLES = 512  # of an axis of which more is not read
_MOST_READ_NBYTES = 64 << 20  # of an array that lies in a store
_REMOTE_READS = 16  # of an array that is fetched piece by piece
_MOST_FRAMES_OF_ONE_THING = 8  # modes or layers, of which the first says most; of a longer stack the middle does
_ROUNDING = 3e-7
_EVEN = 0.02
_PEAKED = 50.0  # times the mean, from which a maximum hides the rest on a linear scale
_DECADES = 4
_NO_NUMBER = (128, 128, 128)  # a grey, which no palette has
_COLOURS = ((47, 126, 188, 255), (224, 123, 40, 190))  # what comes second lets the first be seen
_FINER = 3  # times, drawn larger and scaled down: Pillow draws lines without smoothing
_FLAT = 1e-9  # of the size of the values, below which a line is rounding

_ANCHORS: dict[Palette, Sequence[tuple[int, int, int]]] = {
    # as viridis, at ninths; S. van der Walt and N. Smith
    "sequential": (
        (68, 1, 84), (71, 39, 119), (62, 73, 137), (48, 103, 141), (37, 130, 142), (30, 157, 136), (53, 183, 120),
        (109, 206, 88), (181, 221, 43), (253, 231, 36),
    ),
    "diverging": ((33, 80, 160), (120, 170, 215), (247, 247, 247), (230, 145, 110), (165, 20, 45)),
    "cyclic": ((225, 216, 226), (96, 118, 188), (47, 20, 54), (178, 84, 78), (225, 216, 226)),
}  # fmt: skip


def thumbnail(array: Any) -> bytes | None:
    """Return a small PNG of numbers: a line of one axis, an image of two, the first or middle frame of more.

    Complex numbers are shown by amplitude, an image of even amplitude by phase; values of which few are far above the
    rest by their logarithm. Of many values some are shown; an array that reads what it is asked for (a ``LazyArray``)
    is asked for no more than that.

    Args:
        array: what has ``shape``, ``dtype`` and indices as numpy's arrays do.

    Returns:
        The picture; None for what is no such array, holds no numbers, or cannot be read.
    """
    import numpy as np

    try:
        sample = sampled(array)
        if sample is None:
            return None
        if sample.ndim == 1:
            return lines([sample])
        if sample.dtype.kind == "c" and _is_even(abs(sample)):
            return image(np.angle(sample), (-math.pi, math.pi), "cyclic")
        return image(sample)
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, AttributeError):
        return None


def sampled(array: Any) -> NDArray[Any] | None:
    """Return what is shown of an array: (n,) or (h, w) float64 or complex, or (h, w, 3) uint8 where it is an RGB image.

    None where there is nothing to show: text, structures, no elements, no axes, rows too long to read.
    """
    import numpy as np

    if hasattr(array, "bits"):  # of bfloat16, the upper half of each float32
        bits = _sample(array.bits)
        return None if bits is None else (bits.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
    sample = _sample(array)
    if sample is None or sample.ndim == 3:
        return sample
    return sample.astype(np.complex128 if sample.dtype.kind == "c" else np.float64)


def _sample(array: Any) -> NDArray[Any] | None:
    import numpy as np

    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    if not isinstance(shape, tuple) or not isinstance(dtype, np.dtype) or dtype.kind not in "biufc":
        return None
    if not shape or 0 in shape:
        return None
    coloured = dtype == np.uint8 and len(shape) >= 3 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 4
    plane_axes = min(len(shape), 3 if coloured else 2)
    if len(shape) > plane_axes:
        if not _readable(array, math.prod(shape[1:]) * dtype.itemsize):
            return None
        count = shape[0]
        first = 0 if count <= _MOST_FRAMES_OF_ONE_THING else count // 2
        sample = np.asarray(array[first])
        while sample.ndim > plane_axes:
            sample = sample[0]
    else:
        rows = _rows(array, dtype.itemsize)
        if rows is None:
            return None
        sample = rows
    steps = tuple(slice(None, None, _step(length)) for length in sample.shape[:2])
    sample = sample[steps]
    return sample[..., :3] if coloured else sample


def _is_even(amplitudes: NDArray[Any]) -> bool:
    """Tell whether amplitudes are so much alike that they show nothing."""
    low, high = limits_of(amplitudes)
    return high - low <= _EVEN * high


def _step(length: int) -> int:
    return max(1, -(-length // (2 * _SAMPLES)))


def _is_stored(array: Any) -> bool:
    return hasattr(array, "take") and hasattr(array, "mapped")


def _readable(array: Any, nbytes: int) -> bool:
    return not _is_stored(array) or nbytes <= _MOST_READ_NBYTES


def _rows(array: Any, itemsize: int) -> NDArray[Any] | None:
    """Return the rows that are shown: all of a small array, some at equal distances of a large one."""
    import numpy as np

    count = array.shape[0]
    row_nbytes = itemsize * math.prod(array.shape[1:])
    if not _is_stored(array):
        return np.asarray(array[:: _step(count)])
    if count * row_nbytes <= _MOST_READ_NBYTES // 64:
        return np.asarray(array[:])
    wanted = min(count, _SAMPLES // 2 if array.mapped else _REMOTE_READS, _MOST_READ_NBYTES // row_nbytes)
    if not wanted:
        return None
    return np.asarray(array.take(np.linspace(0, count - 1, wanted).astype(np.int64)))


def image(
    plane: NDArray[Any],
    limits: Limits | None = None,
    palette: Palette = "sequential",
    longest_px: int = THUMBNAIL_PX,
    logarithmic: bool | None = None,
) -> bytes:
    """Return an image as PNG; where there is no number it is grey.

    Args:
        plane: (h, w) real or complex (its amplitude is shown), or (h, w, 3) uint8, shown as it is.
        limits: the values at the ends of the palette; by default those between which 99 % lie.
        longest_px: length of the longer side of the picture; a very long image is drawn wider than it is.
        logarithmic: whether four decades below the upper limit are shown; by default where few values are far above
            the rest and none is below 0.
    """
    import numpy as np
    from PIL import Image

    if plane.ndim == 3:
        return _png(_sized(Image.fromarray(np.ascontiguousarray(plane)), longest_px))
    values = amplitude(plane)
    if logarithmic is None:
        logarithmic = is_peaked(values)
    if limits is None:
        limits = limits_of(values, logarithmic)
    part = _part(values, limits, logarithmic).astype(np.float32)
    return _png(Image.fromarray(_colours(np.asarray(_sized(Image.fromarray(part), longest_px)), palette)))


def amplitude(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return real numbers as they are and complex ones by their absolute value."""
    import numpy as np

    return np.asarray(np.abs(values) if values.dtype.kind == "c" else values, np.float64)


def is_peaked(values: NDArray[np.float64]) -> bool:
    """Tell whether few values are far above the rest and none is below 0, as in a diffraction pattern."""
    import numpy as np

    finite = values[np.isfinite(values)]
    if not finite.size or finite.min() < 0:
        return False
    with np.errstate(over="ignore"):
        return bool(finite.max() > _PEAKED * finite.mean() > 0)


def limits_of(values: NDArray[np.float64], logarithmic: bool = False) -> Limits:
    """Return the values between which 99 % lie; of a logarithmic scale, the largest one and 0."""
    import numpy as np

    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    if logarithmic:
        return 0.0, float(finite.max())
    low, high = (float(limit) for limit in np.percentile(finite, (0.5, 99.5), method="nearest"))
    if low == high:
        low, high = float(finite.min()), float(finite.max())
    if high - low < _ROUNDING * max(abs(low), abs(high)):  # what arithmetic in single precision leaves
        low = high = low / 2 + high / 2
    return low, high


def _part(values: NDArray[np.float64], limits: Limits, logarithmic: bool) -> NDArray[np.float64]:
    """Return how far along the palette each value lies, from 0 to 1; NaN stays NaN."""
    import numpy as np

    low, high = limits
    with np.errstate(all="ignore"):
        if logarithmic and high > 0:
            part = 1 + np.log10(np.maximum(values / high, 10.0**-_DECADES)) / _DECADES
        elif high > low:
            part = (values / 2 - low / 2) / (high / 2 - low / 2)  # halves: the whole may be beyond the largest float
        else:
            part = np.full(values.shape, 0.5)
    return np.where(np.isnan(values), np.nan, np.clip(part, 0, 1))


def _colours(part: NDArray[np.floating[Any]], palette: Palette) -> NDArray[np.uint8]:
    """Return colours (h, w, 3) of parts (h, w)."""
    import numpy as np

    number = ~np.isnan(part)
    anchors = np.array(_ANCHORS[palette], float)
    places = np.linspace(0, 1, len(anchors))
    known = np.where(number, part, 0)
    rgb = np.stack([np.interp(known, places, anchors[:, channel]) for channel in range(3)], axis=-1)
    rgb[~number] = _NO_NUMBER
    return rgb.round().astype(np.uint8)


def lines(series: Sequence[NDArray[Any]], size_px: tuple[int, int] = _LINE_PX) -> bytes | None:
    """Return lines over the number of the element as PNG on a transparent ground; what is no number leaves a gap.

    Args:
        series: one or two, (n,) real or complex (the amplitude is drawn).

    Returns:
        The picture; None where no value is finite.
    """
    import numpy as np
    from PIL import Image

    drawn = [amplitude(one) for one in series]
    finite = np.concatenate([one[np.isfinite(one)] for one in drawn])
    if not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    if spans_decades(finite):
        drawn = [np.log10(np.where(one > 0, one, np.nan)) for one in drawn]
        low, high = math.log10(low), math.log10(high)
    flat = high / 2 - low / 2 <= _FLAT * max(abs(low), abs(high))
    width, height = (side * _FINER for side in size_px)
    margin = 2 * _FINER
    step = (width - 2 * margin) / max(1, max(map(len, drawn)) - 1)
    picture = Image.new("RGBA", (width, height))
    for one, colour in zip(drawn, _COLOURS, strict=False):
        part = np.where(np.isfinite(one), 0.5, np.nan) if flat else (one / 2 - low / 2) / (high / 2 - low / 2)
        layer = Image.new("RGBA", (width, height))
        _draw(layer, margin + np.arange(len(one)) * step, height - margin - part * (height - 2 * margin), colour)
        picture.alpha_composite(layer)
    return _png(picture.resize(size_px, Image.Resampling.BOX))


def spans_decades(values: NDArray[np.float64]) -> bool:
    """Tell whether finite values are all above 0 and span three decades: then their logarithm is drawn."""
    return bool(values.size and 0 < values.min() < values.max() / 1000)


def _draw(picture: Image, x: NDArray[Any], y: NDArray[Any], colour: tuple[int, int, int, int]) -> None:
    """Draw a line with gaps where ``y`` is not finite; a point alone becomes a dot."""
    import numpy as np
    from PIL import ImageDraw

    pen = ImageDraw.Draw(picture)
    kept = np.isfinite(y)
    for run in np.split(np.arange(len(y)), np.flatnonzero(np.diff(kept)) + 1):
        if not len(run) or not kept[run[0]]:
            continue
        points = list(zip(x[run].tolist(), y[run].tolist(), strict=True))
        if len(points) > 1:
            pen.line(points, fill=colour, width=_FINER + 1, joint="curve")
        else:
            pen.circle(points[0], 1.5 * _FINER, fill=colour)


def _sized(picture: Image, longest_px: int) -> Image:
    from PIL import Image

    factor = longest_px / max(picture.size)
    if factor >= 1:
        factor = math.floor(factor)  # whole pixels stay squares
    narrowest = min(_NARROWEST_PX, longest_px)
    width, height = (max(narrowest, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX)


def _png(picture: Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    return buffer.getvalue()
