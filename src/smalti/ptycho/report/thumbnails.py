"""Small pictures of scans and reconstructions without any text, two squares side by side, and their small curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.outputs.curve import Curve
from smalti.ptycho.evaluate.frc import FrcResult
from smalti.ptycho.report.previews import DECADES, SHOWN_PERCENTILES, mean_pattern, phase_shown, shown_area

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE_PX = 240
_REACH = 1.5  # of the usual distance to the nearest position, up to which a place counts as scanned
_GROUND, _BAD = (255, 255, 255), (153, 153, 153)


def scan_thumbnail(scan: Scan) -> Image:
    """Return the mean pattern, and the scanned area coloured by the order of acquisition, each as one square."""
    return _beside(_pattern(scan), _positions(scan))


def reconstruction_thumbnail(reconstruction: Reconstruction) -> Image:
    """Return amplitude and phase of the object in the scanned area, each as one square."""
    area = shown_area(reconstruction)
    amplitude = np.abs(reconstruction.object[area])
    phase, (low, high), palette = phase_shown(reconstruction, area)
    return _beside(
        _square(_coloured(amplitude, *_ends(amplitude), "gray")),
        _square(_coloured(phase, low, high, palette)),
    )


def object_thumbnail(object_: NDArray[np.complexfloating[Any, Any]]) -> Image:
    """Return amplitude and phase of a whole (M, K) object, each as one square."""
    amplitude, phase = np.abs(object_), np.angle(object_)
    return _beside(
        _square(_coloured(amplitude, *_ends(amplitude), "gray")),
        _square(_coloured(phase, *_ends(phase), "viridis")),
    )


def loss_curves(loss: NDArray[np.float64] | Sequence[float]) -> list[Curve]:
    """Return the loss after each epoch as a curve."""
    return [Curve("loss", range(1, len(loss) + 1), [float(value) for value in loss])]


def frc_curves(frc: FrcResult) -> list[Curve]:
    """Return the correlation of the phases and the half-bit threshold, over the fraction of Nyquist."""
    frequency = frc.frequency.tolist()
    threshold = np.minimum(frc.thresholds()["half_bit"], 1).tolist()
    return [Curve("phase", frequency, frc.phase.tolist()), Curve("half bit", frequency, threshold)]


def frc_crossing(frc: FrcResult) -> tuple[float, float] | None:
    """Return where the phases cross the half-bit threshold; None where they do not."""
    at = frc.metrics()["frc_phase_half_bit"]
    return (at, float(np.interp(at, frc.frequency, frc.thresholds()["half_bit"]))) if at < 1 else None


def _ends(values: NDArray[np.floating[Any]]) -> tuple[float, float]:
    low, high = np.percentile(values, SHOWN_PERCENTILES)
    return float(low), float(high)


def _pattern(scan: Scan) -> Image:
    mean, bad = mean_pattern(scan)
    lit = mean[~bad & (mean > 0)]
    high = float(lit.max(initial=0)) or 1.0
    if scan.metadata.far_field and lit.size:
        low = max(float(lit.min()), high * 10.0**-DECADES)
        rgb = _coloured(np.log10(np.maximum(mean, low)), np.log10(low), np.log10(high), "magma")
    else:
        rgb = _coloured(mean, 0.0, high, "magma")
    rgb[bad] = _BAD
    return _square(rgb)


def _positions(scan: Scan) -> Image:
    """Return the scanned area, each place in the colour of the nearest position, by the order of acquisition."""
    from PIL import Image
    from scipy.spatial import cKDTree

    order = np.argsort(scan.scan_index, kind="stable")
    points = np.stack([scan.ycoords[order], scan.xcoords[order]], axis=1)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    widest = float(np.ptp(points, axis=0).max()) or 1.0
    tree = cKDTree(points)
    spacing = float(np.median(tree.query(points, k=2)[0][:, 1])) if len(points) > 1 else 0.0
    reach = max(_REACH * spacing, widest / 60)
    across = np.linspace(-1, 1, SIDE_PX) * (widest / 2 + 1.1 * reach)
    places = np.stack(np.meshgrid(across + middle[0], across + middle[1], indexing="ij"), axis=-1)
    apart, nearest = tree.query(places)
    rgb = _coloured(nearest, 0.0, max(1.0, len(points) - 1.0), "viridis")
    rgb[apart > reach] = _GROUND
    return Image.fromarray(rgb)


def _coloured(values: NDArray[Any], low: float, high: float, palette: str) -> NDArray[np.uint8]:
    """Return the colours (..., 3) of values between two ends of a palette."""
    from matplotlib import colormaps

    part = (values - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    return np.asarray(colormaps[palette](np.clip(np.nan_to_num(part), 0, 1), bytes=True)[..., :3])


def _square(rgb: NDArray[np.uint8]) -> Image:
    """Return the middle of an image as a square of ``SIDE_PX``."""
    from PIL import Image

    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = Image.fromarray(np.ascontiguousarray(rgb[top : top + side, left : left + side]))
    smooth = Image.Resampling.LANCZOS if side >= SIDE_PX // 2 else Image.Resampling.NEAREST
    return middle.resize((SIDE_PX, SIDE_PX), smooth)


def _beside(left: Image, right: Image) -> Image:
    from PIL import Image

    both = Image.new("RGB", (2 * SIDE_PX, SIDE_PX), _GROUND)
    both.paste(left, (0, 0))
    both.paste(right, (SIDE_PX, 0))
    return both
