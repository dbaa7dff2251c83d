"""The forward model of a batch of patterns and its gradients, written out by hand.

A pattern is the incoherent sum, over the probe's modes, of the intensities on the detector of object times probe. The
probe is moved by fractions of a pixel: its pupil (Fourier transform) gets a phase ramp. Gradients are those with
respect to the complex conjugate, half of dL/dRe + i dL/dIm.

Automatic differentiation is slower on a CPU (decision 13): MLX is slow there with single complex products, scalings
of transforms and scattered sums. So products stand in compiled blocks, scale factors multiply real arrays, and
windows are added to the object one after another.

Source: S. Kandel et al., Opt. Express 27, 18653 (2019), for this model; M. Guizar-Sicairos, J. R. Fienup, Opt. Express
16, 7264 (2008), for its gradients, positions included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from smalti.ptycho.losses import Loss
from smalti.ptycho.optics.propagation import ZERO, Propagation
from smalti.ptycho.optics.shift import shift_ramp


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """B patterns and where they were taken.

    Attributes:
        measured: (B, H, W) float32, sqrt(counts + floor), in the pixel order of ``Propagation.forward``.
        corner: (B, 2) int32, first row and column of each window on the object.
        shift: (B, 2) float32, from -0.5 to 0.5, how far the probe is below and right of its window, pixels.
    """

    measured: mx.array
    corner: mx.array
    shift: mx.array


@dataclass(frozen=True, eq=False, slots=True)
class ForwardModel:
    """Modelled intensities of a scan, their loss against the measured ones, and its gradients.

    Attributes:
        window: (H, W) of a pattern.
        propagation: from the exit wave to the detector.
        loss: compares modelled intensities with measured amplitudes.
        floor: is added to intensities, in the unit of the intensities.
        weight: (H, W) float32, factor of each pixel in the loss, in the pixel order of ``Propagation.forward``; 0 for
            a bad pixel.
        pupil_scale: (H, W) float32, the expected magnitude of a coefficient of the pupil, 0 outside its support.
        between_pixels: whether any probe is shifted by a fraction of a pixel.
    """

    window: tuple[int, int]
    propagation: Propagation
    loss: Loss
    floor: float
    weight: mx.array
    pupil_scale: mx.array
    between_pixels: bool

    def gradient(self, obj: mx.array, pupil: mx.array, batch: Batch) -> tuple[mx.array, mx.array, mx.array, mx.array]:
        """Return the loss of a batch and its gradients; meant to be compiled by ``mx.compile``.

        Args:
            obj: (M, K) complex64.
            pupil: (P, H, W) complex64, the unnormalised Fourier transform of the probe's modes.

        Returns:
            The weighted loss, summed over the batch, and its gradients: by ``obj``, (M, K); by
            ``pupil / pupil_scale``, (P, H, W); and by the position, (B, 2) down and right, 0 unless ``between_pixels``.
        """
        ramp = (
            shift_ramp(self.window, batch.shift)[:, None]
            if self.between_pixels
            else mx.ones((1, 1, 1, 1), dtype=mx.complex64)
        )
        probe = mx.fft.ifft2(pupil * ramp)  # (B or 1, P, H, W)
        patch = _windows(obj, batch.corner, self.window)[:, None]  # (B, 1, H, W)
        wave = self.propagation.forward(patch * probe + ZERO)
        intensity = _squared(wave).sum(axis=1) * (1 / self.propagation.gain**2) + self.floor
        loss, slope = self.loss(intensity, batch.measured)
        residual = self.propagation.back(wave * (slope * self.weight)[:, None])
        object_slope = _added(mx.zeros_like(obj), (mx.conj(probe) * residual).sum(axis=1), batch.corner, self.window)
        turned = self._to_pupil(mx.conj(patch) * residual) * mx.conj(ramp)
        position = self._along_shift(turned, pupil) if self.between_pixels else mx.zeros(batch.shift.shape)
        return (loss * self.weight).sum(), object_slope, turned.sum(axis=0) * self.pupil_scale, position

    def _to_pupil(self, probe_gradient: mx.array) -> mx.array:
        """Return the adjoint of the inverse transform, (B, P, H, W), or (1, P, H, W) where all share one ramp of 1."""
        if not self.between_pixels:
            probe_gradient = probe_gradient.sum(axis=0, keepdims=True)
        return mx.fft.fft2(probe_gradient) * (1 / math.prod(self.window))

    def _along_shift(self, turned: mx.array, pupil: mx.array) -> mx.array:
        """Return (B, 2) dL/d(down) and dL/d(right): the ramp's derivative by the shift is -2 pi i f times the ramp."""
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
