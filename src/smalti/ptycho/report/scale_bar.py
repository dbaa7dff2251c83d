"""A scale bar in an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_scale_bar(axes: Axes, pixel_size_m: float) -> None:
    """Draw a bar of 1, 2 or 5 times a power of ten, at most 30 % of the image wide, with its length."""
    from matplotlib.offsetbox import AnchoredOffsetbox, AuxTransformBox, TextArea, VPacker
    from matplotlib.patches import Rectangle

    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    length_m = scale_bar_m(0.3 * abs(right - left) * pixel_size_m)
    bar = AuxTransformBox(axes.transData)
    bar.add_artist(
        Rectangle((0, 0), length_m / pixel_size_m, 0.02 * min(abs(right - left), abs(bottom - top)), facecolor="white")
    )
    text = TextArea(_length(length_m), textprops={"color": "white", "fontsize": 9})
    box = AnchoredOffsetbox("lower left", child=VPacker(children=[text, bar], align="center", pad=0, sep=3), pad=0.5)
    box.patch.set(facecolor="black", alpha=0.6, linewidth=0)
    axes.add_artist(box)


def _length(length_m: float) -> str:
    for unit, size_m in (("mm", 1e-3), ("µm", 1e-6)):
        if length_m >= size_m * (1 - 1e-9):
            return f"{length_m / size_m:g} {unit}"
    return f"{length_m * 1e9:g} nm"


def scale_bar_m(longest_m: float) -> float:
    """Return the longest of 1, 2 or 5 times a power of ten that is not longer than ``longest_m``.

    >>> scale_bar_m(3.4e-6), scale_bar_m(9.9e-8)
    (2e-06, 5e-08)
    """
    power = int(np.floor(np.log10(longest_m)))
    # The logarithm of a number just under a power of ten rounds to that power.
    lengths_m = (float(f"{digit}e{exponent}") for exponent in (power - 1, power) for digit in (1, 2, 5))
    return max(length_m for length_m in lengths_m if length_m <= longest_m)
