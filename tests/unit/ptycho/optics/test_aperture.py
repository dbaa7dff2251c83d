"""Laws of the aperture: it finds its size and place in the mean pattern, and makes the probe that its phases say."""

import math

import numpy as np
import pytest

from smalti.ptycho.optics.aperture import Aberrations, aperture_of, to_probe, to_pupil
from smalti.ptycho.optics.probe import mean_intensity
from smalti.simulation import PUPIL_RADIUS, probe_of, simulate_star

PROBE_RADIUS = 0.2  # of the window
DEFOCUS_rad = math.pi * PUPIL_RADIUS * PROBE_RADIUS * 64  # at PUPIL_RADIUS


def disc(shape=(64, 64), radius=12.0, centre=(32, 32), stop=0.0):
    y, x = np.indices(shape)
    r = np.hypot(y - centre[0], x - centre[1])
    return ((r <= radius) & (r >= stop)).astype(float)


def spread(probe, axis: int) -> float:
    """Root mean square distance from the array's centre along one axis."""
    intensity = (np.abs(probe[0].astype(complex)) ** 2).sum(axis=1 - axis)
    at = np.arange(intensity.size) - (intensity.size - 1) / 2
    return math.sqrt((at**2 * intensity).sum() / intensity.sum())


@pytest.mark.parametrize("centre", [(32, 32), (29, 36)])
@pytest.mark.parametrize("radius", [6.0, 12.0, 20.0])
def test_a_disc_has_its_radius_and_centre(radius, centre) -> None:
    aperture = aperture_of(disc(radius=radius, centre=centre))
    assert aperture.radius_pixels == pytest.approx(radius, rel=0.05)
    assert aperture.down[centre[0], 0] == pytest.approx(0, abs=1e-9)
    assert aperture.right[0, centre[1]] == pytest.approx(0, abs=1e-9)
    assert aperture.down[centre[0] + int(radius), 0] == pytest.approx(1, rel=0.05)


def test_a_weak_halo_hardly_changes_the_radius() -> None:
    halo = disc() + 2e-3
    assert aperture_of(halo).radius_pixels == pytest.approx(12, rel=0.05)


@pytest.mark.parametrize("shape", [(64, 64), (63, 63), (48, 64), (33, 32)])
def test_a_probe_in_focus_is_symmetric_about_the_centre_of_its_array(shape) -> None:
    y, x = (np.arange(n) - n // 2 for n in shape)
    probe = aperture_of(np.exp(-(y[:, None] ** 2 + x**2) / 18.0)).probe(Aberrations())
    assert (probe.shape, probe.dtype) == ((1, *shape), np.complex64)
    intensity = np.abs(probe[0]) ** 2
    assert np.allclose(intensity, intensity[::-1, ::-1], atol=1e-4 * intensity.max())


@pytest.mark.parametrize("shape", [(64, 64), (33, 48)])
def test_pupil_and_probe_are_two_ways_to_write_the_same(shape) -> None:
    rng = np.random.default_rng(0)
    probe = rng.normal(size=(2, *shape)) + 1j * rng.normal(size=(2, *shape))
    assert np.allclose(to_probe(to_pupil(probe)), probe)
    assert np.linalg.norm(to_pupil(probe)) == pytest.approx(np.linalg.norm(probe))


def defocused(times: float):
    return probe_of(64, radius=PROBE_RADIUS, defocus=times)


def edge(aperture) -> float:
    """Phase at its edge of the defocus that simulated probes have."""
    return DEFOCUS_rad * (aperture.radius_pixels / (PUPIL_RADIUS * 64)) ** 2


@pytest.mark.parametrize("times", [1, -1, 0.3])
def test_the_defocused_probe_is_the_simulated_one(times) -> None:
    aperture = aperture_of(np.abs(to_pupil(defocused(times))) ** 2)
    probe = aperture.probe(Aberrations(times * edge(aperture)))[0]
    overlap = np.vdot(probe, defocused(times)) / np.linalg.norm(probe) / np.linalg.norm(defocused(times))
    assert abs(overlap) > 0.999


def test_defocus_is_added_to_a_guess_as_a_phase_of_its_pupil() -> None:
    aperture = aperture_of(np.abs(to_pupil(defocused(1))) ** 2)
    more = aperture.aberrated(defocused(1)[None], Aberrations(0.4 * edge(aperture)))[0]
    assert np.allclose(more, defocused(1.4), atol=1e-3 * np.abs(more).max())


def test_the_largest_defocus_fills_the_window_and_no_more() -> None:
    aperture = aperture_of(disc(radius=10))
    probe = aperture.probe(Aberrations(aperture.largest_defocus_rad))
    assert spread(probe, 0) == pytest.approx(0.4 * 64 / 2, rel=0.05)  # a disc's spread is half its radius
    assert spread(probe, 1) == pytest.approx(spread(probe, 0), rel=0.01)


def test_astigmatism_widens_one_axis_and_narrows_the_other() -> None:
    aperture = aperture_of(disc(radius=10))
    probe = aperture.probe(Aberrations(5.0, 2.0))
    assert spread(probe, 0) > 1.4 * spread(probe, 1)
    assert Aberrations(5.0).changed("astigmatism_rad", 2.0).changed("defocus_rad", -1.0) == Aberrations(4.0, 2.0)


@pytest.mark.parametrize(
    ("aberrations", "down", "right", "both"),
    [(Aberrations(1.0), 1, 1, 0), (Aberrations(0, 1.0), 1, -1, 0), (Aberrations(0, 0, 1.0), 0, 0, 1)],
)
def test_each_aberration_is_its_phase_at_the_edge(aberrations, down, right, both) -> None:
    aperture = aperture_of(disc(radius=12))
    pupil = to_pupil(aperture.probe(aberrations)[0])
    squared = (10 / aperture.radius_pixels) ** 2
    assert np.angle(pupil[42, 32]) == pytest.approx(down * squared, abs=1e-4)
    assert np.angle(pupil[32, 42]) == pytest.approx(right * squared, abs=1e-4)
    assert np.angle(pupil[38, 40]) == pytest.approx((0.36 * down + 0.64 * right + 0.96 * both) * squared, abs=1e-4)


def test_a_central_stop_stays_dark() -> None:
    aperture = aperture_of(disc(stop=5))
    assert aperture.amplitude[32, 32] == 0
    assert aperture.radius_pixels > 12


def test_in_the_near_field_the_beam_is_where_the_detector_sees_it() -> None:
    mean = disc() + 1e-6
    probe = aperture_of(mean, far_field=False).probe(Aberrations(2.0))
    assert np.allclose(np.abs(probe[0]), np.sqrt(mean), rtol=1e-5)
    assert np.angle(probe[0, 32, 44] / probe[0, 32, 32]) == pytest.approx(
        2.0 * (12 / aperture_of(mean, far_field=False).radius_pixels) ** 2, rel=1e-3
    )


def test_the_mean_of_many_patterns_shows_the_pupil() -> None:
    scan = simulate_star("mean", positions_per_side=8, window=32)
    aperture = aperture_of(mean_intensity(scan))
    pupil = np.abs(to_pupil(scan.probe_guess[0]))
    overlap = (aperture.amplitude * pupil).sum() / np.linalg.norm(aperture.amplitude) / np.linalg.norm(pupil)
    assert overlap > 0.98
