"""Laws of probe modes: added ones are orthogonal and weak, and a mix of modes is the same beam."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.errors import Refused
from smalti.ptycho.optics.modes import POWER_OF_FURTHER_MODE, initial_modes, orthogonal_modes
from smalti.simulation import simulate_scan


@pytest.fixture(scope="module")
def probe():
    return simulate_scan("modes", positions_per_side=1, window=32).probe_guess


def waves(seed: int, modes: int):
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(2, modes, 8, 8)) * rng.uniform(0.1, 3, (modes, 1, 1))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def flat(probe):
    return probe.reshape(len(probe), -1).astype(np.complex128)


def density(probe):
    return flat(probe).T @ flat(probe).conj()


def coherence(probe):
    """Scalar products of the modes, each scaled to norm 1."""
    unit = flat(probe) / np.linalg.norm(flat(probe), axis=1, keepdims=True)
    return unit @ unit.conj().T


def intensity(probe) -> float:
    return float((np.abs(flat(probe)) ** 2).sum())


@pytest.mark.parametrize("modes", [1, 2, 3, 6, 12])
def test_further_modes_are_orthogonal_and_the_intensity_stays(probe, modes) -> None:
    started = initial_modes(probe, modes)
    assert (started.shape, started.dtype) == ((modes, 32, 32), np.complex64)
    assert np.abs(coherence(started) - np.eye(modes)).max() < 1e-5
    assert intensity(started) == pytest.approx(intensity(probe), rel=1e-6)
    share = (np.abs(flat(started)) ** 2).sum(axis=1) / intensity(probe)
    assert share[1:] == pytest.approx(POWER_OF_FURTHER_MODE, rel=1e-5)


def test_given_modes_are_kept_in_their_ratio(probe) -> None:
    given = np.concatenate([probe, np.roll(probe, 3, axis=2) * 0.5])
    started = initial_modes(given, 4)
    assert np.allclose(started[:2] / given * np.sqrt(1 / (1 - 2 * POWER_OF_FURTHER_MODE)), 1, atol=1e-4)
    overlap = flat(started[2:]) @ flat(given).conj().T
    assert np.abs(overlap).max() < 1e-5 * intensity(given)
    first = initial_modes(given, 1)
    assert intensity(first) == pytest.approx(intensity(given), rel=1e-6)
    assert np.allclose(coherence(np.concatenate([first, probe])), 1, atol=1e-5)


def test_a_given_mode_that_is_a_derivative_already_is_not_added_again(probe) -> None:
    three = initial_modes(probe, 3)
    assert np.abs(coherence(initial_modes(three, 5)) - np.eye(5)).max() < 1e-5


def test_further_modes_stay_inside_the_pupil(probe) -> None:
    dark = np.abs(np.fft.fft2(probe[0])) < 1e-3 * np.abs(np.fft.fft2(probe[0])).max()
    pupils = np.abs(np.fft.fft2(initial_modes(probe, 4))) ** 2
    assert pupils[:, dark].sum() < 1e-5 * pupils.sum()


def test_a_trembling_beam_is_what_the_first_three_modes_describe(probe) -> None:
    ramps = np.exp(-2j * np.pi * 0.4 * np.fft.fftfreq(32))
    spectrum = np.fft.fft2(probe[0])
    shifted = [spectrum * r for r in (ramps[:, None], ramps[:, None].conj(), ramps, ramps.conj())]
    trembling = np.fft.ifft2(np.stack(shifted))
    modes = flat(initial_modes(probe, 3))
    modes /= np.linalg.norm(modes, axis=1, keepdims=True)
    caught = (np.abs(flat(trembling) @ modes.conj().T) ** 2).sum()
    alone = (np.abs(flat(trembling) @ modes[:1].conj().T) ** 2).sum()
    assert caught > 0.999 * intensity(trembling)
    assert alone < 0.99 * intensity(trembling)


@pytest.mark.parametrize("modes", [0, -1, 27])
def test_a_number_of_modes_that_leaves_no_beam_is_refused(probe, modes) -> None:
    with pytest.raises(Refused, match=f"{modes} modes are wanted beside 1 given; take 1 to 26"):
        initial_modes(probe, modes)


def test_a_plane_wave_has_no_further_modes() -> None:
    with pytest.raises(Refused, match="too small for 2 further modes"):
        initial_modes(np.ones((1, 16, 16), np.complex64), 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 5))
def test_orthogonal_modes_are_the_same_beam(seed, modes) -> None:
    given_modes = waves(seed, modes)
    found = orthogonal_modes(given_modes)
    assert (found.shape, found.dtype) == (given_modes.shape, np.complex64)
    scale = np.abs(density(given_modes)).max()
    assert np.allclose(density(found), density(given_modes), atol=1e-5 * scale)
    assert intensity(found) == pytest.approx(intensity(given_modes), rel=1e-6)
    assert np.abs(coherence(found) - np.eye(modes)).max() < 1e-4
    strength = (np.abs(flat(found)) ** 2).sum(axis=1)
    assert (np.diff(strength) <= 1e-5 * strength[0]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16))
def test_orthogonal_modes_do_not_depend_on_how_the_beam_was_written(seed) -> None:
    given_modes = waves(seed, 3)
    mix, _ = np.linalg.qr(waves(seed + 1, 1)[0, :3, :3].astype(np.complex128))
    other = np.tensordot(mix, given_modes, axes=1).astype(np.complex64)
    first, second = (np.abs(orthogonal_modes(modes)) ** 2 for modes in (given_modes, other))
    assert np.allclose(first.sum(axis=0), second.sum(axis=0), rtol=1e-3)
    assert np.allclose(first.sum(axis=(1, 2)), second.sum(axis=(1, 2)), rtol=1e-3)


def test_one_mode_and_dark_modes_stay_as_they_are(probe) -> None:
    assert np.allclose(orthogonal_modes(probe), probe, rtol=1e-6)
    with_dark = orthogonal_modes(np.concatenate([np.zeros_like(probe), probe]))
    assert np.allclose(with_dark[0], probe[0], rtol=1e-6)
    assert not with_dark[1].any()
