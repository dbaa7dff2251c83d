"""Metrics of a reconstruction, independent of any solver, and pictures of it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from smalti import Reconstruction, Scan
from smalti.ptycho.evaluate import metrics
from smalti.ptycho.geometry import place
from smalti.ptycho.optics.probe import initial_probe
from smalti.ptycho.report import previews
from smalti.simulation import interior

PADDING_px = 12  # of every canvas
OFFSETS_px = (-1.0, -0.5, 0.0, 0.5, 1.0)  # between conventions of where the centre of a window is
FOR_THE_OFFSET = slice(None, None, 8)  # patterns


def loaded(path: Path) -> Reconstruction:
    """Return what ``benchmarks.ptychography.ours`` saved."""
    with np.load(path) as saved:
        arrays = {name: saved[name] for name in ("object", "probe", "xcoords", "ycoords", "loss")}
        origin_y, origin_x = saved["origin"].tolist()
    return Reconstruction(**arrays, origin_x=origin_x, origin_y=origin_y, metrics={}, config={})


def empty(scan: Scan) -> Reconstruction:
    """Return the initial reconstruction: the canvas of ``place`` with an object of 1, and the initial probe."""
    at = place(scan.xcoords, scan.ycoords, scan.diffraction.shape[1:], PADDING_px).canvas
    return Reconstruction(
        object=np.ones(at.shape, np.complex64),
        probe=initial_probe(scan),
        xcoords=scan.xcoords - at.origin_x,
        ycoords=scan.ycoords - at.origin_y,
        origin_x=at.origin_x,
        origin_y=at.origin_y,
        loss=np.zeros(0),
        metrics={},
        config={},
    )


def against_truth(made: Reconstruction, scan: Scan) -> dict[str, float]:
    """Return PSNR and SSIM of phase and amplitude in the interior of a simulated star, after registration."""
    truth = scan.object_guess
    assert truth is not None
    top, left = round(made.origin_y), round(made.origin_x)
    rows = slice(max(top, 0), min(top + made.object.shape[0], truth.shape[0]))
    cols = slice(max(left, 0), min(left + made.object.shape[1], truth.shape[1]))
    found = np.ones(truth.shape, np.complex64)
    found[rows, cols] = made.object[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
    return metrics.compare(found, truth, interior())


def r_factor(made: Reconstruction, scan: Scan) -> float:
    """Return the R-factor at the best of a few offsets of all positions."""

    def at(right: float, down: float, some: slice) -> float:
        x, y = made.xcoords[some] + right, made.ycoords[some] + down
        return metrics.r_factor(scan.diffraction[some], made.object, made.probe, x, y)

    _, right, down = min((at(*offset, FOR_THE_OFFSET), *offset) for offset in product(OFFSETS_px, OFFSETS_px))
    return at(right, down, slice(None))


def keep_pictures(folder: Path, name: str, made: Reconstruction) -> None:
    """Write what a person iterations at: amplitude, phase and strongest mode in one picture, and all modes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_bytes(previews.reconstruction_preview(made))
    if len(made.probe) > 1:
        (folder / f"{name}-modes.png").write_bytes(previews.probe_preview(made.probe))


def in_words(figures: Mapping[str, Any]) -> str:
    """Return the metrics of :func:`against_truth` in one phrase."""
    phase, amplitude = (
        f"{image} {figures[f'{image}_psnr_dB']:.1f} dB / {figures[f'{image}_ssim']:.3f}"
        for image in ("phase", "amplitude")
    )
    return f"{phase}, {amplitude}"
