"""Laws of placing windows: corner plus remainder is the position, and all lies on the canvas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smalti.errors import Refused
from smalti.ptycho.geometry import place

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
