"""Laws of the far field: energy is kept, and the gradient is finite in the dark."""

import mlx.core as mx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.ptycho.propagation import far_field_amplitude


def random_wave(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    real, imaginary = np.random.default_rng(seed).normal(size=(2, *shape))
    return (real + 1j * imaginary).astype(np.complex64)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.sampled_from([(8, 8), (16, 12), (3, 8, 16), (2, 3, 8, 8)]))
def test_the_detector_counts_every_photon_of_the_exit_wave(seed, shape) -> None:
    wave = random_wave(seed, shape)
    amplitude = np.array(far_field_amplitude(mx.array(wave)))
    assert np.allclose((amplitude**2).sum(axis=(-2, -1)), (np.abs(wave) ** 2).sum(axis=(-2, -1)), rtol=1e-4)


def test_amplitudes_are_those_of_an_independent_transform() -> None:
    wave = random_wave(1, (2, 16, 16))
    expected = np.abs(np.fft.fft2(wave.astype(np.complex128))) / 16
    assert np.allclose(np.array(far_field_amplitude(mx.array(wave))), expected, atol=1e-5)


def test_an_undisturbed_beam_arrives_at_the_first_pixel() -> None:
    amplitude = np.array(far_field_amplitude(mx.ones((8, 8), dtype=mx.complex64)))
    assert amplitude[0, 0] == 8
    assert np.abs(amplitude).sum() == 8


def test_the_gradient_is_finite_where_there_is_no_light() -> None:
    slope = mx.grad(lambda real: far_field_amplitude(real + 0j).sum())(mx.zeros((8, 8)))
    assert np.isfinite(np.array(slope)).all()
