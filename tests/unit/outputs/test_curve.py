"""Laws of small curves: well-formed SVG for any values, in less than 1,000 characters of Markdown."""

from __future__ import annotations

import math
import re
from urllib.parse import unquote
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.outputs.curve import HEIGHT_PX, WIDTH_PX, Curve, curve_svg, markdown_curve

SVG = "{http://www.w3.org/2000/svg}"
VALUES = st.lists(st.tuples(st.floats(), st.floats()), max_size=150)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def in_markdown(markdown: str) -> str:
    """Return the SVG of a Markdown text that is nothing else, and has no character that would end the address."""
    found = re.fullmatch(r"!\[[^\[\]\n]*\]\(data:image/svg\+xml,([^\s()<>\"]+)\)", markdown)
    assert found
    return unquote(found[1])


def places(svg: str) -> list[list[tuple[int, int]]]:
    """Return the points of each curve, in pixels."""
    lines = []
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        start = re.fullmatch(r"M(\d+),(\d+)l(.*)", path.attrib["d"])
        if start:
            x, y = int(start[1]), int(start[2])
            steps = [int(step) for step in re.findall(r"-?\d+", start[3])]
            points = [(x, y)]
            for right, down in zip(steps[::2], steps[1::2], strict=True):
                x, y = x + right, y + down
                points.append((x, y))
            lines.append(points)
    return lines


@settings(max_examples=40, deadline=None)
@given(VALUES, VALUES, st.text(max_size=60), st.text(max_size=200), st.text(max_size=60))
def test_any_values_fit_and_are_well_formed(one, other, name: str, alt: str, label: str) -> None:
    curves = [Curve(name, [x for x, _ in values], [y for _, y in values]) for values in (one, other)]
    markdown = markdown_curve(curves, alt, label, (0.5, 0.5))
    assert len(markdown) < 1000
    svg = in_markdown(markdown)
    root = ElementTree.fromstring(svg)
    assert root.attrib["width"] == str(WIDTH_PX)
    for line in places(svg):
        assert all(0 <= x <= WIDTH_PX and 0 <= y <= HEIGHT_PX for x, y in line)


def test_the_ends_of_the_axes_are_said_in_three_digits() -> None:
    found = texts(curve_svg([Curve("loss", range(1, 61), [0.98765 - 0.01 * n for n in range(60)])], "epoch"))
    assert found == ["0.988", "0.398", "1", "epoch 60"]


def test_a_curve_goes_through_its_points_and_is_logarithmic_over_a_decade() -> None:
    (line,) = places(curve_svg([Curve("loss", [1, 2, 3], [1000.0, 10.0, 0.1])]))
    (x0, y0), (x1, y1), (x2, y2) = line
    assert abs((x1 - x0) - (x2 - x1)) <= 1
    assert abs((y1 - y0) - (y2 - y1)) <= 1
    assert y0 < y2
    (straight,) = places(curve_svg([Curve("loss", [1, 2, 3], [3.0, 2.9, 1.0])]))
    assert straight[1][1] - straight[0][1] < straight[2][1] - straight[1][1]


def test_two_curves_are_told_apart_by_names_and_colours() -> None:
    svg = curve_svg([Curve("loss", [1, 2], [1, 2]), Curve("validation", [1, 2], [2, 1])])
    assert {"loss", "validation"} <= set(texts(svg))
    strokes = [path.attrib["stroke"] for path in ElementTree.fromstring(svg).iter(f"{SVG}path")][1:]
    assert len(set(strokes)) == 2


def test_without_any_finite_value_it_says_so() -> None:
    assert texts(curve_svg([Curve("loss", [1, 2], [math.nan, math.inf])])) == ["no values"]
