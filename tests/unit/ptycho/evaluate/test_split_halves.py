"""Split halves are independent, and their correlation depends neither on ambiguities of the object nor on its frame."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import open_store
from smalti.codecs.reconstruction import Reconstruction
from smalti.compute import run_child
from smalti.errors import Refused
from smalti.ptycho.evaluate.frc import FrcResult, compute_frc
from smalti.ptycho.evaluate.split_halves import compare_reconstructions, split_half_frc, split_halves
from smalti.ptycho.solve.solver import SolverSettings, solve
from smalti.simulation import simulate_scan

UNIT = st.floats(-1, 1)


@pytest.fixture(scope="module")
def scan():
    return simulate_scan("halved", positions_per_side=9, window=32)


@pytest.fixture(scope="module")
def truth():
    return simulate_scan("object", positions_per_side=20, window=64).object_guess[:160, :140]


def noisy(truth, seed):
    """The object with noise of its own beyond 0.4 of Nyquist."""
    rows, cols = (np.fft.fftfreq(side) for side in truth.shape)
    hidden = np.hypot(rows[:, None], cols) > 0.2
    noise = np.random.default_rng(seed).normal(size=(2, *truth.shape))
    return truth + 0.2 * np.fft.ifft2(np.fft.fft2(noise[0] + 1j * noise[1]) * hidden)


def reconstruction(image, left=0, top=0, scanned=(30.0, 110.0)):
    """One whose array begins at (left, top) of the scan, and whose outermost positions are ``scanned`` there."""
    return Reconstruction(
        object=image.astype(np.complex64),
        probe=np.ones((1, 8, 8), np.complex64),
        xcoords=np.array(scanned) - left,
        ycoords=np.array(scanned) - top,
        origin_x=float(left),
        origin_y=float(top),
        loss=np.empty(0),
        metrics={},
        config={},
    )


def transformed(image, down, right, slope_y, slope_x, scale):
    y, x = np.indices(image.shape)
    waves = np.fft.fft2(image * np.exp(1j * (slope_y * y + slope_x * x)))
    frequencies = np.add.outer(down * np.fft.fftfreq(len(image)), right * np.fft.fftfreq(image.shape[1]))
    return scale * np.fft.ifft2(waves * np.exp(-2j * np.pi * frequencies))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=81, max_size=81))
def test_every_pattern_is_in_one_half_and_neighbours_in_time_are_apart(scan, numbers) -> None:
    """Numbers may repeat: then the order in the file decides."""
    given_scan = replace(
        scan, scan_index=np.array(numbers), object_guess=scan.object_guess, patches=scan.diffraction + 0j
    )
    even, odd = split_halves(given_scan)
    acquired = np.argsort(numbers, kind="stable")
    for half, first in ((even, 0), (odd, 1)):
        assert np.array_equal(half.diffraction, scan.diffraction[np.sort(acquired[first::2])])
        assert np.array_equal(half.xcoords, scan.xcoords[np.sort(acquired[first::2])])
        assert half.object_guess is None
        assert half.patches is None


def test_one_pattern_has_no_halves(scan) -> None:
    one = replace(scan, scan_index=scan.scan_index[:1])
    with pytest.raises(Refused, match="1 pattern; two halves take at least 2"):
        split_halves(one)


def test_the_halves_of_stored_patterns_are_read_a_slice_at_a_time(scan) -> None:
    store = open_store("memory:")
    for lazy, half in zip(
        split_halves(replace(scan, diffraction=store.open(store.put(scan.diffraction)))),
        split_halves(scan),
        strict=True,
    ):
        assert not isinstance(lazy.diffraction, np.ndarray)
        assert lazy.diffraction.shape == half.diffraction.shape
        assert len(lazy.diffraction) == len(half.diffraction)
        assert np.array_equal(lazy.diffraction[3:11], half.diffraction[3:11])
        assert np.array_equal(lazy.diffraction[:], half.diffraction)


def test_equal_reconstructions_correlate_everywhere(truth) -> None:
    found = compare_reconstructions(reconstruction(truth), reconstruction(truth))
    assert found.phase[1:] == pytest.approx(1, abs=1e-3)
    assert found.complex[1:] == pytest.approx(1, abs=1e-3)


@settings(max_examples=8, deadline=None)
@given(UNIT, UNIT, UNIT, UNIT, UNIT, UNIT)
def test_shift_ramp_and_scale_of_a_half_do_not_count(truth, down, right, slope_y, slope_x, size, angle) -> None:
    first, second = noisy(truth, 1), noisy(truth, 2)
    moved = transformed(second, 2 * down, 2 * right, 0.2 * slope_y, 0.2 * slope_x, 10**size * np.exp(3j * angle))
    expected, found = (
        compare_reconstructions(reconstruction(first), reconstruction(image)) for image in (second, moved)
    )
    shared = expected.frequency < 0.4  # beyond, the halves hold nothing but noise
    assert found.complex[shared] == pytest.approx(expected.complex[shared], abs=0.02)
    assert found.metrics()["frc_complex_half_bit"] == pytest.approx(0.4, abs=0.05)


@settings(max_examples=8, deadline=None)
@given(st.integers(-9, 9), st.integers(-9, 9))
def test_the_frame_of_a_half_does_not_count(truth, left, top) -> None:
    """The second was reconstructed on an array of its own, and it scanned a little less."""
    first, second = noisy(truth, 1), noisy(truth, 2)
    padded = np.pad(second, 10, mode="edge")[10 + top : 150 + top, 10 + left : 130 + left]
    found = compare_reconstructions(reconstruction(first), reconstruction(padded, left, top, scanned=(31.5, 109.0)))
    expected = compute_frc(first[32:110, 32:110], second[32:110, 32:110])
    assert len(found.frequency) == len(expected.frequency)
    assert found.complex == pytest.approx(expected.complex, abs=0.02)


def test_halves_that_hardly_meet_are_refused(truth) -> None:
    far = reconstruction(truth, scanned=(100.0, 130.0))
    with pytest.raises(Refused, match="have 11 x 11 scanned pixels in common"):
        compare_reconstructions(reconstruction(truth), far)
    with pytest.raises(Refused, match="have 0 x 0 scanned pixels in common"):
        compare_reconstructions(reconstruction(truth, scanned=(30.0, 60.0)), far)


def test_a_good_scan_has_halves_that_agree_and_noise_has_none(scan) -> None:
    def reconstruct(half):
        return solve(half, SolverSettings(epochs=6))

    found = split_half_frc(scan, reconstruct).metrics()
    assert found["frc_complex_half_bit"] > 0.5
    pixel_nm = scan.metadata.object_pixel_size_m.value * 1e9
    assert found["frc_complex_half_bit_nm"] == pytest.approx(pixel_nm / found["frc_complex_half_bit"])
    shuffled = replace(scan, diffraction=np.random.default_rng(0).permutation(scan.diffraction))
    assert split_half_frc(shuffled, reconstruct).metrics()["frc_complex_half_bit"] < 0.3


def test_a_stored_scan_is_compared_in_a_child_process(scan, tmp_path) -> None:
    store = open_store(tmp_path)
    request = {"store": str(tmp_path), "scan": store.put(scan).digest, "settings": {"epochs": 2}}
    told = []
    answer = run_child("smalti.ptycho.stored:frc_stored", request, told.append)
    kept = FrcResult.from_stored(store.get(answer["digest"]))
    assert kept.metrics() == answer["metrics"]
    assert [(progress["half"], progress["epoch"]) for progress in told] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    with pytest.raises(Refused, match="epoch_count"):
        run_child("smalti.ptycho.stored:frc_stored", {**request, "settings": {"epoch_count": 2}})
