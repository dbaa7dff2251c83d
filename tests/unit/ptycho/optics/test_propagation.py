"""Laws of propagation: energy is kept, light goes there and back, and the near field is what optics says it is."""

import math
from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.codecs.scan import ScanMetadata, Stated
from smalti.errors import Refused
from smalti.ptycho.optics.near_field import NearField
from smalti.ptycho.optics.propagation import (
    AngularSpectrum,
    FarField,
    propagation_of,
    transfer_function,
)
from smalti.simulation import simulate_scan

SHORT = NearField(wavelength_m=1e-10, distance_m=1e-3, pixel_size_m=1e-7)


def random_wave(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    real, imaginary = np.random.default_rng(seed).normal(size=(2, *shape))
    return (real + 1j * imaginary).astype(np.complex64)


def near_field(shape: tuple[int, int], way: NearField = SHORT) -> AngularSpectrum:
    return AngularSpectrum(mx.array(transfer_function(shape, way).astype(np.complex64)))


def far_field_amplitude(wave: np.ndarray) -> np.ndarray:
    far = FarField(math.sqrt(math.prod(wave.shape[-2:])))
    return np.abs(np.array(far.forward(mx.array(wave)))) / far.gain


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.sampled_from([(8, 8), (16, 12), (3, 8, 16), (2, 3, 8, 8)]))
def test_the_detector_counts_every_photon_of_the_exit_wave(seed, shape) -> None:
    wave = random_wave(seed, shape)
    amplitude = far_field_amplitude(wave)
    assert np.allclose((amplitude**2).sum(axis=(-2, -1)), (np.abs(wave) ** 2).sum(axis=(-2, -1)), rtol=1e-4)


def test_amplitudes_are_those_of_an_independent_transform() -> None:
    wave = random_wave(1, (2, 16, 16))
    expected = np.abs(np.fft.fft2(wave.astype(np.complex128))) / 16
    assert np.allclose(far_field_amplitude(wave), expected, atol=1e-5)


def test_an_undisturbed_beam_arrives_at_the_first_pixel() -> None:
    amplitude = far_field_amplitude(np.ones((8, 8), np.complex64))
    assert amplitude[0, 0] == 8
    assert np.abs(amplitude).sum() == 8


@pytest.mark.parametrize("way", [FarField(math.sqrt(16 * 12)), near_field((16, 12))], ids=["far", "near"])
@given(seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_the_way_back_is_the_adjoint(way, seed) -> None:
    here, there = random_wave(seed, (16, 12)), random_wave(seed + 100, (16, 12))
    forward, back = np.array(way.forward(mx.array(here))), np.array(way.back(mx.array(there)))
    assert np.vdot(there, forward) == pytest.approx(way.gain**2 * np.vdot(back, here), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("way", [FarField(math.sqrt(16 * 12)), near_field((16, 12))], ids=["far", "near"])
def test_a_wave_comes_back_as_it_was_and_the_gain_is_that_of_its_norm(way) -> None:
    wave = random_wave(4, (16, 12))
    there = way.forward(mx.array(wave))
    assert np.allclose(np.array(way.back(there)), wave, atol=1e-5)
    assert np.linalg.norm(np.array(there)) == pytest.approx(way.gain * np.linalg.norm(wave), rel=1e-5)


def test_a_pattern_of_the_scan_is_laid_out_as_the_wave_arrives() -> None:
    wave = random_wave(5, (16, 12))
    seen = np.abs(np.fft.fftshift(np.fft.fft2(wave)))
    assert np.allclose(
        FarField(1.0).as_measured(seen), np.abs(np.array(FarField(1.0).forward(mx.array(wave)))), rtol=1e-4
    )
    assert np.array_equal(near_field((16, 12)).as_measured(seen), seen)


def test_a_gaussian_beam_widens_as_optics_says() -> None:
    waist_m, pixels = 2e-6, 128
    way = NearField(wavelength_m=1e-10, distance_m=0.2, pixel_size_m=2e-7)
    axis = (np.arange(pixels) - (pixels - 1) / 2) * way.pixel_size_m
    squared = axis[:, None] ** 2 + axis**2
    beam = np.exp(-squared / waist_m**2).astype(np.complex64)
    intensity = np.abs(np.array(near_field((pixels, pixels), way).forward(mx.array(beam)))) ** 2
    rayleigh_m = math.pi * waist_m**2 / way.wavelength_m
    width_m = waist_m * math.sqrt(1 + (way.distance_m / rayleigh_m) ** 2)
    assert width_m > 1.5 * waist_m
    assert intensity == pytest.approx((waist_m / width_m) ** 2 * np.exp(-2 * squared / width_m**2), abs=2e-4)


def test_steep_waves_that_would_come_in_again_on_the_other_side_are_left_out() -> None:
    shape = (64, 64)
    assert np.allclose(np.abs(transfer_function(shape, SHORT)), 1)
    far = NearField(wavelength_m=1e-10, distance_m=1.0, pixel_size_m=1e-7)
    transfer = transfer_function(shape, far)
    assert transfer[0, 0] == 1
    assert set(np.abs(transfer).round(6).ravel()) == {0.0, 1.0}
    # a ray of frequency f lands wavelength * distance * f away; half a window is the farthest that stays inside
    assert not transfer[np.abs(np.fft.fftfreq(64, 1e-7)) > 1.01 * 64e-7 / 2 / (1e-10 * 1.0)].any()


def test_the_near_field_takes_what_the_scan_states_and_is_refused_without() -> None:
    scan = simulate_scan("near", positions_per_side=2, window=16)
    stated = {"photon_energy_eV": 12398.0, "detector_distance_m": 1e-3, "object_pixel_size_m": 1e-7}
    known = {name: Stated(value=value) for name, value in stated.items()}

    def propagation(**fields) -> object:
        return propagation_of(replace(scan, **fields))

    assert isinstance(propagation(), FarField)
    near = propagation(metadata=ScanMetadata(name="near", far_field=False, **known))
    assert isinstance(near, AngularSpectrum)
    assert np.allclose(np.array(near.transfer), transfer_function((16, 16), SHORT), atol=1e-3)
    for name in known:
        without = ScanMetadata(name="near", far_field=False, **{k: v for k, v in known.items() if k != name})
        with pytest.raises(Refused, match=f"^scan near is in the near field without {name}; state it in its card.$"):
            propagation(metadata=without)
