"""Laws of the first probe: it carries the mean photon count and lies inside its pupil."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import Refused
from smalti.ptycho.optics.probe import initial_probe, mean_intensity, pupil_support
from smalti.simulation import simulate_near_field, simulate_scan


@pytest.fixture(scope="module")
def scan():
    return simulate_scan("probe", positions_per_side=4, window=32)


def energy(probe) -> float:
    return float((np.abs(probe.astype(np.complex128)) ** 2).sum())


@pytest.mark.parametrize("factor", [1e-6, 1.0, 3e5j])
def test_a_guess_of_any_scale_is_scaled_to_the_mean_count(scan, factor) -> None:
    probe = initial_probe(replace(scan, probe_guess=(scan.probe_guess * factor).astype(np.complex64)))
    assert energy(probe) == pytest.approx(mean_intensity(scan).sum(), rel=1e-5)
    assert probe.dtype == np.complex64


def test_the_energy_is_shared_between_the_modes_as_in_the_guess(scan) -> None:
    modes = np.concatenate([scan.probe_guess, scan.probe_guess * 0.5])
    probe = initial_probe(replace(scan, probe_guess=modes))
    assert energy(probe[0]) == pytest.approx(4 * energy(probe[1]), rel=1e-5)
    assert energy(probe) == pytest.approx(mean_intensity(scan).sum(), rel=1e-5)


def test_without_a_guess_the_probe_is_in_focus_at_the_centre_of_its_array(scan) -> None:
    probe = initial_probe(replace(scan, probe_guess=None))
    assert probe.shape == (1, 32, 32)
    intensity = np.abs(probe[0]) ** 2
    assert intensity[15:17, 15:17].sum() > 0.1 * intensity.sum()
    assert np.allclose(intensity[15:17, 15:17], intensity[15, 15], rtol=0.2)
    assert energy(probe) == pytest.approx(mean_intensity(scan).sum(), rel=1e-5)


def test_the_support_holds_the_true_pupil_and_leaves_the_dark_out(scan) -> None:
    support = pupil_support(scan)
    pupil = np.abs(np.fft.fft2(scan.probe_guess[0])) ** 2
    assert pupil[support].sum() > 0.999 * pupil.sum()
    assert support[0, 0]
    assert support.mean() < 0.6


def test_a_scan_without_light_is_refused(scan) -> None:
    with pytest.raises(Refused, match="every pixel of the scan probe is 0"):
        initial_probe(replace(scan, diffraction=np.zeros_like(scan.diffraction)))


@pytest.mark.parametrize("pixel", [0, np.nan, np.inf])
def test_a_guess_without_light_is_refused(scan, pixel) -> None:
    with pytest.raises(Refused, match="probe guess of the scan probe has an energy of"):
        initial_probe(replace(scan, probe_guess=np.full_like(scan.probe_guess, pixel)))


def test_the_mean_is_that_of_all_patterns_and_reads_slices_only(scan) -> None:
    class Slices:
        shape = (150, 32, 32)

        def __getitem__(self, some):
            assert isinstance(some, slice)
            return np.resize(scan.diffraction, self.shape)[some]

    expected = (np.resize(scan.diffraction, Slices.shape).astype(np.float64) ** 2).mean(axis=0)
    assert np.allclose(mean_intensity(replace(scan, diffraction=Slices())), expected, rtol=1e-12)


def test_bad_pixels_get_what_is_beside_them(scan) -> None:
    bad = np.zeros((32, 32), dtype=bool)
    bad[16, 14] = bad[3:5, 7] = True
    broken = scan.diffraction.copy()
    broken[:, bad] = 1e6
    mean = mean_intensity(replace(scan, diffraction=broken, bad_pixels=bad))
    good = mean_intensity(scan)
    assert np.array_equal(mean[~bad], good[~bad])
    assert mean[16, 14] in (good[15, 14], good[17, 14], good[16, 13], good[16, 15])
    assert pupil_support(replace(scan, diffraction=broken, bad_pixels=bad)).sum() == pupil_support(scan).sum()
    with pytest.raises(Refused, match="every pixel of the scan probe is 0"):
        mean_intensity(replace(scan, bad_pixels=np.ones_like(bad)))


def test_a_known_mean_is_not_computed_again(scan) -> None:
    unreadable = replace(scan, diffraction=None)
    mean = mean_intensity(scan)
    assert initial_probe(unreadable, mean).tobytes() == initial_probe(scan).tobytes()
    assert np.array_equal(pupil_support(unreadable, mean), pupil_support(scan))


def test_in_the_near_field_any_pupil_is_allowed_and_the_mean_image_is_the_beam() -> None:
    scan = replace(simulate_near_field("near", positions_per_side=4, window=32), probe_guess=None)
    assert pupil_support(scan).all()
    assert np.allclose(np.abs(initial_probe(scan)[0]) ** 2, mean_intensity(scan), rtol=1e-5)
