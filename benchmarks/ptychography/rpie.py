"""rPIE in plain numpy, the recipe that others are measured by: one pattern after another, one mode, nothing tuned.

Source: A. Maiden, D. Johnson, P. Li, Optica 4, 736 (2017).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OBJECT_ALPHA = 0.1
PROBE_ALPHA = 0.5
PROBE_FROM_EPOCH = 1  # counted from 0


@dataclass(frozen=True)
class Solved:
    """What rPIE made of a scan, and the CPU seconds of each epoch."""

    object: NDArray[np.complex64]
    probe: NDArray[np.complex64]
    epoch_cpu_s: tuple[float, ...]


def rpie(
    amplitude: NDArray[np.float32],
    probe: NDArray[np.complex64],
    xcoords: NDArray[np.float64],
    ycoords: NDArray[np.float64],
    shape: tuple[int, int],
    epochs: int,
    seed: int = 0,
) -> Solved:
    """Return the object and probe after so many epochs, from an object of ones.

    Args:
        amplitude: (N, H, W), DC in the centre.
        probe: (H, W) guess, orthonormal convention.
        xcoords, ycoords: (N,) centres of the windows in pixels of an object of ``shape``.
    """
    height, width = probe.shape
    measured = np.fft.ifftshift(amplitude, axes=(-2, -1)).astype(np.float32)
    top, left = ycoords - (height - 1) / 2, xcoords - (width - 1) / 2
    rows, cols = np.rint(top).astype(int), np.rint(left).astype(int)
    down = np.exp(-2j * np.pi * np.multiply.outer(top - rows, np.fft.fftfreq(height))).astype(np.complex64)
    right = np.exp(-2j * np.pi * np.multiply.outer(left - cols, np.fft.fftfreq(width))).astype(np.complex64)
    found = np.ones(shape, np.complex64)
    probe = probe.astype(np.complex64)
    rng = np.random.default_rng(seed)
    seconds = []
    for epoch in range(epochs):
        start = time.process_time()
        for n in rng.permutation(len(measured)):
            ramp = down[n][:, None] * right[n]
            here = np.fft.ifft2(np.fft.fft2(probe) * ramp)
            window = (slice(rows[n], rows[n] + height), slice(cols[n], cols[n] + width))
            patch = found[window].copy()
            wave = np.fft.fft2(patch * here, norm="ortho")
            size = np.abs(wave)
            change = np.fft.ifft2(wave * (measured[n] / np.maximum(size, 1e-12) - 1), norm="ortho")
            found[window] += np.conj(here) * change / _damped(here, OBJECT_ALPHA)
            if epoch >= PROBE_FROM_EPOCH:
                moved = np.conj(patch) * change / _damped(patch, PROBE_ALPHA)
                probe += np.fft.ifft2(np.fft.fft2(moved) * np.conj(ramp))
        seconds.append(time.process_time() - start)
    return Solved(found, probe, tuple(seconds))


def _damped(wave: NDArray[np.complex64], alpha: float) -> NDArray[np.float32]:
    intensity = wave.real**2 + wave.imag**2
    return np.asarray((1 - alpha) * intensity + alpha * intensity.max(), dtype=np.float32)
