"""Laws of the ring correlation: closed forms, and a slow loop over every Fourier pixel."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import open_store
from smalti.ptycho.evaluate.frc import (
    HALF_BIT_SNR,
    ONE_BIT_SNR,
    FrcResult,
    bit_threshold,
    compute_frc,
    crossing,
    ring_correlation,
)

SIDES = st.tuples(st.integers(16, 48), st.integers(16, 48))


def noise(seed, *shape):
    real, imaginary = np.random.default_rng(seed).normal(size=(2, *shape))
    return real + 1j * imaginary


def slow_ring_correlation(first, second):
    """Pixel by pixel, with no more than the definition."""
    rows, cols = first.shape
    side = min(rows, cols)
    window = [
        [np.sin(np.pi * y / (rows - 1)) * np.sin(np.pi * x / (cols - 1)) for x in range(cols)] for y in range(rows)
    ]
    a, b = (np.fft.fft2(image * np.square(window)) for image in (first, second))
    cross, powers = np.zeros(side // 2 + 1), np.zeros((2, side // 2 + 1))
    for i in range(rows):
        for j in range(cols):
            ring = round(math.hypot(min(i, rows - i) * side / rows, min(j, cols - j) * side / cols))
            if ring <= side // 2:
                cross[ring] += (a[i, j] * b[i, j].conjugate()).real
                powers[:, ring] += abs(a[i, j]) ** 2, abs(b[i, j]) ** 2
    return cross / np.sqrt(powers.prod(axis=0))


def with_snr(seed, side, snr):
    """Two images of one random object whose rings have the signal-to-noise ratio ``snr(fraction of Nyquist)``."""
    signal, first, second = np.fft.fft2(noise(seed, 3, side, side))
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) / 0.5
    return [np.fft.ifft2(signal * np.sqrt(snr(radius)) + own) for own in (first, second)]


@settings(max_examples=10, deadline=None)
@given(SIDES, st.integers(0, 99), st.booleans())
def test_it_is_what_a_loop_over_every_pixel_finds(shape, seed, real) -> None:
    common, first, second = noise(seed, 3, *shape)
    first, second = (image.real if real else image for image in (common + first, common + second))
    assert ring_correlation(first, second) == pytest.approx(slow_ring_correlation(first, second), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(SIDES, st.integers(0, 99), st.complex_numbers(min_magnitude=0.1, max_magnitude=10))
def test_equal_images_correlate_by_one_on_every_ring_whatever_their_scale(shape, seed, scale) -> None:
    image = noise(seed, *shape)
    assert ring_correlation(image, abs(scale) * image) == pytest.approx(1)
    assert ring_correlation(image, -image) == pytest.approx(-1)
    assert ring_correlation(image, scale * image) == pytest.approx(scale.real / abs(scale))


@settings(max_examples=20, deadline=None)
@given(SIDES, st.integers(0, 99))
def test_a_correlation_is_symmetric_and_between_minus_one_and_one(shape, seed) -> None:
    first, second = noise(seed, 2, *shape)
    found = ring_correlation(first, second)
    assert found == pytest.approx(ring_correlation(second, first))
    assert np.abs(found).max() <= 1 + 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_independent_noise_correlates_by_about_one_over_the_root_of_the_pixels(seed) -> None:
    """The mean is 0. The Hann window leaves a quarter to a half of a ring's pixels independent: sigma is 0.9 to 1.5."""
    found = compute_frc(*noise(seed, 2, 256, 256))
    in_sigmas = found.complex[2:] * np.sqrt(found.pixels[2:])
    assert np.abs(in_sigmas).max() < 5
    assert 0.8 < in_sigmas.std() < 1.6
    assert abs(in_sigmas.mean()) < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_a_weak_common_signal_is_told_from_noise(seed) -> None:
    common, first, second = noise(seed, 3, 256, 256)
    found = ring_correlation(0.5 * common + first, 0.5 * common + second)
    assert found[40:].mean() == pytest.approx(0.25 / 1.25, abs=0.03)


def test_the_curve_is_snr_over_one_plus_snr() -> None:
    found = compute_frc(*with_snr(2, 256, lambda radius: np.exp(3 - 6 * radius)))
    expected = 1 / (1 + np.exp(6 * found.frequency - 3))
    assert found.complex[40:] == pytest.approx(expected[40:], abs=0.12)
    assert (found.complex - expected)[20:].mean() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(("name", "snr"), [("half_bit", HALF_BIT_SNR), ("one_bit", ONE_BIT_SNR)])
def test_it_crosses_where_the_information_runs_out(name, snr) -> None:
    """On rings of many pixels, half a bit and one bit are SNR / (1 + SNR)."""

    def falling(radius):
        return snr * np.exp(20 * (0.5 - radius))

    figures = compute_frc(*with_snr(3, 384, falling)).metrics()
    assert figures[f"frc_complex_{name}"] == pytest.approx(0.5, abs=0.04)


def test_a_signal_that_ends_sharply_is_resolved_up_to_its_end() -> None:
    figures = compute_frc(*with_snr(4, 128, lambda radius: 10.0 * (radius < 0.4))).metrics()
    for name in ("half_bit", "one_bit", "seventh"):
        assert figures[f"frc_complex_{name}"] == pytest.approx(0.4, abs=0.04)  # the window smears two rings


def test_the_thresholds_are_the_published_curves() -> None:
    """The numbers as they are printed: M. van Heel, M. Schatz, J. Struct. Biol. 151, 250 (2005)."""
    root = np.sqrt(pixels := np.array([1, 8, 12, 100, 10_000]))
    half_bit = (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)
    one_bit = (0.5 + 2.4142 / root) / (1.5 + 1.4142 / root)
    assert bit_threshold(pixels, HALF_BIT_SNR) == pytest.approx(half_bit, abs=1e-4)
    assert bit_threshold(pixels, ONE_BIT_SNR) == pytest.approx(one_bit, abs=1e-4)
    assert np.log2(1 + 2 * HALF_BIT_SNR) == pytest.approx(0.5, abs=1e-4)
    assert np.log2(1 + 2 * ONE_BIT_SNR) == 1


def test_the_first_rings_never_decide_and_no_crossing_is_nyquist() -> None:
    frequency, threshold = np.linspace(0, 1, 11), np.full(11, 0.5)
    assert crossing(frequency, np.array([0, 0] + [1] * 9), threshold) == 1
    assert crossing(frequency, np.array([1] * 6 + [0, 1, 0, 0, 0]), threshold) == pytest.approx(0.6)


def test_a_known_pixel_gives_a_half_period_in_nm() -> None:
    images = with_snr(5, 64, lambda radius: 30.0 * (radius < 0.5))
    plain, known = (compute_frc(*images, pixel_size_m=size).metrics() for size in (None, 8e-9))
    assert known.items() >= plain.items()
    assert {f"{name}_nm" for name in plain} == known.keys() - plain.keys()
    assert known["frc_phase_half_bit_nm"] == pytest.approx(8 / plain["frc_phase_half_bit"])


@pytest.mark.parametrize("pixel_size_m", [None, 8e-9])
def test_what_is_stored_comes_back(pixel_size_m) -> None:
    store = open_store("memory:")
    made = compute_frc(*noise(6, 2, 32, 40), pixel_size_m=pixel_size_m)
    back = FrcResult.from_stored(store.get(store.put(made.to_tree())))
    assert back.metrics() == made.metrics()
    assert back.pixel_size_m == pixel_size_m
    assert [np.array_equal(getattr(back, name), getattr(made, name)) for name in ("phase", "complex", "pixels")] == [
        True
    ] * 3
