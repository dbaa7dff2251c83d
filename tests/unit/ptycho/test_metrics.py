"""Laws of the metrics: gauge freedoms do not count, and known cases give their closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.datasets.simulators import simulate_scan
from smalti.ptycho import metrics

AREA = (slice(20, 100), slice(20, 100))


@pytest.fixture(scope="module")
def truth():
    return simulate_scan("object", positions_per_side=10, window=64).object_guess[:120, :120]


def in_another_gauge(image, down, right, slope_y, slope_x, scale):
    """The same object as diffraction sees it: shifted, on a phase ramp, scaled."""
    frequency = np.fft.fftfreq(image.shape[0])
    ramp = np.exp(-2j * np.pi * np.add.outer(down * frequency, right * frequency))
    y, x = np.indices(image.shape)
    return np.fft.ifft2(np.fft.fft2(image) * ramp) * np.exp(1j * (slope_y * y + slope_x * x)) * scale


def test_r_factor_of_an_empty_beam_is_exact() -> None:
    probe = np.zeros((1, 8, 8), np.complex64)
    probe[0, 4, 4] = 8  # a point: amplitude 8 / sqrt(64) = 1 on every pixel
    object = np.ones((12, 12), np.complex64)
    coords = np.array([3.5, 5.5])
    measured = np.full((2, 8, 8), 1.25, np.float32)
    assert metrics.r_factor(measured, object, probe, coords, coords) == pytest.approx(0.2)
    assert metrics.r_factor(measured / 1.25, object, probe, coords, coords) == pytest.approx(0, abs=1e-6)


def test_r_factor_adds_incoherent_modes_in_intensity() -> None:
    probe = np.zeros((2, 8, 8), np.complex64)
    probe[:, 4, 4] = 8
    coords = np.array([3.5])
    measured = np.full((1, 8, 8), np.sqrt(2), np.float32)
    assert metrics.r_factor(measured, np.ones((8, 8)), probe, coords, coords) == pytest.approx(0, abs=1e-6)


def test_r_factor_of_the_truth_is_the_photon_noise() -> None:
    for photons, bound in ((1e4, 0.6), (1e8, 0.02)):
        scan = simulate_scan("noise", positions_per_side=3, window=32, photons_per_pattern=photons)
        r = metrics.r_factor(scan.diffraction, scan.object_guess, scan.probe_guess, scan.xcoords, scan.ycoords)
        assert bound / 10 < r < bound


@settings(max_examples=10, deadline=None)
@given(
    st.floats(-2, 2), st.floats(-2, 2), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(0.1, 10), st.floats(-3, 3)
)
def test_alignment_undoes_any_gauge(truth, down, right, slope_y, slope_x, size, angle) -> None:
    moved = in_another_gauge(truth, down, right, slope_y, slope_x, size * np.exp(1j * angle))
    figures = metrics.compare(moved, truth, AREA)
    assert figures["phase_psnr_dB"] > 50
    assert figures["phase_ssim"] > 0.999
    assert figures["amplitude_psnr_dB"] > 50


def test_alignment_does_not_flatter_another_object(truth) -> None:
    assert metrics.compare(np.ones_like(truth), truth, AREA)["phase_ssim"] < 0.5
    assert metrics.compare(truth.conj(), truth, AREA)["phase_psnr_dB"] < 20


def test_psnr_is_the_closed_form() -> None:
    reference = np.array([[0.0, 2.0], [1.0, 1.0]])
    assert metrics.psnr(reference + 0.2, reference) == pytest.approx(20)  # 20 log10(2 / 0.2)


def test_ssim_is_one_for_equal_images_and_less_for_noise(truth) -> None:
    phase = np.angle(truth)
    noise = np.random.default_rng(0).normal(0, 0.2, phase.shape)
    assert metrics.ssim(phase, phase) == pytest.approx(1)
    assert metrics.ssim(phase + noise, phase) < 0.8


def test_a_constant_truth_gets_no_figure_without_meaning() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.5, 1, (40, 40)).astype(np.complex64)
    assert "phase_psnr_dB" not in metrics.compare(truth * 1.5, truth, (slice(5, 35), slice(5, 35)))


def test_an_area_too_small_to_compare_gets_no_figures(truth) -> None:
    assert metrics.compare(truth, truth, (slice(20, 30), slice(20, 100))) == {}


def test_frc_of_equal_images_is_one_and_of_noise_is_below_half_a_bit(truth) -> None:
    _, same, _ = metrics.fourier_ring_correlation(truth[AREA], truth[AREA])
    assert same == pytest.approx(1)
    assert metrics.resolution(truth[AREA], truth[AREA]) == 1
    a, b = np.random.default_rng(0).normal(size=(2, 80, 80))
    assert metrics.resolution(a, b) < 0.2


def test_frc_finds_the_frequency_where_the_noise_begins() -> None:
    rng = np.random.default_rng(1)
    signal, first, second = np.fft.fft2(rng.normal(size=(3, 128, 128)))
    radius = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)) / 0.5
    images = [np.fft.ifft2(np.where(radius < 0.4, signal, noise)) for noise in (first, second)]
    assert metrics.resolution(*images) == pytest.approx(0.4, abs=0.04)


def test_the_half_bit_threshold_is_the_published_curve() -> None:
    _, _, threshold = metrics.fourier_ring_correlation(np.ones((4, 4)), np.ones((4, 4)))
    assert threshold[:2] == pytest.approx([1, 0.5772], abs=1e-4)  # rings of 1 and 8 pixels, by hand


def test_the_scanned_area_is_the_box_around_the_centres() -> None:
    area = metrics.scanned_area(np.array([3.5, 9.0]), np.array([2.0, 7.9]))
    assert area == (slice(2, 8), slice(4, 10))
