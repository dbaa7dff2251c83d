"""Drawings as inline SVG in the colours of the page: the graph of a lineage, curves, and the path of a scan."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smalti.outputs.page import text
from smalti.provenance.graph import Fold, Graph, Node

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTH = 980
_VALUE_HEIGHT, _STEP_HEIGHT, _GAP = 46, 38, 30
_BOX_WIDTH, _BETWEEN = 230, 16
_CHARACTERS = 31  # of a label that fit a box
_MOST_POINTS = 800


@dataclass(frozen=True, slots=True)
class Label:
    """What stands in a box of the graph.

    Attributes:
        name, what: two lines.
        tone: ``subject`` for what the page is about, ``gone`` for what cannot be read any more, else "".
    """

    name: str
    what: str = ""
    tone: str = ""


def graph_svg(graph: Graph, label_of: Callable[[Node], Label], said: str) -> str:
    """Return a graph as SVG, what was there first on top.

    Args:
        said: the same in words, for who cannot see it.
    """
    boxes: dict[Node | Fold, tuple[float, float, float, float]] = {}
    y = 6.0
    for layer in graph.layers:
        height = max((_height(node) for node in layer), default=0)
        width = min(_BOX_WIDTH, (_WIDTH - _BETWEEN * (len(layer) - 1)) / max(1, len(layer)))
        x = (_WIDTH - len(layer) * width - _BETWEEN * (len(layer) - 1)) / 2
        for node in layer:
            boxes[node] = (x, y + (height - _height(node)) / 2, width, _height(node))
            x += width + _BETWEEN
        y += height + _GAP
    lines = [_edge(boxes[a], boxes[b]) for a, b in sorted(graph.edges, key=repr) if a in boxes and b in boxes]
    drawn = [_box(node, place, label_of) for node, place in boxes.items()]
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="head" d="M0 0 8 4 0 8z"/></marker></defs>'
    )
    total = max(y - _GAP + 6, 20)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {total:.0f}" width="{_WIDTH}" height="{total:.0f}" role="img">'
        f"<title>{text(said, 500)}</title>{head}{''.join(lines)}{''.join(drawn)}</svg>"
    )


def curves_svg(curves: Mapping[str, Sequence[float]], size_px: tuple[int, int] = (460, 190), first: int = 0) -> str:
    """Return one or more curves over the number of the value, in one drawing; "" where nothing is finite.

    The axis is logarithmic where all values are positive and span more than two decades.

    Args:
        first: the number of the first value.
    """
    finite = [v for values in curves.values() for v in values if math.isfinite(v)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    logarithmic = low > 0 and high / low > 100
    longest = max(map(len, curves.values()))
    width, height = size_px
    left, right, top, bottom = 64, 10, 10, 22

    def part(value: float) -> float:
        a, b, v = (math.log10(low), math.log10(high), math.log10(value)) if logarithmic else (low, high, value)
        return (v / 2 - a / 2) / (b / 2 - a / 2) if b > a else 0.5

    pieces = [
        f'<path class="axis" d="M{left} {top}V{height - bottom}H{width - right}"/>',
        f'<text class="soft" x="{left - 6}" y="{top + 6}" text-anchor="end">{high:.4g}</text>',
        f'<text class="soft" x="{left - 6}" y="{height - bottom}" text-anchor="end">{low:.4g}</text>',
        f'<text class="soft" x="{left}" y="{height - 6}">{first}</text>',
        f'<text class="soft" x="{width - right}" y="{height - 6}" text-anchor="end">{first + longest - 1}</text>',
    ]
    if logarithmic:
        pieces.append(f'<text class="soft" x="{left - 6}" y="{height / 2}" text-anchor="end">log</text>')
    for values in curves.values():
        step = max(1, -(-len(values) // _MOST_POINTS))
        points = [
            (
                left + (width - left - right) * (i / max(1, longest - 1)),
                height - bottom - part(v) * (height - top - bottom),
            )
            for i, v in list(enumerate(values))[::step]
            if math.isfinite(v)
        ]
        if len(points) == 1:
            pieces.append(f'<circle class="dot" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3"/>')
        else:
            pieces.append(f'<polyline class="curve" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>')
    name = ", ".join(curves)
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{text(name, 200)}</title>{''.join(pieces)}</svg><figcaption>{text(name, 200)}</figcaption></figure>"
    )


def path_svg(x: NDArray[Any], y: NDArray[Any], caption: str) -> str:
    """Return where a scan went: positions (N,) in the order of acquisition, +x to the right and +y down."""
    import numpy as np

    step = max(1, -(-len(x) // _MOST_POINTS))
    xs, ys = np.asarray(x[::step], float), np.asarray(y[::step], float)
    sound = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[sound], ys[sound]
    if not len(xs):
        return ""
    span = max(float(np.ptp(xs)), float(np.ptp(ys))) or 1.0
    side, margin = 300, 12
    scale = (side - 2 * margin) / span
    px, py = margin + (xs - xs.min()) * scale, margin + (ys - ys.min()) * scale
    height = float(py.max()) + margin
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))
    dots = "".join(f'<circle class="dot" cx="{a:.1f}" cy="{b:.1f}" r="1.6"/>' for a, b in zip(px, py, strict=True))
    return (
        f'<figure><svg viewBox="0 0 {side} {height:.0f}" width="{side}" height="{height:.0f}" role="img">'
        f'<title>{text(caption, 200)}</title><polyline class="path" points="{points}"/>{dots}</svg>'
        f"<figcaption>{text(caption, 300)}</figcaption></figure>"
    )


def _height(node: Node | Fold) -> int:
    return _STEP_HEIGHT if isinstance(node, Node) and node.step is not None else _VALUE_HEIGHT


def _edge(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> str:
    x1, y1, x2, y2 = a[0] + a[2] / 2, a[1] + a[3], b[0] + b[2] / 2, b[1]
    bend = max(abs(y2 - y1) / 2, 14)
    return (
        f'<path class="edge" marker-end="url(#head)" d="M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + bend:.0f} {x2:.0f} '
        f'{y2 - bend:.0f} {x2:.0f} {y2 - 1:.0f}"/>'
    )


def _box(node: Node | Fold, place: tuple[float, float, float, float], label_of: Callable[[Node], Label]) -> str:
    x, y, width, height = place
    if isinstance(node, Fold):
        label, tone, radius = Label(_counted(node), "see the table"), "fold", 8
    else:
        label = label_of(node)
        is_step = node.step is not None
        tone, radius = f"{'step' if is_step else 'value'} {label.tone}".strip(), 18 if is_step else 6
    fit = max(6, int(_CHARACTERS * width / _BOX_WIDTH))
    on = " on" if label.tone == "subject" else ""
    middle, lines = (
        x + width / 2,
        [(label.name, on.strip()), (label.what, f"soft{on}")] if label.what else [(label.name, on.strip())],
    )
    first = y + height / 2 + (4 if len(lines) == 1 else -3)
    written = "".join(
        f'<text{f" class={chr(34)}{kind}{chr(34)}" if kind else ""} x="{middle:.0f}" y="{first + 15 * number:.0f}" '
        f'text-anchor="middle">{text(_fitting(line, fit + 4 * number))}</text>'
        for number, (line, kind) in enumerate(lines)
    )
    return (
        f'<g><title>{text(f"{label.name} {label.what}", 400)}</title><rect class="{tone}" x="{x:.0f}" y="{y:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" rx="{radius}"/>{written}</g>'
    )


def _fitting(line: str, characters: int) -> str:
    """Return a line that fits a box: of a longer one the beginning and the end, where names differ.

    >>> _fitting("a long name that does not fit", 12)
    'a long…t fit'
    """
    if len(line) <= characters:
        return line
    end = (characters - 1) // 2
    return f"{line[: characters - 1 - end]}…{line[len(line) - end :]}"


def _counted(fold: Fold) -> str:
    parts = [
        f"{count} more {what}{'s' * (count > 1)}"
        for count, what in ((fold.values, "value"), (fold.steps, "step"))
        if count
    ]
    return ", ".join(parts)
