"""Laws of the losses: closed forms, slopes that are derivatives, and a Poisson loss whose slope is bounded."""

import math

import mlx.core as mx
import numpy as np
import pytest

from smalti.ptycho.losses import BRIGHTEST_RATIO, LOSSES, absolute, amplitude, poisson

RNG = np.random.default_rng(0)
MEASURED = RNG.uniform(0.5, 20, 400).astype(np.float32)
INTENSITY = (MEASURED * RNG.uniform(0.05, 3, 400)).astype(np.float32) ** 2


def both(loss, intensity=INTENSITY, measured=MEASURED) -> tuple[np.ndarray, np.ndarray]:
    value, slope = loss(mx.array(intensity), mx.array(measured))
    return np.array(value), np.array(slope)


def test_each_loss_is_its_closed_form() -> None:
    modelled = np.sqrt(INTENSITY.astype(np.float64))
    assert both(amplitude)[0] == pytest.approx((modelled - MEASURED) ** 2, rel=1e-3, abs=1e-5)
    assert both(absolute)[0] == pytest.approx(np.abs(modelled - MEASURED), rel=1e-3, abs=1e-5)


def test_the_poisson_loss_is_the_likelihood_of_the_counts_against_the_best_model() -> None:
    counts = RNG.integers(1, 300, 400)
    expected = counts * RNG.uniform(1 / BRIGHTEST_RATIO**2, 4, 400)

    def log_likelihood(mean: np.ndarray) -> np.ndarray:
        return counts * np.log(mean) - mean - np.array([math.lgamma(n + 1) for n in counts])

    value, _ = both(poisson, expected.astype(np.float32), np.sqrt(counts).astype(np.float32))
    wanted = log_likelihood(counts.astype(float)) - log_likelihood(expected)
    assert value == pytest.approx(wanted, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_the_slope_is_the_derivative_by_the_intensity(name) -> None:
    # half the gradient by the wave is dL/dI * wave
    derivative = np.array(mx.grad(lambda i: LOSSES[name](i, mx.array(MEASURED))[0].sum())(mx.array(INTENSITY)))
    _, slope = both(LOSSES[name])
    assert slope == pytest.approx(derivative, rel=2e-3, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_met_costs_nothing_and_pulls_nowhere(name) -> None:
    value, slope = both(LOSSES[name], MEASURED**2)
    assert np.abs(value).max() < 1e-3
    if name != "absolute":  # whose slope jumps there
        assert np.abs(slope).max() < 1e-5


def test_a_pixel_that_is_modelled_far_too_dim_pulls_no_more_than_four_amplitudes() -> None:
    dim = (MEASURED / 1000) ** 2
    _, slope = both(poisson, dim)
    _, of_amplitude = both(amplitude, dim)
    assert slope == pytest.approx((1 + BRIGHTEST_RATIO) * of_amplitude, rel=1e-4)
    here, there = (
        both(poisson, (MEASURED / ratio) ** 2)[0] for ratio in (BRIGHTEST_RATIO * 0.999, BRIGHTEST_RATIO * 1.001)
    )
    assert there == pytest.approx(here, rel=1e-2)
