"""Laws of the probe search: it finds defocus and astigmatism of either sign, and takes a guess only if it is best."""

import math
from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import Refused
from smalti.ptycho.optics.aperture import Aberrations, aperture_of, to_probe, to_pupil
from smalti.ptycho.optics.probe import initial_probe, mean_intensity
from smalti.ptycho.solve.search import CROP_RADII, TRIAL_PATTERNS, find_probe
from smalti.ptycho.solve.solver import SolverSettings, solve
from smalti.simulation import probe_of, simulate_near_field, simulate_star


@pytest.fixture(scope="module")
def scan():
    return simulate_star("search", positions_per_side=9, window=32)


def likeness(probe, truth) -> float:
    return float(abs(np.vdot(probe, truth)) / np.linalg.norm(probe) / np.linalg.norm(truth))


def unlike(truth):
    """A trial that knows the true probe, through as small a detector as it is shown."""

    def trial(some) -> float:
        probe = some.probe_guess[0]
        top = truth.shape[0] // 2 - probe.shape[0] // 2
        seen = to_probe(to_pupil(truth)[top : top + probe.shape[0], top : top + probe.shape[1]])
        return 1 - likeness(probe, seen)

    return trial


def short_solve(scan) -> float:
    return float(solve(scan, SolverSettings(epochs=5, batch=12)).loss[-1])


@pytest.mark.parametrize(
    "aberrations", [Aberrations(), Aberrations(5.0), Aberrations(-3.3), Aberrations(2.1, -1.4), Aberrations(-5.0, 0, 2)]
)
def test_defocus_and_astigmatism_are_found(scan, aberrations) -> None:
    truth = aperture_of(mean_intensity(scan)).probe(aberrations)[0]
    found = find_probe(replace(scan, probe_guess=None), unlike(truth))
    assert (found.shape, found.dtype) == ((1, 32, 32), np.complex64)
    assert likeness(found, truth) > 0.99
    assert (np.abs(found) ** 2).sum() == pytest.approx(mean_intensity(scan).sum(), rel=1e-5)


def test_an_unknown_probe_is_found_by_the_solver(scan) -> None:
    unknown = replace(scan, probe_guess=None)
    told = []
    found = find_probe(unknown, short_solve, told.append)
    assert likeness(found, scan.probe_guess) > 0.95
    assert likeness(initial_probe(unknown), scan.probe_guess) < 0.5
    assert [entry["trial"] for entry in told] == list(range(1, told[0]["trials"] + 1))
    assert {"stage", "initial_probe", "loss", *Aberrations._fields} <= set(told[0])
    assert find_probe(unknown, short_solve).tobytes() == found.tobytes()


@pytest.mark.parametrize("defocus", [1.0, 1.4, 0.6])
def test_a_guess_near_the_truth_is_taken_and_corrected(scan, defocus) -> None:
    guess = replace(scan, probe_guess=probe_of(32, defocus=defocus)[None])
    found = find_probe(guess, unlike(scan.probe_guess[0]))
    assert likeness(found, scan.probe_guess) > 0.998
    assert likeness(found, scan.probe_guess) >= likeness(guess.probe_guess, scan.probe_guess) - 1e-6


def test_a_guess_of_the_wrong_sign_is_not_taken(scan) -> None:
    wrong = replace(scan, probe_guess=scan.probe_guess.conj())
    found = find_probe(wrong, unlike(scan.probe_guess[0]))
    assert likeness(wrong.probe_guess, scan.probe_guess) < 0.3
    assert likeness(found, scan.probe_guess) > 0.95


def test_all_modes_of_a_guess_are_kept(scan) -> None:
    modes = np.concatenate([scan.probe_guess, np.roll(scan.probe_guess, 3, axis=1) * 0.5])
    found = find_probe(replace(scan, probe_guess=modes), unlike(scan.probe_guess[0]))
    assert found.shape == (2, 32, 32)
    assert likeness(found, modes) > 0.999


def test_a_trial_sees_few_patterns_where_the_object_is_and_nothing_of_the_truth(scan) -> None:
    seen = []

    def trial(some) -> float:
        seen.append(some)
        return 0.0

    empty = scan.diffraction[:1]
    blank = np.where((scan.xcoords < np.quantile(scan.xcoords, 0.6))[:, None, None], empty, scan.diffraction)
    find_probe(replace(scan, diffraction=blank, probe_guess=None), trial)
    some = seen[0]
    side = math.ceil(CROP_RADII * aperture_of(mean_intensity(scan)).radius_pixels / 8) * 8
    assert some.diffraction.shape == (TRIAL_PATTERNS, side, side)
    assert side < 32
    assert some.object_guess is None
    assert some.xcoords.mean() / side > np.quantile(scan.xcoords, 0.6) / 32
    assert np.ptp(some.xcoords) * 32 / side < 0.8 * np.ptp(scan.xcoords)


def test_a_smaller_detector_sees_the_same_probe_and_object(scan) -> None:
    known = []

    def trial(some) -> float:
        if np.allclose(likeness(some.probe_guess, known_guess(some)), 1, atol=1e-6):
            known.append(solve(some, SolverSettings(epochs=20, batch=12)).metrics["r_factor"])
        return 1.0

    def known_guess(some):
        top = 16 - some.probe_guess.shape[1] // 2
        return to_probe(to_pupil(scan.probe_guess)[:, top:-top, top:-top])

    find_probe(scan, trial)
    assert len(known) == 1
    assert known[0] < 0.06


class SlicesOnly:
    """What a scan larger than memory iterations like."""

    def __init__(self, patterns) -> None:
        self._patterns, self.shape = patterns, patterns.shape

    def __getitem__(self, some):
        assert isinstance(some, slice)
        return self._patterns[some]


def test_patterns_that_are_read_in_slices_give_the_same_probe(scan) -> None:
    streamed = replace(scan, diffraction=SlicesOnly(scan.diffraction))
    trial = unlike(scan.probe_guess[0])
    assert find_probe(streamed, trial).tobytes() == find_probe(scan, trial).tobytes()


def test_in_the_near_field_the_curvature_of_the_beam_is_found() -> None:
    scan = simulate_near_field("near", positions_per_side=6, window=32)
    truth = aperture_of(mean_intensity(scan), far_field=False).probe(Aberrations(4.0, 1.0))[0]

    def trial(some) -> float:
        assert some.diffraction.shape == scan.diffraction.shape
        return 1 - likeness(some.probe_guess, truth)

    assert likeness(find_probe(replace(scan, probe_guess=None), trial), truth) > 0.95


@pytest.mark.parametrize("below", [0.3, 0.7])
def test_bad_pixels_do_not_choose_the_neighbourhood(scan, below) -> None:
    bad = np.zeros((32, 32), dtype=bool)
    bad[16, 20] = True
    flicker = scan.diffraction.copy()
    some = np.abs(scan.xcoords / np.ptp(scan.xcoords) - below) < 0.2
    flicker[some, 16, 20] = np.random.default_rng(0).uniform(0, 1e4, some.sum())
    seen = []

    def trial(some) -> float:
        seen.append((some.xcoords.mean(), some.ycoords.mean()))
        return 0.0

    find_probe(replace(scan, probe_guess=None, bad_pixels=bad), trial)
    find_probe(replace(scan, probe_guess=None, bad_pixels=bad, diffraction=flicker), trial)
    assert seen[-1] == seen[0]


def test_a_scan_without_light_is_refused(scan) -> None:
    with pytest.raises(Refused, match="every pixel of the scan search is 0"):
        find_probe(replace(scan, diffraction=np.zeros_like(scan.diffraction)), unlike(scan.probe_guess[0]))
