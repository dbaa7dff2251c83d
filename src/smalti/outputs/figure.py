"""Matplotlib figures without pyplot, and their PNG bytes.

Without pyplot there is no global state, so that any thread may draw.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_INCH = 9.0
_DPI = 100
_COLOURS = 256


def figure(height_inch: float) -> Figure:
    """Return an empty figure, 900 px wide."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(WIDTH_INCH, height_inch), dpi=_DPI)
    made.set_layout_engine("compressed", w_pad=0.08, h_pad=0.08)
    return made


def png(figure: Figure, palette: bool = True) -> bytes:
    """Return the figure as a PNG without metadata, so that equal figures are equal bytes.

    Args:
        palette: reduce to 256 colours, for a smaller file; visible where an image has many hues and shades.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    buffer = io.BytesIO()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    if palette:
        picture = picture.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.save(buffer, "png", optimize=True)
    return buffer.getvalue()
