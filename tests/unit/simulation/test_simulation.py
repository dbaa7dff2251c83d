"""Laws of simulated scans: one seed, one scan, and counts that follow Poisson."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.scans import read_scan
from smalti.scans.card import Card
from smalti.simulation import (
    card_fields,
    interior,
    patches_of,
    probe_of,
    simulate_near_field,
    simulate_scan,
    simulate_star,
    write_raw_npz,
)


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate_scan("small", positions_per_side=6, window=32)


def test_a_simulated_scan_has_the_canonical_shapes_and_types(scan: Scan) -> None:
    assert scan.diffraction.shape == (36, 32, 32)
    assert scan.diffraction.dtype == np.float32
    assert scan.xcoords.shape == scan.ycoords.shape == scan.scan_index.shape == (36,)
    assert scan.probe_guess is not None
    assert scan.probe_guess.shape == (1, 32, 32)
    assert scan.object_guess is not None
    assert scan.object_guess.shape[0] == scan.object_guess.shape[1]
    assert scan.object_guess.dtype == scan.probe_guess.dtype == np.complex64


def test_amplitudes_are_roots_of_whole_counts(scan: Scan) -> None:
    counts = scan.diffraction.astype(np.float64) ** 2
    assert np.abs(counts - np.rint(counts)).max() < 1e-2
    assert counts.max() > 100


def test_the_undiffracted_beam_is_at_the_centre(scan: Scan) -> None:
    mean = (scan.diffraction**2).mean(axis=0)
    assert mean[8:24, 8:24].sum() > 0.9 * mean.sum()


def test_the_object_lets_through_no_more_photons_than_the_probe_holds(scan: Scan) -> None:
    per_pattern = (scan.diffraction.astype(np.float64) ** 2).sum(axis=(1, 2))
    assert (per_pattern > 0.55**2 * 0.99e6).all()
    assert (per_pattern < 1.01e6).all()


@pytest.mark.parametrize("window", [32, 33])
def test_the_probe_is_centred_on_its_array(window: int) -> None:
    intensity = np.abs(probe_of(window)) ** 2
    axis = np.arange(window) - (window - 1) / 2
    assert abs((intensity.sum(axis=0) * axis).sum() / intensity.sum()) < 1e-3
    assert abs((intensity.sum(axis=1) * axis).sum() / intensity.sum()) < 1e-3


def test_every_probe_lies_inside_the_object_at_fractions_of_a_pixel(scan: Scan) -> None:
    assert scan.object_guess is not None
    for coords in (scan.xcoords, scan.ycoords):
        assert coords.min() >= 31 / 2
        assert coords.max() <= scan.object_guess.shape[0] - 1 - 31 / 2
        assert not np.equal(coords % 1, coords[0] % 1).all()


def test_physical_values_agree_with_each_other(scan: Scan) -> None:
    known = scan.metadata
    assert known.photon_energy_eV is not None
    assert known.detector_distance_m is not None
    assert known.detector_pixel_size_m is not None
    assert known.object_pixel_size_m is not None
    wavelength_m = 6.62607015e-34 * 299792458 / (known.photon_energy_eV.value * 1.602176634e-19)
    expected = wavelength_m * known.detector_distance_m.value / (32 * known.detector_pixel_size_m.value)
    assert known.object_pixel_size_m.value == pytest.approx(expected, rel=1e-6)
    assert known.object_role == "truth"
    assert known.assumptions() == ()


def test_a_seed_gives_the_same_scan_and_another_seed_another() -> None:
    first, again, other = (simulate_scan("s", positions_per_side=2, window=16, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.diffraction, again.diffraction)
    assert np.array_equal(first.xcoords, again.xcoords)
    assert not np.array_equal(first.xcoords, other.xcoords)


def test_numbers_that_give_no_scan_are_refused() -> None:
    with pytest.raises(Refused, match="0 positions per side, a window of 64 pixels"):
        simulate_scan("none", positions_per_side=0)


def test_equal_scans_leave_equal_raw_files_with_the_raw_keys(scan: Scan, tmp_path) -> None:
    write_raw_npz(scan, tmp_path / "a.npz")
    write_raw_npz(scan, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as raw:
        assert set(raw) == {"diffraction", "probeGuess", "objectGuess", "xcoords", "ycoords", "scan_index"}
        assert np.array_equal(raw["diffraction"], scan.diffraction)
        assert raw["probeGuess"].shape == (32, 32)


def test_a_raw_file_that_cannot_be_written_leaves_nothing_behind(scan: Scan, tmp_path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_raw_npz(scan, tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_the_card_is_a_valid_card_and_says_that_the_object_is_the_truth(scan: Scan) -> None:
    card = Card.model_validate(card_fields(scan))
    assert card.licence == "CC0-1.0"
    assert card.reading.object is not None
    assert card.reading.object.role == "truth"
    assert card.physics.detector_distance_m == scan.metadata.detector_distance_m


def test_a_near_field_scan_with_bad_pixels_and_patches_comes_back_from_its_raw_file(tmp_path) -> None:
    near = simulate_near_field("near", positions_per_side=4, window=32)
    bad = np.zeros((32, 32), dtype=bool)
    bad[3, 5] = True
    scan = replace(near, diffraction=np.where(bad, 0, near.diffraction), bad_pixels=bad, patches=patches_of(near))
    write_raw_npz(scan, tmp_path / "near.npz")
    back = read_scan(tmp_path / "near.npz", Card.model_validate(card_fields(scan)))
    assert not back.metadata.far_field
    assert back.metadata.object_pixel_size_m == near.metadata.object_pixel_size_m
    for name in ("diffraction", "bad_pixels", "patches", "probe_guess", "xcoords"):
        np.testing.assert_array_equal(getattr(back, name), getattr(scan, name))


def test_a_star_of_the_benchmark_has_its_figures() -> None:
    star = simulate_star("star")
    rows, cols = interior()
    assert star.diffraction.shape == (529, 64, 64)
    assert (rows.stop - rows.start, cols.stop - cols.start) == (126, 126)
    assert rows.start <= star.ycoords.max() - 126
    inside = star.object_guess[rows, cols]
    assert 0.8 < np.ptp(np.angle(inside)) <= 0.9
    assert (np.abs(inside) > 0.5499).all()
    assert (np.abs(inside) < 1.0001).all()


def test_whole_pixels_leave_nothing_to_shift() -> None:
    star = simulate_star("star", positions_per_side=4, window=32, whole_pixels=True)
    assert np.array_equal(star.xcoords % 1, np.full(16, 0.5))


@pytest.mark.parametrize("simulate", [simulate_star, simulate_near_field])
def test_a_scan_is_explained_by_its_own_object_and_probe(simulate) -> None:
    few, many = (simulate("s", positions_per_side=3, window=32, photons_per_pattern=n) for n in (1e4, 1e8))
    assert _r_factor(few) > 3 * _r_factor(many)
    assert _r_factor(many) < 0.02
    wrong = replace(many, probe_guess=probe_of(32, defocus=2)[None] * 1e4)
    assert _r_factor(wrong) > 3 * _r_factor(many)


def _r_factor(scan: Scan) -> float:
    """Say how far the patterns are from what the guesses predict, by a forward model of its own."""
    difference, known = 0.0, scan.metadata
    for amplitude, x, y, patch in zip(scan.diffraction, scan.xcoords, scan.ycoords, patches_of(scan), strict=True):
        h, w = amplitude.shape
        top, left = y - (h - 1) / 2, x - (w - 1) / 2
        fy, fx = np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)
        ramp = np.exp(-2j * np.pi * (fy * (top - round(top)) + fx * (left - round(left))))
        wave = np.fft.ifft2(np.fft.fft2(scan.probe_guess[0]) * ramp) * patch
        if known.far_field:
            found = np.fft.fftshift(np.fft.fft2(wave)) / np.sqrt(h * w)
        else:  # Fresnel: the paraxial limit of the angular spectrum
            wavelength_m = 1.23984198e-6 / known.photon_energy_eV.value
            paraxial = np.pi * wavelength_m * known.detector_distance_m.value * (fx**2 + fy**2)
            found = np.fft.ifft2(np.fft.fft2(wave) * np.exp(-1j * paraxial / known.object_pixel_size_m.value**2))
        difference += np.abs(np.abs(found) - amplitude).sum()
    return difference / scan.diffraction.sum()


def test_patches_are_the_object_under_each_window() -> None:
    star = simulate_star("star", positions_per_side=3, window=16, whole_pixels=True)
    patches = patches_of(star)
    assert patches.shape == (9, 16, 16)
    row, col = round(star.ycoords[5] - 7.5), round(star.xcoords[5] - 7.5)
    assert np.array_equal(patches[5], star.object_guess[row : row + 16, col : col + 16])


def test_only_a_known_object_has_patches() -> None:
    star = simulate_star("blind", positions_per_side=3, window=16)
    with pytest.raises(Refused, match="the scan blind does not contain its true object"):
        patches_of(replace(star, object_guess=None))


def test_a_probe_out_of_focus_is_wider_and_holds_as_much_light() -> None:
    sharp, blurred = (np.abs(probe_of(64, defocus=d)) ** 2 for d in (1.0, 1.4))
    assert sharp.sum() == pytest.approx(1, rel=1e-5)
    assert blurred.sum() == pytest.approx(1, rel=1e-5)
    axis = np.arange(64) - 63 / 2
    assert (blurred.sum(axis=0) * axis**2).sum() > 1.5 * (sharp.sum(axis=0) * axis**2).sum()
