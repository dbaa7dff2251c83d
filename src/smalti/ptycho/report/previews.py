"""Pictures of scans, reconstructions and their losses, as PNG files 900 px wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.outputs.figure import WIDTH_INCH, figure, png
from smalti.ptycho.evaluate.frc import FrcResult
from smalti.ptycho.evaluate.metrics import scanned_area
from smalti.ptycho.evaluate.registration import Area, remove_phase_ramp
from smalti.ptycho.report.complex_color import color_wheel, complex_to_rgb
from smalti.ptycho.report.scale_bar import draw_scale_bar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALLEST_CROP_PX = 8
PATTERNS_AT_ONCE = 64
MODES_PER_ROW = 4
MOST_MODES = 12
# The percentiles of an image that its colours span, so that a few outliers do not set the scale.
SHOWN_PERCENTILES = (0.5, 99.5)
BRIGHTEST_PERCENTILE = 99.8  # of a mode's amplitudes, for the same reason
DECADES = 7  # of a pattern that are shown at most
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "0.45"  # of Okabe and Ito, distinct with red-green colour blindness
CURVES = {"phase": BLUE, "complex": VERMILION}


def scan_preview(scan: Scan) -> bytes:
    """Return a PNG of the scan's mean pattern and of its positions in the order of acquisition.

    Far-field patterns are drawn logarithmically, bad pixels in grey.
    """
    made = figure(height_inch=4.1)
    pattern, path = made.subplots(1, 2, width_ratios=(1, 1.1))
    _draw_pattern(pattern, scan)
    _draw_positions(path, scan)
    return png(made)


def reconstruction_preview(reconstruction: Reconstruction, pixel_size_m: float | None = None) -> bytes:
    """Return a PNG of object amplitude and phase in the scanned area, and of the strongest probe mode.

    Args:
        pixel_size_m: pitch of an object pixel, m; draws a scale bar when given.
    """
    made = figure(height_inch=3.9)
    amplitude, phase, probe = made.subplots(1, 3)
    _draw_amplitude(amplitude, reconstruction, pixel_size_m, "bottom")
    _draw_phase(phase, reconstruction, pixel_size_m, "bottom")
    modes, shares = _by_power(reconstruction.probe)
    name = "probe" if len(modes) == 1 else f"probe, strongest of {len(modes)} modes: {shares[0]:.0%}"
    _draw_mode(probe, modes[0], name, pixel_size_m)
    probe.set_xlabel("hue: phase, lightness: amplitude")
    return png(made)


def amplitude_preview(reconstruction: Reconstruction, pixel_size_m: float | None = None) -> bytes:
    """Return a PNG of the object's amplitude in the scanned area, with a scale bar if the pixel size is given."""
    made, axes = _one_image(reconstruction)
    _draw_amplitude(axes, reconstruction, pixel_size_m, "right")
    return png(made)


def phase_preview(reconstruction: Reconstruction, pixel_size_m: float | None = None) -> bytes:
    """Return a PNG of the object's phase in the scanned area, less its mean and ramp; scale bar as for amplitude."""
    made, axes = _one_image(reconstruction)
    _draw_phase(axes, reconstruction, pixel_size_m, "right")
    return png(made)


