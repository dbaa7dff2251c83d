"""Laws of the thumbnails: two squares that follow the arrays, for one position and one pixel too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan
from smalti.ptycho.evaluate.frc import compute_frc
from smalti.ptycho.report.thumbnails import (
    SIDE_PX,
    frc_crossing,
    frc_curves,
    object_thumbnail,
    reconstruction_thumbnail,
    scan_thumbnail,
)
from smalti.simulation import simulate_scan

WHITE = (255, 255, 255)


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate_scan("star-7", positions_per_side=6, window=16)


def squares(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of the left and of the right square."""
    pixels = np.asarray(image)
    assert pixels.shape == (SIDE_PX, 2 * SIDE_PX, 3)
    return pixels[:, :SIDE_PX], pixels[:, SIDE_PX:]


def solved(scan: Scan, obj: np.ndarray) -> Reconstruction:
    coords = {"xcoords": scan.xcoords, "ycoords": scan.ycoords}
    return Reconstruction(
        obj, scan.probe_guess, **coords, origin_x=0, origin_y=0, loss=np.ones(1), metrics={}, config={}
    )


def test_the_pattern_is_brightest_in_its_middle_and_bad_pixels_are_grey(scan: Scan) -> None:
    bad = np.zeros((16, 16), bool)
    bad[0, 0] = True
    pattern, _ = squares(scan_thumbnail(replace(scan, bad_pixels=bad)))
    assert pattern[SIDE_PX // 2, SIDE_PX // 2].sum() > pattern[SIDE_PX // 2, 2].sum()
    assert tuple(pattern[2, 2]) == (153, 153, 153)


def test_the_scanned_area_is_coloured_by_the_order_of_acquisition(scan: Scan) -> None:
    _, there = squares(scan_thumbnail(scan))
    _, back = squares(scan_thumbnail(replace(scan, scan_index=scan.scan_index[::-1].copy())))
    assert tuple(there[0, 0]) == WHITE
    assert not np.array_equal(there[20, 120], there[-20, 120])
    assert np.array_equal(there.min(axis=-1) == 255, back.min(axis=-1) == 255)
    assert not np.array_equal(there, back)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_scan_of_few_positions_or_of_one_place_has_a_thumbnail(scan: Scan, count: int) -> None:
    few = replace(
        scan,
        diffraction=scan.diffraction[:count],
        xcoords=np.full(count, 3.0),
        ycoords=np.full(count, 3.0),
        scan_index=np.arange(count),
    )
    _, area = squares(scan_thumbnail(few))
    assert tuple(area[0, 0]) == WHITE
    assert tuple(area[SIDE_PX // 2, SIDE_PX // 2]) != WHITE


def test_amplitude_and_phase_are_told_apart_and_a_ramp_of_the_phase_is_not_shown(scan: Scan) -> None:
    obj = scan.object_guess
    amplitude, phase = squares(reconstruction_thumbnail(solved(scan, obj)))
    assert np.ptp(amplitude, axis=-1).max() == 0
    assert np.ptp(phase, axis=-1).max() > 50
    ramp = np.exp(1j * np.linspace(0, 2, obj.shape[1])).astype(np.complex64)
    _, ramped = squares(reconstruction_thumbnail(solved(scan, obj * ramp)))
    assert np.abs(phase.astype(int) - ramped).mean() < 3


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (40, 2)])
def test_objects_of_any_shape_and_without_contrast_are_drawn(shape) -> None:
    squares(object_thumbnail(np.ones(shape, np.complex64)))


def test_the_curve_of_the_resolution_crosses_its_threshold_at_the_mark() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 32, 32))
    frc = compute_frc(1 + 0.1j * (first + 0.3 * second), 1 + 0.1j * first)
    mark = frc_crossing(frc)
    assert mark is None or 0 < mark[0] < 1
    same = compute_frc(1 + 0.1j * first, 1 + 0.1j * first)
    assert frc_crossing(same) is None
    assert [curve.name for curve in frc_curves(frc)] == ["phase", "half bit"]
