"""Laws of the metrics: they do not depend on what registration removes, and known cases give their closed forms."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from smalti import open_store
from smalti.errors import Refused
from smalti.ptycho.evaluate import metrics
from smalti.ptycho.evaluate.registration import remove_phase_ramp
from smalti.ptycho.optics.near_field import NearField
from smalti.simulation import simulate_near_field, simulate_scan

AREA = (slice(20, 100), slice(20, 100))
UNIT = st.floats(-1, 1)


@pytest.fixture(scope="module")
def truth():
    return simulate_scan("object", positions_per_side=10, window=64).object_guess[:120, :120]


@pytest.fixture(scope="module")
def scan():
    return simulate_scan("patterns", positions_per_side=6, window=32)


def transformed(image, down=0.0, right=0.0, slope_y=0.0, slope_x=0.0, scale=1.0):
    """The same object up to the ambiguities of ptychography: shifted, on a phase ramp, scaled."""
    frequency = np.fft.fftfreq(image.shape[0])
    ramp = np.exp(-2j * np.pi * np.add.outer(down * frequency, right * frequency))
    y, x = np.indices(image.shape)
    return np.fft.ifft2(np.fft.fft2(image) * ramp) * np.exp(1j * (slope_y * y + slope_x * x)) * scale


AMBIGUITIES = {
    "phase": lambda image, size: transformed(image, scale=np.exp(3j * size)),
    "scale": lambda image, size: transformed(image, scale=10**size),
    "ramp": lambda image, size: transformed(image, slope_y=0.3 * size, slope_x=-0.2 * size),
    "shift": lambda image, size: transformed(image, down=2 * size, right=1.3 * size),
}


def r_factor_of(scan, near_field=None):
    seen = scan.diffraction, scan.object_guess, scan.probe_guess, scan.xcoords, scan.ycoords
    return metrics.r_factor(*seen, bad_pixels=scan.bad_pixels, near_field=near_field)


def slow_r_factor(scan, good):
    """One pattern after another, by matrices of the Fourier transform and of the shift."""
    side = scan.diffraction.shape[-1]
    index = np.arange(side)
    fourier = np.exp(-2j * np.pi * np.outer(index - side // 2, index) / side) / math.sqrt(side)
    tops, lefts = scan.ycoords - (side - 1) / 2, scan.xcoords - (side - 1) / 2
    difference = total = 0.0
    for measured, top, left in zip(scan.diffraction, tops, lefts, strict=True):
        row, col = round(top), round(left)
        down, right = (
            fourier.conj().T @ np.diag(np.exp(-2j * np.pi * (index - side // 2) * part / side)) @ fourier
            for part in (top - row, left - col)
        )
        patch = scan.object_guess[row : row + side, col : col + side]
        waves = (fourier @ (patch * (down @ mode @ right.T)) @ fourier.T for mode in scan.probe_guess)
        modelled = np.sqrt(sum(np.abs(wave) ** 2 for wave in waves))
        difference += np.abs(modelled - measured)[good].sum()
        total += measured[good].sum()
    return difference / total


def test_r_factor_is_what_a_loop_with_matrices_finds(scan) -> None:
    first = scan.probe_guess[0]
    for modes in ([first], [first, 0.4 * np.roll(first, 3, axis=1)]):
        mixed = replace(scan, probe_guess=np.stack(modes))
        assert r_factor_of(mixed) == pytest.approx(slow_r_factor(mixed, np.ones((32, 32), bool)), rel=1e-5)


def test_bad_pixels_do_not_count_whatever_they_hold(scan) -> None:
    bad = np.zeros((32, 32), bool)
    bad[3:9, 16], bad[16, 16] = True, True
    broken = np.where(bad, 1e6, scan.diffraction).astype(np.float32)
    broken[:, 16, 16] = np.nan
    masked = replace(scan, diffraction=broken, bad_pixels=bad)
    assert r_factor_of(masked) == pytest.approx(slow_r_factor(scan, ~bad), rel=1e-5)
    assert math.isnan(r_factor_of(replace(masked, bad_pixels=None)))


def test_patterns_are_read_a_block_at_a_time(scan) -> None:
    read = []

    class Patterns:
        def __getitem__(self, some):
            read.append(some)
            return np.tile(scan.diffraction, (40, 1, 1))[some]

    many = replace(scan, diffraction=Patterns(), xcoords=np.tile(scan.xcoords, 40), ycoords=np.tile(scan.ycoords, 40))
    assert r_factor_of(many) == pytest.approx(r_factor_of(scan), rel=1e-6)
    assert len(read) == 2
    assert max(some.stop - some.start for some in read) * 32 * 32 <= metrics.BLOCK_PIXELS


def test_stored_patterns_have_the_r_factor_of_those_in_memory(scan) -> None:
    store = open_store("memory:")
    lazy = store.open(store.put(scan.diffraction))
    assert r_factor_of(replace(scan, diffraction=lazy)) == r_factor_of(scan)


def test_r_factor_of_an_empty_beam_is_exact() -> None:
    probe = np.zeros((1, 8, 8), np.complex64)
    probe[0, 4, 4] = 8  # a point: amplitude 8 / sqrt(64) = 1 on every pixel
    object = np.ones((12, 12), np.complex64)
    coords = np.array([3.5, 5.5])
    measured = np.full((2, 8, 8), 1.25, np.float32)
    assert metrics.r_factor(measured, object, probe, coords, coords) == pytest.approx(0.2)
    assert metrics.r_factor(measured / 1.25, object, probe, coords, coords) == pytest.approx(0, abs=1e-6)


def test_r_factor_of_the_truth_is_the_photon_noise() -> None:
    for photons, bound in ((1e4, 0.6), (1e8, 0.02)):
        scan = simulate_scan("noise", positions_per_side=3, window=32, photons_per_pattern=photons)
        assert bound / 10 < r_factor_of(scan) < bound


def test_r_factor_of_a_near_field_truth_is_the_photon_noise() -> None:
    near = simulate_near_field("near", positions_per_side=3, photons_per_pattern=1e8)
    space = NearField.of(near)
    assert r_factor_of(near, space) < 0.02
    assert r_factor_of(near, replace(space, distance_m=-space.distance_m)) > 0.05
    assert r_factor_of(near) > 0.5


@pytest.mark.parametrize(("part", "moved"), [(1, 0), (0.5, 16)])
def test_a_grating_images_itself_at_the_distance_of_talbot(part, moved) -> None:
    """At 2 p**2 / wavelength a grating of period p is back; halfway there it is moved by p / 2 (Rayleigh, 1881)."""
    pixel_m, wavelength_m = 1e-7, 1e-10
    space = NearField(wavelength_m, part * 2 * (32 * pixel_m) ** 2 / wavelength_m, pixel_m)
    grating = np.tile(1 + 0.5 * np.cos(2 * np.pi * np.arange(64) / 32), (64, 1))
    middle, flat = np.array([31.5]), np.ones((1, 64, 64))
    for roll, expected in ((moved, 0.0), (moved + 16, 2 / np.pi)):
        shown = np.roll(grating, roll, axis=1)[None]
        found = metrics.r_factor(shown, grating.astype(complex), flat, middle, middle, near_field=space)
        assert found == pytest.approx(expected, abs=5e-3)


def test_free_space_neither_takes_light_nor_turns_the_straight_beam() -> None:
    transfer = metrics.angular_spectrum(NearField(wavelength_m=1e-10, distance_m=1, pixel_size_m=1e-8), (16, 24))
    assert transfer.shape == (16, 24)
    assert transfer[0, 0] == 1
    assert np.abs(transfer) == pytest.approx(1)


def test_evanescent_waves_do_not_arrive() -> None:
    pixel_m, wavelength_m = 1e-7, 4e-7
    transfer = metrics.angular_spectrum(NearField(wavelength_m, 1, pixel_m), (16, 16))
    sine = np.hypot(np.fft.fftfreq(16)[:, None], np.fft.fftfreq(16)) * wavelength_m / pixel_m
    assert np.array_equal(transfer != 0, sine < 1)


@pytest.mark.parametrize("step", [-40, 400])
def test_a_window_that_leaves_the_object_is_refused(scan, step) -> None:
    with pytest.raises(Refused, match="windows of 32 x 32 pixels leave the object"):
        r_factor_of(replace(scan, xcoords=scan.xcoords + step))


def test_patterns_without_light_have_no_r_factor(scan) -> None:
    with pytest.raises(Refused, match="every good pixel of the patterns is 0"):
        r_factor_of(replace(scan, diffraction=0 * scan.diffraction))


@pytest.mark.parametrize("ambiguity", AMBIGUITIES)
@settings(max_examples=8, deadline=None)
@given(size=UNIT)
def test_no_metric_depends_on_an_ambiguity_of_the_object(truth, ambiguity, size) -> None:
    """With noise, so that the estimate is not the truth itself."""
    frequency = np.hypot(np.fft.fftfreq(120)[:, None], np.fft.fftfreq(120))
    noise = np.fft.ifft2(np.fft.fft2(np.random.default_rng(3).normal(size=(120, 120))) * (frequency < 0.4))
    estimate = truth + 0.05 * noise
    expected, found = (
        metrics.compare(image, truth, AREA) for image in (estimate, AMBIGUITIES[ambiguity](estimate, size))
    )
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.05 if name.endswith("dB") else 2e-3)


@settings(max_examples=10, deadline=None)
@given(UNIT, UNIT, UNIT, UNIT, UNIT, UNIT)
def test_registration_undoes_shift_ramp_and_scale(truth, down, right, slope_y, slope_x, size, angle) -> None:
    scale = 10**size * np.exp(3j * angle)
    moved = transformed(truth, 2 * down, 2 * right, 0.3 * slope_y, 0.3 * slope_x, scale)
    figures = metrics.compare(moved, truth, AREA)
    assert figures["phase_psnr_dB"] > 50
    assert figures["phase_ssim"] > 0.999
    assert figures["amplitude_psnr_dB"] > 50


def test_registration_does_not_make_another_object_alike(truth) -> None:
    assert metrics.compare(np.ones_like(truth), truth, AREA)["phase_ssim"] < 0.5
    assert metrics.compare(truth.conj(), truth, AREA)["phase_psnr_dB"] < 20


def test_an_object_loses_the_ramp_it_has_in_the_area(truth) -> None:
    tilted = transformed(truth, slope_y=0.2, slope_x=-0.1, scale=np.exp(2j))
    spoilt = np.where(np.indices(truth.shape)[0] < 15, np.exp(1j), tilted)
    level = remove_phase_ramp(spoilt, AREA)[AREA]
    assert np.angle(level.mean()) == pytest.approx(0, abs=1e-6)
    assert level == pytest.approx(remove_phase_ramp(truth, AREA)[AREA], abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.floats(0.01, 1))
def test_psnr_of_known_noise_is_the_closed_form(seed, sigma) -> None:
    reference, noise = np.random.default_rng(seed).normal(size=(2, 100, 100))
    noise *= sigma / np.sqrt(np.mean(noise**2))
    peak = np.ptp(reference)
    found = metrics.psnr(reference + noise, reference)
    assert found == pytest.approx(20 * math.log10(peak / sigma))
    assert found == pytest.approx(peak_signal_noise_ratio(reference, reference + noise, data_range=peak))


def test_psnr_of_equal_images_is_without_end() -> None:
    assert metrics.psnr(np.eye(3), np.eye(3)) == math.inf


def slow_ssim(first, second):
    """Window by window, as the paper defines it, with the range of the second image."""
    offset = np.arange(-5, 6)
    weight = np.exp(-np.add.outer(offset**2, offset**2) / (2 * 1.5**2))
    weight /= weight.sum()
    c1, c2 = (0.01 * np.ptp(second)) ** 2, (0.03 * np.ptp(second)) ** 2
    found = []
    for y in range(5, first.shape[0] - 5):
        for x in range(5, first.shape[1] - 5):
            a, b = (image[y - 5 : y + 6, x - 5 : x + 6] for image in (first, second))
            mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
            covariance = (weight * (a - mean_a) * (b - mean_b)).sum()
            variances = (weight * (a - mean_a) ** 2).sum() + (weight * (b - mean_b) ** 2).sum()
            luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
            found.append(luminance * (2 * covariance + c2) / (variances + c2))
    return np.mean(found)


def test_ssim_is_what_a_loop_over_windows_finds(truth) -> None:
    phase = np.angle(truth)[:40, :50]
    noisy = phase + np.random.default_rng(0).normal(0, 0.2, phase.shape)
    assert metrics.ssim(noisy, phase) == pytest.approx(slow_ssim(noisy, phase), abs=1e-6)
    assert metrics.ssim(noisy, phase) < 0.8
    assert metrics.ssim(phase, phase) == pytest.approx(1)


def test_a_constant_truth_gets_no_figure_without_meaning() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.5, 1, (40, 40)).astype(np.complex64)
    assert "phase_psnr_dB" not in metrics.compare(truth * 1.5, truth, (slice(5, 35), slice(5, 35)))
    pure_phase = np.exp(1j * rng.uniform(-1, 1, (40, 40))).astype(np.complex64)  # its magnitude is 1 up to rounding
    assert metrics.compare(pure_phase, pure_phase, (slice(5, 35), slice(5, 35))).keys() == {
        "phase_psnr_dB",
        "phase_ssim",
    }


def test_an_area_too_small_to_compare_gets_no_figures(truth) -> None:
    assert metrics.compare(truth, truth, (slice(20, 30), slice(20, 100))) == {}


def test_the_scanned_area_is_the_box_around_the_centres() -> None:
    area = metrics.scanned_area(np.array([3.5, 9.0]), np.array([2.0, 7.9]))
    assert area == (slice(2, 8), slice(4, 10))
