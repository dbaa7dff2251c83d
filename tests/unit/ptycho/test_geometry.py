"""Laws of placing windows: corner plus remainder is the position, all on the canvas; and of the object pixel."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smalti.codecs.scan import Stated
from smalti.errors import Refused
from smalti.ptycho.geometry import object_pixel_m, place
from smalti.simulation import simulate_near_field, simulate_scan

coordinates = arrays(np.float64, 7, elements=st.floats(-300, 300))
windows = st.tuples(st.integers(2, 40), st.integers(2, 40))


@given(coordinates, coordinates, windows, st.integers(0, 20))
def test_window_plus_remainder_is_where_the_scan_says(xcoords, ycoords, window, padding) -> None:
    at = place(xcoords, ycoords, window, padding)
    height, width = window
    assert np.allclose(at.rows + at.dy + (height - 1) / 2 + at.canvas.origin_y, ycoords, atol=1e-4)
    assert np.allclose(at.cols + at.dx + (width - 1) / 2 + at.canvas.origin_x, xcoords, atol=1e-4)


@given(coordinates, coordinates, windows, st.integers(0, 20))
def test_the_canvas_holds_every_window_with_its_padding_and_nothing_more(xcoords, ycoords, window, padding) -> None:
    at = place(xcoords, ycoords, window, padding)
    for first, side, length in zip((at.rows, at.cols), window, at.canvas.shape, strict=True):
        assert first.min() == padding
        assert first.max() + side + padding == length
    for remainder in (at.dy, at.dx):
        assert (remainder >= -0.5).all()
        assert (remainder <= 0.5).all()


@given(arrays(np.int64, 5, elements=st.integers(-99, 99)), windows)
def test_whole_positions_leave_nothing_to_shift(positions, window) -> None:
    coords = positions.astype(np.float64)
    assert place(coords, coords[::-1], window, 3).is_whole


def test_fractional_positions_begin_on_a_whole_pixel() -> None:
    at = place(np.array([3.2, 9.9]), np.array([1.7, 4.0]), (8, 8), 2)
    assert (at.canvas.origin_x % 1, at.canvas.origin_y % 1) == (0, 0)
    assert not at.is_whole


def test_types_are_those_that_are_promised() -> None:
    at = place(np.array([3.2, 9.9]), np.array([1.7, 4.0]), (8, 8), 2)
    assert (at.rows.dtype, at.cols.dtype, at.dy.dtype, at.dx.dtype) == ("i4", "i4", "f4", "f4")


@pytest.mark.parametrize(
    ("xcoords", "ycoords", "message"),
    [
        ([1.0, 2.0], [1.0], r"xcoords \(2,\) and ycoords \(1,\) must be two lists of equal length"),
        ([], [], "must be two lists"),
        ([1.0, np.nan], [1.0, 2.0], "hold a NaN or an infinity"),
        ([0.0, 1e9], [0.0, 1e9], "span a canvas of 1000000008 x 1000000008 pixels"),
    ],
)
def test_positions_that_make_no_canvas_are_refused(xcoords, ycoords, message) -> None:
    with pytest.raises(Refused, match=message):
        place(np.array(xcoords), np.array(ycoords), (8, 8), 0)


def test_the_object_pixel_is_as_stated_or_follows_from_the_far_field() -> None:
    scan = simulate_scan("pixel", positions_per_side=2, window=32)

    def pixel_m(**update: Stated | None) -> float | None:
        return object_pixel_m(replace(scan, metadata=scan.metadata.model_copy(update=update)))

    # hc / E * z / (N p) = 1.2398e-6 / 8800 * 2 / (32 * 75e-6)
    assert pixel_m(object_pixel_size_m=None) == pytest.approx(1.174092e-7, rel=1e-5)
    assert pixel_m(object_pixel_size_m=Stated(value=1e-8), photon_energy_eV=None) == 1e-8
    for name in ("photon_energy_eV", "detector_distance_m", "detector_pixel_size_m"):
        assert pixel_m(object_pixel_size_m=None, **{name: None}) is None


def test_the_near_field_implies_no_object_pixel() -> None:
    near = simulate_near_field("near", positions_per_side=2, window=32)
    assert object_pixel_m(near) == 1e-7
    unstated = near.metadata.model_copy(update={"object_pixel_size_m": None})
    assert object_pixel_m(replace(near, metadata=unstated)) is None
