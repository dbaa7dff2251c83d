"""Curves as a small SVG: the values at the ends of both axes, and few points; as Markdown for the Dagster UI too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise
from urllib.parse import quote

from smalti.notebook.words import visible
from smalti.outputs.thumbnail import MOST_CHARACTERS, plain_alt

WIDTH_PX, HEIGHT_PX = 212, 84
_LEFT, _RIGHT, _TOP, _BOTTOM = 3, 152, 4, 68  # of the curves; to the right of them are the values
_POINTS = (100, 64, 48, 32, 24, 16, 12, 8, 5, 3, 2)
_COLOURS = ("#2f7ebc", "#e07b28")  # legible on white and on black
_TEXT = "#777"
_LONGEST = 40
_LEGEND = 16  # characters of a curve's name
_IN_A_URL = "/:;=',.!$*+@?-_~"  # what may stand in the address of a Markdown image as it is, but for parentheses


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a figure.

    Attributes:
        name: in a word or two.
        x, y: of its points; points that are not finite are left out.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]


def curve_svg(curves: Sequence[Curve], x_label: str = "", mark: tuple[float, float] | None = None) -> str:
    """Return a figure of one or two curves; the scale is logarithmic where all values are positive and span a decade.

    Args:
        x_label: what is on the horizontal axis.
        mark: the place of a dot.
    """
    return _drawn(curves, x_label, mark, _POINTS[0])


def markdown_curve(
    curves: Sequence[Curve], alt: str, x_label: str = "", mark: tuple[float, float] | None = None
) -> str:
    """Return Markdown of at most ``MOST_CHARACTERS`` that shows such a figure, of as many points as fit.

    Names and labels that take too much of it are left out.
    """
    named = [replace(curve, name=curve.name[:_LEGEND]) for curve in curves[:2]]
    unnamed = [replace(curve, name="") for curve in named]
    texts = (
        f"![{said}](data:image/svg+xml,{quote(_drawn(shown, label, mark, points), safe=_IN_A_URL)})"
        for shown, label, said in ((named, x_label[:_LEGEND], plain_alt(alt)), (unnamed, "", ""))
        for points in _POINTS
    )
    return next(text for text in texts if len(text) <= MOST_CHARACTERS)


def _drawn(curves: Sequence[Curve], x_label: str, mark: tuple[float, float] | None, points: int) -> str:
    kept = [[(x, y) for x, y in zip(c.x, c.y, strict=True) if math.isfinite(x) and math.isfinite(y)] for c in curves]
    every = [point for one in kept for point in one]
    body = "".join(_pieces(curves, kept, every, mark, points)) if every else _text(_LEFT, 40, "no values")
    ends = ""
    if every:
        last = f"{x_label} {_number(max(x for x, _ in every))}".strip()
        ends = _text(_LEFT, 80, _number(min(x for x, _ in every))) + _text(_RIGHT, 80, last, " text-anchor='end'")
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH_PX}' height='{HEIGHT_PX}' fill='{_TEXT}' "
        f"font-size='10' font-family='sans-serif'><path d='M{_LEFT},{_TOP}V{_BOTTOM}H{_RIGHT}' fill='none' "
        f"stroke='{_TEXT}'/>{body}{ends}</svg>"
    )


def _pieces(
    curves: Sequence[Curve],
    kept: Sequence[Sequence[tuple[float, float]]],
    every: Sequence[tuple[float, float]],
    mark: tuple[float, float] | None,
    points: int,
) -> Iterator[str]:
    """Yield the curves, the values at the ends of the vertical axis, and the names where there are two."""
    values = [y for _, y in every]
    logarithmic = min(values) > 0 and max(values) >= 10 * min(values)

    def height(y: float) -> float:
        return math.log10(y) if logarithmic else y

    x_low, x_high = min(x for x, _ in every), max(x for x, _ in every)
    y_low, y_high = height(min(values)), height(max(values))

    def place(x: float, y: float) -> tuple[int, int]:
        across = _share(x, x_low, x_high)
        up = _share(height(y), y_low, y_high)
        return round(_LEFT + across * (_RIGHT - _LEFT)), round(_BOTTOM - up * (_BOTTOM - _TOP))

    for curve, colour in zip(kept, _COLOURS, strict=False):
        yield _line([place(*point) for point in _thinned(curve, points)], colour)
    if mark is not None and (not logarithmic or mark[1] > 0):
        x, y = place(*mark)
        yield f"<circle cx='{x}' cy='{y}' r='3' fill='{_COLOURS[0]}'/>"
    yield _text(_RIGHT + 4, 12, _number(max(values)))
    yield _text(_RIGHT + 4, _BOTTOM, _number(min(values)))
    if len(curves) > 1:
        for row, (curve_, colour) in enumerate(zip(curves, _COLOURS, strict=False)):
            yield _text(_RIGHT + 4, 28 + 13 * row, curve_.name, f" fill='{colour}'")


def _share(value: float, low: float, high: float) -> float:
    """Return how far a value is from one end to the other; halves, as the whole may be beyond the largest float."""
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5


def _line(places: Sequence[tuple[int, int]], colour: str) -> str:
    """Return a line by steps, which take fewer digits than places."""
    if len(places) == 1:
        (x, y), steps = places[0], ["h1"]
    else:
        (x, y), steps = places[0] if places else (0, 0), ["l"]
        for (x0, y0), (x1, y1) in pairwise(places):
            down = y1 - y0
            steps.append(f"{',' if len(steps) > 1 else ''}{x1 - x0}{down if down < 0 else f',{down}'}")
    return f"<path d='M{x},{y}{''.join(steps)}' fill='none' stroke='{colour}' stroke-width='2'/>" if places else ""


def _thinned(points: Sequence[tuple[float, float]], most: int) -> Sequence[tuple[float, float]]:
    """Return at most ``most`` of the points, evenly, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[round(number * (len(points) - 1) / (most - 1))] for number in range(most)]


def _text(x: int, y: int, text: str, more: str = "") -> str:
    return f"<text x='{x}' y='{y}'{more}>{escape(visible(text, _LONGEST))}</text>"


def _number(value: float) -> str:
    return f"{value:.3g}"
