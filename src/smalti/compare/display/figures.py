"""Pictures of a difference: before, after and the difference side by side, on one scale; lines of one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.array import BFloat16
from smalti.compare.differences import ArrayDifference
from smalti.notebook import pictures
from smalti.outputs.quantities import number, scale

_IMAGE_PX = 300
_LINE_PX = (920, 160)
_POINTS = 1200  # of a line
_MOST_READ_NBYTES = 64 << 20
_MOST_PIXELS = 2048  # of a side, before it is averaged down


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture and what is to be said below it."""

    png: bytes
    caption: str


def figures(difference: ArrayDifference, before: Any, after: Any) -> list[list[Figure]]:
    """Return rows of pictures of what differs between two arrays; none where there is nothing to show.

    Of arrays of more than two axes the frame with the largest difference is shown; of complex numbers amplitude and
    phase.

    Args:
        before, after: arrays, lazy ones too: only the frames shown are read, and none beyond 64 MiB.
    """
    if isinstance(before, BFloat16) or isinstance(after, BFloat16):
        return []
    if before.dtype.kind not in "biufc" or after.dtype.kind not in "biufc":
        return []
    if len(before.shape) == len(after.shape) == 1:
        return _lines(before, after)
    if difference.elements is None or not difference.elements.changed:
        return []
    index = _frame_of(difference)
    planes = [_plane(side, at) for side, at in zip((before, after), index, strict=True)]
    if planes[0] is None or planes[1] is None or planes[0].shape != planes[1].shape:
        return []
    where = ["", ""]
    if index[0]:
        where = [f" [{', '.join(map(str, at))}]" for at in index]
    return _images(planes[0], planes[1], where)


def _frame_of(difference: ArrayDifference) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the index of the frame with the largest difference, else of the first that differs."""
    elements = difference.elements
    if elements is not None and elements.index_before:
        return elements.index_before[:-2], elements.index_after[:-2]
    more = len(difference.shapes[0]) - 2
    if more <= 0:
        return (), ()
    row = next((row for row in difference.rows if row.before[0] < row.before[1] and row.after[0] < row.after[1]), None)
    rows = (row.before[0], row.after[0]) if row else (0, 0)
    return (rows[0], *(0,) * (more - 1)), (rows[1], *(0,) * (more - 1))


def _plane(array: Any, index: tuple[int, ...]) -> NDArray[Any] | None:
    row_nbytes = array.dtype.itemsize * int(np.prod(array.shape[1:] if index else array.shape))
    if row_nbytes > _MOST_READ_NBYTES:
        return None
    frame = np.asarray(array[index[0]])[index[1:]] if index else np.asarray(array)
    steps = tuple(slice(None, None, -(-side // _MOST_PIXELS)) for side in frame.shape)
    return np.asarray(frame[steps]) if frame.ndim == 2 and frame.size else None


def _images(before: NDArray[Any], after: NDArray[Any], where: list[str]) -> list[list[Figure]]:
    if before.dtype.kind == "c" or after.dtype.kind == "c":
        phases = [np.angle(side) for side in (before, after)]
        turned = np.angle(after * np.conj(before))
        amplitudes = [np.abs(side).astype(np.float64) for side in (before, after)]
        return [
            _side_by_side(amplitudes[0], amplitudes[1], where, "amplitude "),
            [
                *(
                    _image(phase, (-np.pi, np.pi), "cyclic", f"phase {word}{place}, rad", False)
                    for phase, word, place in zip(phases, ("before", "after"), where, strict=True)
                ),
                _signed(turned, "phase difference, rad"),
            ],
        ]
    return [_side_by_side(before.astype(np.float64), after.astype(np.float64), where, "")]


def _side_by_side(before: NDArray[np.float64], after: NDArray[np.float64], where: list[str], what: str) -> list[Figure]:
    both = np.concatenate([before, after])
    logarithmic = pictures.is_peaked(before) or pictures.is_peaked(after)
    limits = pictures.limits_of(both, logarithmic)
    with np.errstate(all="ignore"):
        apart = after - before
    return [
        _image(before, limits, "sequential", f"{what}before{where[0]}", logarithmic),
        _image(after, limits, "sequential", f"{what}after{where[1]}", logarithmic),
        _signed(apart, f"{what}after - before"),
    ]


def _image(
    values: NDArray[Any], limits: pictures.Limits, palette: pictures.Palette, what: str, logarithmic: bool
) -> Figure:
    png = pictures.image(values, limits, palette, _IMAGE_PX, logarithmic)
    return Figure(png, f"{what}; {scale(*limits, logarithmic)}")


def _signed(values: NDArray[Any], what: str) -> Figure:
    finite = np.abs(values[np.isfinite(values)])
    most = float(np.percentile(finite, 99.5, method="nearest")) if finite.size else 0.0
    most = most or float(finite.max(initial=0.0)) or 1.0
    return _image(values, (-most, most), "diverging", what, False)


def _lines(before: Any, after: Any) -> list[list[Figure]]:
    if max(side.dtype.itemsize * side.shape[0] for side in (before, after)) > _MOST_READ_NBYTES:
        return []
    one, other = (pictures.amplitude(np.asarray(side)) for side in (before, after))
    drawn, apart = [_thinned(one, one), _thinned(other, other)], None
    if len(one) == len(other):
        with np.errstate(all="ignore"):
            difference = other - one
        drawn = [_thinned(one, difference), _thinned(other, difference)]
        apart = pictures.lines([_thinned(difference, difference)], _LINE_PX)
    both = pictures.lines(drawn, _LINE_PX)
    found = []
    if both:
        found.append([Figure(both, f"before (blue) and after (orange), {_range(one, other)}")])
    if apart:
        found.append([Figure(apart, f"after - before, {_range(difference)}")])
    return found


def _thinned(values: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return few enough values to draw: of each stretch the one at which ``by`` is largest, so that no peak is lost."""
    step = -(-len(values) // _POINTS)
    if step <= 1:
        return values
    whole = len(values) // step * step
    size = np.nan_to_num(np.abs(by[:whole]), nan=-1.0).reshape(-1, step)
    places = np.arange(len(size)) * step + size.argmax(axis=1)
    return np.asarray(values[places])


def _range(*series: NDArray[np.float64]) -> str:
    finite = np.concatenate([one[np.isfinite(one)] for one in series])
    if not finite.size:
        return "nothing finite"
    how = ", logarithmic" if pictures.spans_decades(finite) else ""
    return f"{number(float(finite.min()), 3)} to {number(float(finite.max()), 3)}{how}"
