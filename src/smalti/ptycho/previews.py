"""Pictures of scans and reconstructions, as small PNG files that a web page shows at once.

Drawn with figures of their own: no pyplot, so no global state, and any thread may draw.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 100
_COLOURS = 256
_SMALLEST_CROP_PX = 8
# The part of an image's values that its colours span; a few hot pixels must not darken the rest.
_SHOWN_PERCENTILES = (0.5, 99.5)


def scan_preview(scan: Scan) -> bytes:
    """Return a PNG of the scan's mean pattern, logarithmic, beside the path over the sample in acquired order."""
    figure = _figure(height_inch=4.1)
    pattern, path = figure.subplots(1, 2, width_ratios=(1, 1.15))
    count, height, width = scan.diffraction.shape
    mean_counts = np.mean(np.square(scan.diffraction), axis=0, dtype=np.float64)
    image = pattern.imshow(np.log10(1 + mean_counts), cmap="magma", interpolation="nearest")
    figure.colorbar(image, ax=pattern, shrink=0.82, label="log10(1 + counts)")
    pattern.set(title=f"mean of {count} patterns, {height} × {width}", xlabel="column, px", ylabel="row, px")
    order = np.argsort(scan.scan_index, kind="stable")
    x, y = scan.xcoords[order], scan.ycoords[order]
    path.plot(x, y, color="0.8", linewidth=0.6, zorder=1)
    points = path.scatter(x, y, c=np.arange(count), cmap="viridis", s=max(2, min(30, 4000 / count)), zorder=2)
    figure.colorbar(points, ax=path, shrink=0.82, label="order of acquisition")
    path.set(title=f"path over {count} positions", xlabel="x, px", ylabel="y, px", aspect="equal")
    path.invert_yaxis()  # rows grow downwards, as in the image of the object
    return _png(figure)


def reconstruction_preview(reconstruction: Reconstruction, pixel_size_m: float | None = None) -> bytes:
    """Return a PNG of object amplitude and phase where the scan went, and of the strongest probe mode.

    Args:
        reconstruction: what the solver returned.
        pixel_size_m: pitch of an object pixel, m; draws a scale bar when given.
    """
    figure = _figure(height_inch=3.6)
    amplitude, phase, probe = figure.subplots(1, 3)
    scanned = _scanned(reconstruction)
    _draw_amplitude(amplitude, np.abs(scanned))
    _draw_phase(phase, np.angle(_without_ramp(scanned)))
    _draw_probe(probe, reconstruction.probe)
    for axes in (amplitude, phase, probe):
        axes.set(xticks=[], yticks=[])
        if pixel_size_m is not None:
            _draw_scale_bar(axes, pixel_size_m)
    return _png(figure)


