"""The forward model of a batch of patterns and its gradients, written out by hand.

A pattern is the incoherent sum, over the probe's modes, of the waves that object times probe sends to the detector. The
probe sits between pixels: its pupil (Fourier transform) gets a phase ramp. Gradients are those with respect to the
complex conjugate, half of dL/dRe + i dL/dIm.

On a CPU this takes half the time of automatic differentiation. MLX is slow there with single complex products,
scalings of transforms and scattered sums, so products stand in compiled blocks, factors sit in real numbers, and
windows are added to the object one after another.

Source: S. Kandel et al., Opt. Express 27, 18653 (2019), for this model; M. Guizar-Sicairos, J. R. Fienup, Opt. Express
16, 7264 (2008), for its gradients, positions included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from smalti.ptycho.optics.propagation import LONE, Propagation
from smalti.ptycho.solve.losses import Loss


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """B patterns and where they were taken.

    Attributes:
        measured: (B, H, W) float32, the root of counts plus floor, laid out as the propagation makes them.
        corner: (B, 2) int32, first row and column of each window on the object.
        shift: (B, 2) float32, how far the probe sits below and right of its window, within half a pixel.
    """

    measured: mx.array
    corner: mx.array
    shift: mx.array


@dataclass(frozen=True, eq=False, slots=True)
class ForwardModel:
    """What the detector would see, and the way down from there.

    Attributes:
        window: (H, W) of a pattern.
        propagation: the way to the detector.
        loss: compares intensities with measured amplitudes.
        floor: is added to intensities, in counts.
        weight: (H, W) float32, what each pixel counts in the loss, as the propagation makes patterns; 0 where the
            detector tells nothing.
        pupil_scale: (H, W) float32, the usual size of a coefficient of the pupil, 0 where it has to stay zero.
        between_pixels: whether the probe has to be shifted at all.
    """

    window: tuple[int, int]
    propagation: Propagation
    loss: Loss
    floor: float
    weight: mx.array
    pupil_scale: mx.array
    between_pixels: bool

    def gradient(self, obj: mx.array, pupil: mx.array, batch: Batch) -> tuple[mx.array, mx.array, mx.array, mx.array]:
        """Return the loss of a batch and its gradients; compile it, see above.

        Args:
            obj: (M, K) complex64.
            pupil: (P, H, W) complex64, the unnormalised Fourier transform of the probe's modes.

        Returns:
            The weighted loss, summed over the batch, and its gradients: by ``obj``, by ``pupil`` in units of
            ``pupil_scale``, and by the position, (B, 2) down and right; zeros where the probe stays on whole pixels.
        """
        ramp = self._ramp(batch.shift) if self.between_pixels else mx.ones((1, 1, 1, 1), dtype=mx.complex64)
        probe = mx.fft.ifft2(pupil * ramp)  # (B or 1, P, H, W)
        patch = _windows(obj, batch.corner, self.window)[:, None]  # (B, 1, H, W)
        wave = self.propagation.forward(patch * probe + LONE)
        intensity = _squared(wave).sum(axis=1) * (1 / self.propagation.gain**2) + self.floor
        loss, slope = self.loss(intensity, batch.measured)
        residual = self.propagation.back(wave * (slope * self.weight)[:, None])
        object_slope = _added(mx.zeros_like(obj), (mx.conj(probe) * residual).sum(axis=1), batch.corner, self.window)
        turned = self._to_pupil(mx.conj(patch) * residual) * mx.conj(ramp)
        position = self._along_shift(turned, pupil) if self.between_pixels else mx.zeros(batch.shift.shape)
        return (loss * self.weight).sum(), object_slope, turned.sum(axis=0) * self.pupil_scale, position

    def _ramp(self, shift: mx.array) -> mx.array:
        """Return the (B, 1, H, W) factors on the pupil that shift the probe down and right."""
        height, width = self.window
        down = mx.exp(shift[:, :1] * mx.array(-2j * math.pi * np.fft.fftfreq(height).astype(np.complex64)))
        right = mx.exp(shift[:, 1:] * mx.array(-2j * math.pi * np.fft.fftfreq(width).astype(np.complex64)))
        return (down[:, :, None] * right[:, None, :])[:, None]

    def _to_pupil(self, probe_gradient: mx.array) -> mx.array:
        """Return the (..., P, H, W) adjoint of the inverse transform; what all patterns share is summed before."""
        if not self.between_pixels:
            probe_gradient = probe_gradient.sum(axis=0, keepdims=True)
        return mx.fft.fft2(probe_gradient) * (1 / math.prod(self.window))

    def _along_shift(self, turned: mx.array, pupil: mx.array) -> mx.array:
        """Return (B, 2): how the loss of each pattern grows along the pupil's derivative, -2 pi i f times the pupil."""
        along = mx.imag(mx.conj(turned) * pupil).sum(axis=1)  # (B, H, W)
        down, right = (mx.array(4 * math.pi * np.fft.fftfreq(n).astype(np.float32)) for n in self.window)
        return mx.stack([(along.sum(axis=2) * down).sum(axis=1), (along.sum(axis=1) * right).sum(axis=1)], axis=1)


def _squared(wave: mx.array) -> mx.array:
    return mx.square(mx.real(wave)) + mx.square(mx.imag(wave))


def _windows(obj: mx.array, corner: mx.array, window: tuple[int, int]) -> mx.array:
    """Return the (B, H, W) windows of ``obj`` that begin at ``corner``."""
    (rows, columns), (height, width) = obj.shape, window
    every = mx.as_strided(obj, (rows - height + 1, columns - width + 1, height, width), (columns, 1, columns, 1))
    return every[corner[:, 0], corner[:, 1]]


def _added(obj: mx.array, patches: mx.array, corner: mx.array, window: tuple[int, int]) -> mx.array:
    """Return ``obj`` with each of the (B, H, W) patches added at its corner."""
    for first, patch in zip(corner, patches, strict=True):
        sum_there = mx.slice(obj, first, (0, 1), window) + patch
        obj = mx.slice_update(obj, sum_there, first, (0, 1))
    return obj
