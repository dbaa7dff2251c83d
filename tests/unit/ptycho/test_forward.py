"""Laws of the forward model: its patterns are those of an independent one, its gradients those of differentiation."""

import math

import mlx.core as mx
import numpy as np
import pytest

from smalti.ptycho.forward import Batch, ForwardModel
from smalti.ptycho.losses import LOSSES, amplitude
from smalti.ptycho.optics.near_field import NearField
from smalti.ptycho.optics.propagation import AngularSpectrum, FarField, transfer_function

WINDOW = (16, 12)
CANVAS = (26, 24)
FLOOR = 0.3
RNG = np.random.default_rng(3)
NEAR = NearField(wavelength_m=1e-10, distance_m=2e-4, pixel_size_m=1e-7)


@pytest.fixture(scope="module")
def without_compiled_kernels() -> None:
    """Override: some of these tests compile."""


def wave(*shape: int) -> np.ndarray:
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(np.complex64)


OBJECT, PUPIL = wave(*CANVAS), wave(2, *WINDOW) * 5
CORNER = np.array([[0, 0], [3, 7], [3, 7], [10, 12]], np.int32)
SHIFT = np.array([[0.3, -0.2], [-0.5, 0.1], [0, 0.4], [0.25, 0]], np.float32)
MEASURED = RNG.uniform(0.6, 4, (4, *WINDOW)).astype(np.float32)
BAD = RNG.uniform(size=WINDOW) < 0.1


def transfer() -> np.ndarray:
    return transfer_function(WINDOW, NEAR)


def model(loss=amplitude, near=False, between_pixels=True, weight=None, pupil_scale=None) -> ForwardModel:
    return ForwardModel(
        window=WINDOW,
        propagation=AngularSpectrum(mx.array(transfer().astype(np.complex64)))
        if near
        else FarField(math.sqrt(16 * 12)),
        loss=loss,
        floor=FLOOR,
        weight=mx.ones(WINDOW) if weight is None else weight,
        pupil_scale=mx.ones(WINDOW) if pupil_scale is None else pupil_scale,
        between_pixels=between_pixels,
    )


def batch(shift=SHIFT, measured=MEASURED) -> Batch:
    return Batch(mx.array(measured), mx.array(CORNER), mx.array(shift))


def expected_intensity(obj, pupil, shift, near=False) -> np.ndarray:
    """Pattern by pattern, mode by mode, in double precision."""
    intensity = np.full((len(CORNER), *WINDOW), FLOOR)
    fy, fx = np.fft.fftfreq(WINDOW[0])[:, None], np.fft.fftfreq(WINDOW[1])
    for n, ((top, left), (dy, dx)) in enumerate(zip(CORNER, shift, strict=True)):
        for mode in pupil.astype(np.complex128):
            probe = np.fft.ifft2(mode * np.exp(-2j * np.pi * (fy * dy + fx * dx)))
            leaving = np.fft.fft2(probe * obj[top : top + WINDOW[0], left : left + WINDOW[1]], norm="ortho")
            intensity[n] += np.abs(np.fft.ifft2(leaving * transfer(), norm="ortho") if near else leaving) ** 2
    return intensity


def expected_loss(obj, pupil, shift, near=False) -> float:
    return float(((np.sqrt(expected_intensity(obj, pupil, shift, near)) - MEASURED) ** 2).sum())


@pytest.mark.parametrize("near", [False, True])
def test_the_loss_is_that_of_an_independent_model(near) -> None:
    loss, *_ = model(near=near).gradient(mx.array(OBJECT), mx.array(PUPIL), batch())
    assert loss.item() == pytest.approx(expected_loss(OBJECT, PUPIL, SHIFT, near), rel=1e-4)


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_each_gradient_is_what_small_steps_measure(near, compiled) -> None:
    plain = model(near=near)
    gradient = mx.compile(lambda *a: plain.gradient(a[0], a[1], Batch(*a[2:]))) if compiled else None
    inputs = (mx.array(OBJECT), mx.array(PUPIL))
    at = batch()
    _, by_object, by_pupil, by_shift = (
        gradient(*inputs, at.measured, at.corner, at.shift) if compiled else plain.gradient(*inputs, at)
    )
    to_object, to_pupil, to_shift = wave(*CANVAS), wave(*PUPIL.shape), RNG.normal(size=SHIFT.shape)

    def derivative(step: float, o, p, s) -> float:
        obj, pupil, shift = OBJECT.astype(np.complex128), PUPIL.astype(np.complex128), SHIFT.astype(np.float64)
        ahead, behind = (expected_loss(obj + k * o, pupil + k * p, shift + k * s, near) for k in (step, -step))
        return (ahead - behind) / (2 * step)

    def along(slope, direction) -> float:
        return 2 * float(np.vdot(np.array(slope).astype(np.complex128), direction).real)

    assert along(by_object, to_object) == pytest.approx(derivative(1e-4, to_object, 0, 0), rel=2e-3)
    assert along(by_pupil, to_pupil) == pytest.approx(derivative(1e-4, 0, to_pupil, 0), rel=2e-3)
    assert (np.array(by_shift) * to_shift).sum() == pytest.approx(derivative(1e-5, 0, 0, to_shift), rel=2e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_goes_down_its_own_gradient(name) -> None:
    one = model(loss=LOSSES[name])
    loss, by_object, *_ = one.gradient(mx.array(OBJECT), mx.array(PUPIL), batch())
    step = np.array(by_object) * (1e-3 / np.abs(np.array(by_object)).max())
    lower, *_ = one.gradient(mx.array((OBJECT - step).astype(np.complex64)), mx.array(PUPIL), batch())
    assert lower.item() < loss.item()


def test_on_whole_pixels_the_short_way_gives_the_same() -> None:
    at = batch(shift=np.zeros_like(SHIFT))
    results = [model(between_pixels=b).gradient(mx.array(OBJECT), mx.array(PUPIL), at)[:3] for b in (True, False)]
    for long, short in zip(*results, strict=True):
        assert np.allclose(np.array(long), np.array(short), rtol=1e-3, atol=1e-3)


def test_a_bad_pixel_changes_nothing() -> None:
    wild = np.where(BAD, 1e4, MEASURED).astype(np.float32)
    masked = model(weight=mx.array((~BAD).astype(np.float32)))
    results = [masked.gradient(mx.array(OBJECT), mx.array(PUPIL), batch(measured=m)) for m in (MEASURED, wild)]
    for calm, with_wild in zip(*results, strict=True):
        assert np.array_equal(np.array(calm), np.array(with_wild))
    assert results[0][0].item() < expected_loss(OBJECT, PUPIL, SHIFT)


def test_the_pupil_is_not_moved_outside_its_support() -> None:
    support = (RNG.uniform(size=WINDOW) < 0.5).astype(np.float32)
    _, _, by_pupil, _ = model(pupil_scale=mx.array(support)).gradient(mx.array(OBJECT), mx.array(PUPIL), batch())
    assert not np.array(by_pupil)[:, support == 0].any()
    assert np.array(by_pupil)[:, support == 1].any()