def probe_preview(probe: NDArray[np.complex64], pixel_size_m: float | None = None) -> bytes:
    """Return a PNG of the (P, H, W) modes, the strongest first, each with its share of the power.

    Phase is hue and amplitude is lightness, relative to the ``BRIGHTEST_PERCENTILE`` of each mode. At most
    ``MOST_MODES`` are drawn.
    """
    modes, shares = _by_power(probe)
    shown = modes[:MOST_MODES]
    rows = -(-len(shown) // MODES_PER_ROW)
    columns = -(-len(shown) // rows)
    side_inch = min(4.0, (WIDTH_INCH - 1.8) / columns)
    made = figure(height_inch=max(2.2, rows * (side_inch * probe.shape[1] / probe.shape[2] + 0.35)))
    images, key = made.subfigures(1, 2, squeeze=False, width_ratios=(WIDTH_INCH - 1.8, 1.8))[0]
    grid = images.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    for number, (axes, mode, share) in enumerate(zip(grid, shown, shares, strict=False), 1):
        title = f"mode {number}: {share:.1%}" if len(modes) > 1 else "probe"
        _draw_mode(axes, mode, title, pixel_size_m if number == 1 else None)
    left_out = f"\n{len(modes) - len(shown)} weaker\nnot shown" if len(modes) > len(shown) else ""
    _draw_key(key.subplots(), f"each mode up to its\n{BRIGHTEST_PERCENTILE}th percentile{left_out}")
    return png(made, palette=False)


def loss_preview(loss: NDArray[np.float64]) -> bytes:
    """Return a PNG of the loss (E,) after each epoch, on a logarithmic axis where every value allows it."""
    from matplotlib.ticker import MaxNLocator

    made = figure(height_inch=3.2)
    axes = made.subplots()
    axes.plot(np.arange(1, len(loss) + 1), loss, color=BLUE, marker="o" if len(loss) <= 60 else "", markersize=3)
    if len(loss) and (np.asarray(loss) > 0).all():
        axes.set_yscale("log")
    title = f"loss: {loss[-1]:.4g} after {len(loss)} epochs" if len(loss) else "loss: no epochs"
    axes.set(title=title, xlabel="epoch", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(which="both", linewidth=0.3)
    return png(made)


def frc_preview(frc: FrcResult) -> bytes:
    """Return a PNG of both ring correlations and the thresholds, with the half-bit crossings marked."""
    made = figure(height_inch=4.8)
    axes = made.subplots()
    thresholds = frc.thresholds()
    names = {"half_bit": ("half bit", "--"), "one_bit": ("1 bit", ":"), "seventh": ("1/7", "-.")}
    for image, colour in CURVES.items():
        axes.plot(frc.frequency, getattr(frc, image), color=colour, linewidth=1.6, label=_resolved(frc, image))
    for name, (label, dashes) in names.items():
        axes.plot(frc.frequency, thresholds[name], color=GREY, linewidth=1.2, linestyle=dashes, label=label)
    crossings = frc.metrics()
    for image, colour in CURVES.items():
        at = crossings[f"frc_{image}_half_bit"]
        if at < 1:
            height = np.interp(at, frc.frequency, thresholds["half_bit"])
            axes.vlines(at, -1, height, color=colour, linewidth=0.8)
            axes.plot(at, height, color=colour, marker="o", markersize=7, markeredgecolor="white", zorder=3)
    lowest = min(0.0, float(min(frc.phase.min(), frc.complex.min())))
    axes.set(xlim=(0, 1), ylim=(lowest - 0.03, 1.03), xlabel="fraction of Nyquist", ylabel="correlation")
    axes.grid(linewidth=0.3)
    if frc.pixel_size_m is not None:
        _draw_half_periods(axes, frc.pixel_size_m)
    axes.set_title("Fourier ring correlation of two independent halves")
    made.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return png(made)


def _resolved(frc: FrcResult, image: str) -> str:
    """Return the legend of one curve: its half-bit and 1-bit crossings."""
    crossings = frc.metrics()
    found = []
    for name, label in (("half_bit", "half bit"), ("one_bit", "1 bit")):
        key = f"frc_{image}_{name}"
        size = f" = {crossings[f'{key}_nm']:.3g} nm" if f"{key}_nm" in crossings else ""
        found.append(f"{label} at {crossings[key]:.3f}{size}")
    return f"{image}: {', '.join(found)}"


def _draw_half_periods(axes: Axes, pixel_size_m: float) -> None:
    """Draw a second axis on top: the half period in nm of each fraction of Nyquist."""
    marks = np.arange(0.2, 1.01, 0.2)
    top = axes.secondary_xaxis("top")
    top.set_xticks(marks, [f"{pixel_size_m * 1e9 / mark:.3g}" for mark in marks])
    top.set_xlabel("half period, nm")


def _draw_pattern(axes: Axes, scan: Scan) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize

    count = len(scan.diffraction)
    mean, bad = mean_pattern(scan)
    lit = mean[~bad & (mean > 0)]
    scale: Normalize = Normalize(0, lit.max(initial=0) or 1.0)
    if scan.metadata.far_field and lit.size:
        darkest = max(lit.min(), lit.max() * 10.0**-DECADES)
        scale = LogNorm(darkest, lit.max() * (1 + 1e-9))
        mean = np.maximum(mean, darkest)
    colours = colormaps["magma"].with_extremes(bad="0.6")
    image = axes.imshow(np.ma.masked_array(mean, bad), cmap=colours, norm=scale, interpolation="nearest")
    kind = "patterns" if scan.metadata.far_field else "near-field images"
    grey = f"\n{bad.sum()} bad pixels in grey" if bad.any() else ""
    axes.set(title=f"mean of {count} {kind}{grey}", xlabel="column, px", ylabel="row, px")
    _draw_bar(axes, image, "mean counts", "right")


def _draw_positions(axes: Axes, scan: Scan) -> None:
    order = np.argsort(scan.scan_index, kind="stable")
    x, y = scan.xcoords[order], scan.ycoords[order]
    axes.plot(x, y, color="0.8", linewidth=0.6, zorder=1)
    size = max(2, min(30, 4000 / len(x)))
    points = axes.scatter(x, y, c=np.arange(len(x)), cmap="viridis", s=size, linewidths=0, zorder=2)
    _draw_bar(axes, points, "order of acquisition", "right")
    axes.set(title=f"path over {len(x)} positions", xlabel="x, px", ylabel="y, px", aspect="equal")
    axes.invert_yaxis()  # rows grow downwards, as in the image of the object


def mean_pattern(scan: Scan) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the mean counts (H, W) of the patterns, and which of the pixels are bad."""
    count, height, width = scan.diffraction.shape
    mean = np.zeros((height, width))
    for start in range(0, count, PATTERNS_AT_ONCE):  # all squares at once may not fit into memory
        mean += np.square(scan.diffraction[start : start + PATTERNS_AT_ONCE], dtype=np.float64).sum(axis=0) / count
    return mean, np.zeros((height, width), bool) if scan.bad_pixels is None else scan.bad_pixels


def shown_area(reconstruction: Reconstruction) -> Area:
    """Return the scanned area; the whole object along an axis where it is below ``SMALLEST_CROP_PX``."""
    sides = zip(scanned_area(reconstruction.xcoords, reconstruction.ycoords), reconstruction.object.shape, strict=True)
    clipped = (slice(max(0, side.start), min(size, side.stop)) for side, size in sides)
    rows, cols = (side if side.stop - side.start >= SMALLEST_CROP_PX else slice(None) for side in clipped)
    return rows, cols


def _one_image(reconstruction: Reconstruction) -> tuple[Figure, Axes]:
    """Return a figure with the aspect ratio of the scanned area, within limits, and its axes."""
    height, width = reconstruction.object[shown_area(reconstruction)].shape
    made = figure(height_inch=min(max(0.78 * WIDTH_INCH * height / width + 0.5, 2.5), 8.0))
    return made, made.subplots()


def _draw_amplitude(
    axes: Axes, reconstruction: Reconstruction, pixel_size_m: float | None, bar: Literal["right", "bottom"]
) -> None:
    amplitude = np.abs(reconstruction.object[shown_area(reconstruction)])
    low, high = np.percentile(amplitude, SHOWN_PERCENTILES)
    image = axes.imshow(amplitude, cmap="gray", vmin=low, vmax=high)
    _finish(axes, "object amplitude", pixel_size_m)
    _draw_bar(axes, image, "relative", bar)


def _draw_phase(
    axes: Axes, reconstruction: Reconstruction, pixel_size_m: float | None, bar: Literal["right", "bottom"]
) -> None:
    phase, (low, high), palette = phase_shown(reconstruction, shown_area(reconstruction))
    image = axes.imshow(phase, cmap=palette, vmin=low, vmax=high)
    _finish(axes, "object phase", pixel_size_m)
    _draw_bar(axes, image, "rad, mean and ramp removed", bar)


def phase_shown(
    reconstruction: Reconstruction, area: Area
) -> tuple[NDArray[np.float64], tuple[float, float], Literal["twilight", "viridis"]]:
    """Return the phase in an area less its mean and ramp, the values at the ends of its palette, and the palette."""
    phase = np.angle(remove_phase_ramp(reconstruction.object, area)[area])
    low, high = (float(end) for end in np.percentile(phase, SHOWN_PERCENTILES))
    if high - low > 1.9 * np.pi:
        return phase, (-np.pi, np.pi), "twilight"
    return phase, (low, high), "viridis"


def _by_power(probe: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """Return the modes, the strongest first, and the fraction of the power in each."""
    powers = np.square(np.abs(probe), dtype=np.float64).sum(axis=(1, 2))
    order = np.argsort(-powers, kind="stable")
    return probe[order], powers[order] / (powers.sum() or 1.0)


def _draw_mode(axes: Axes, mode: NDArray[np.complex64], title: str, pixel_size_m: float | None) -> None:
    brightest = np.percentile(np.abs(mode), BRIGHTEST_PERCENTILE)
    axes.imshow(complex_to_rgb(mode, float(brightest)), interpolation="nearest")
    _finish(axes, title, pixel_size_m)


def _draw_key(axes: Axes, text: str) -> None:
    """Draw the colour wheel with its phases."""
    axes.imshow(color_wheel(301), extent=(-1, 1, -1, 1))
    for at, name in ((1, "0"), (1j, "π/2"), (-1, "π"), (-1j, "−π/2")):
        where = 1.3 * complex(at)
        axes.text(where.real, where.imag, name, ha="center", va="center", fontsize=9)
    axes.text(0, -1.75, f"hue: phase\nlightness: amplitude,\n{text}", ha="center", va="top", fontsize=8)
    axes.set(xlim=(-1.6, 1.6), ylim=(-3.2, 1.6), aspect="equal")
    axes.set_axis_off()


def _finish(axes: Axes, title: str, pixel_size_m: float | None) -> None:
    axes.set(title=title, xticks=[], yticks=[])
    if pixel_size_m is not None:
        draw_scale_bar(axes, pixel_size_m)


def _draw_bar(axes: Axes, image: Any, label: str, where: Literal["right", "bottom"]) -> None:
    """Draw the colour bar of an image along one of its sides."""
    bar = axes.figure.colorbar(image, ax=axes, label=label, location=where, pad=0.02)
    if where == "bottom":
        bar.ax.locator_params(nbins=5)
