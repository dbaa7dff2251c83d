"""Laws of the Fourier shift, and the object pixel of a known experiment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.optics import far_field_pixel_m, fourier_shift, shift_ramp, wavelength_m

SHIFTS = st.floats(-20, 20)


def wave(*shape: int) -> np.ndarray:
    real, imaginary = np.random.default_rng(0).normal(size=(2, *shape))
    return real + 1j * imaginary


@given(st.integers(-40, 40), st.integers(-40, 40))
def test_a_shift_by_whole_pixels_rolls_the_image_down_and_right(down, right) -> None:
    image = wave(9, 12)
    assert fourier_shift(image, down, right) == pytest.approx(np.roll(image, (down, right), axis=(0, 1)))


@given(SHIFTS, SHIFTS, st.integers(2, 33))
def test_shifts_add_up(first, second, pixels) -> None:
    assert shift_ramp(pixels, first) * shift_ramp(pixels, second) == pytest.approx(shift_ramp(pixels, first + second))


@given(SHIFTS)
def test_a_shift_moves_the_centre_of_a_spot_by_as_much(shift) -> None:
    x = np.arange(128.0)
    spot = np.exp(-((x - 60) ** 2) / 18)
    moved = np.abs(fourier_shift(np.tile(spot, (4, 1)), 0, shift)[0]) ** 2
    assert (x * moved).sum() / moved.sum() == pytest.approx(60 + shift, abs=1e-3)


def test_many_shifts_are_one_ramp_each() -> None:
    ramps = shift_ramp(8, np.array([[0.0, 0.5], [1.0, -3.0]]))
    assert ramps.shape == (2, 2, 8)
    assert np.array_equal(ramps[1, 0], shift_ramp(8, 1.0))


def test_copper_k_alpha_samples_the_pixel_of_the_textbook_formula() -> None:
    assert wavelength_m(8047.8) == pytest.approx(1.5406e-10, rel=1e-5)
    assert far_field_pixel_m(8047.8, 2.0, 172e-6, 256) == pytest.approx(1.5406e-10 * 2 / (256 * 172e-6), rel=1e-5)