def loss_preview(loss: NDArray[np.float64]) -> bytes:
    """Return a PNG of the loss (E,) after each epoch, on a logarithmic axis where every value allows it."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(height_inch=3.2)
    axes = figure.subplots()
    axes.plot(np.arange(1, len(loss) + 1), loss, marker="o" if len(loss) <= 60 else "", markersize=3)
    if len(loss) and (np.asarray(loss) > 0).all():
        axes.set_yscale("log")
    title = f"loss: {loss[-1]:.4g} after {len(loss)} epochs" if len(loss) else "loss: no epochs"
    axes.set(title=title, xlabel="epoch", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(which="both", linewidth=0.3)
    return _png(figure)


def _scanned(reconstruction: Reconstruction) -> NDArray[np.complex64]:
    """Return the object between its outermost probe positions; all of it where they enclose next to nothing."""
    obj = reconstruction.object
    spans = []
    for coords, size in ((reconstruction.ycoords, obj.shape[0]), (reconstruction.xcoords, obj.shape[1])):
        low, high = max(0, int(np.floor(coords.min()))), min(size, int(np.ceil(coords.max())) + 1)
        spans.append(slice(low, high) if high - low >= _SMALLEST_CROP_PX else slice(None))
    return obj[tuple(spans)]


def _without_ramp(obj: NDArray[np.complex64]) -> NDArray[np.complex128]:
    """Return the object without its mean phase and phase ramp, which diffraction cannot tell from a shifted probe."""
    slopes = [np.angle(np.vdot(obj[:-1], obj[1:])), np.angle(np.vdot(obj[:, :-1], obj[:, 1:]))]
    ramp = np.add.outer(slopes[0] * np.arange(obj.shape[0]), slopes[1] * np.arange(obj.shape[1]))
    level = obj * np.exp(-1j * ramp)
    return np.asarray(level * np.exp(-1j * np.angle(level.mean())))


def _draw_amplitude(axes: Axes, amplitude: NDArray[np.floating[Any]]) -> None:
    low, high = np.percentile(amplitude, _SHOWN_PERCENTILES)
    image = axes.imshow(amplitude, cmap="gray", vmin=low, vmax=high)
    axes.set_title("object amplitude")
    _bar(axes, image, "relative")


def _draw_phase(axes: Axes, phase: NDArray[np.floating[Any]]) -> None:
    low, high = np.percentile(phase, _SHOWN_PERCENTILES)
    wraps = high - low > 1.9 * np.pi
    low, high = (-np.pi, np.pi) if wraps else (low, high)
    image = axes.imshow(phase, cmap="twilight" if wraps else "viridis", vmin=low, vmax=high)
    axes.set_title("object phase")
    _bar(axes, image, "rad, mean and ramp removed")


def _draw_probe(axes: Axes, probe: NDArray[np.complex64]) -> None:
    """Draw the strongest mode: phase as hue, amplitude as brightness."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, hsv_to_rgb

    powers = np.square(np.abs(probe)).sum(axis=(1, 2))
    mode = probe[int(powers.argmax())]
    brightness = np.abs(mode) / (np.abs(mode).max() or 1.0)
    hue = (np.angle(mode) / (2 * np.pi) + 0.5) % 1.0
    axes.imshow(hsv_to_rgb(np.stack([hue, np.ones_like(hue), brightness], axis=-1)))
    share = powers.max() / (powers.sum() or 1.0)
    axes.set_title("probe" if len(probe) == 1 else f"probe, strongest of {len(probe)} modes: {share:.0%}")
    _bar(axes, ScalarMappable(Normalize(-np.pi, np.pi), "hsv"), "rad; brightness is amplitude")


def _bar(axes: Axes, image: Any, label: str) -> None:
    axes.figure.colorbar(image, ax=axes, location="bottom", shrink=0.9, pad=0.03, label=label)


def _draw_scale_bar(axes: Axes, pixel_size_m: float) -> None:
    """Draw a bar of 1, 2 or 5 times a power of ten, at most 40 % of the image wide."""
    from matplotlib.patches import Rectangle

    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    width, height = right - left, bottom - top
    length_m = scale_bar_m(0.4 * width * pixel_size_m)
    text = f"{length_m * 1e6:g} µm" if length_m >= 1e-6 else f"{length_m * 1e9:g} nm"
    x, y = left + 0.05 * width, bottom - 0.06 * height
    bar = Rectangle((x, y), length_m / pixel_size_m, 0.02 * height, facecolor="white", edgecolor="black")
    axes.add_patch(bar)
    box = {"facecolor": "black", "alpha": 0.55, "linewidth": 0, "pad": 1.5}
    axes.text(x, y - 0.03 * height, text, color="white", fontsize=8, va="bottom", bbox=box)


def scale_bar_m(longest_m: float) -> float:
    """Return the longest of 1, 2 or 5 times a power of ten that is not longer than ``longest_m``.

    >>> scale_bar_m(3.4e-6), scale_bar_m(9.9e-8)
    (2e-06, 5e-08)
    """
    power = int(np.floor(np.log10(longest_m)))
    # The logarithm of a number just under a power of ten rounds to that power.
    lengths_m = (float(f"{digit}e{exponent}") for exponent in (power - 1, power) for digit in (1, 2, 5))
    return max(length_m for length_m in lengths_m if length_m <= longest_m)


def _figure(height_inch: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height_inch), dpi=_DPI)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    return figure


def _png(figure: Figure) -> bytes:
    """Return the drawn figure as a PNG of one palette: a quarter of the size of full colour."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    buffer = io.BytesIO()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    palette = picture.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette.save(buffer, "png", optimize=True)
    return buffer.getvalue()
