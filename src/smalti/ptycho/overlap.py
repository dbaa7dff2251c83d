"""Patches of object seen through overlapping probes: what the network is shown, and what its patches are merged to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.models.ptychography import Network
from smalti.ptycho.geometry import place
from smalti.ptycho.probe import initial_probe
from smalti.ptycho.propagation import far_field_amplitude

RPIE_ALPHA = 0.1
EMPTY_WEIGHT = 1e-3  # of the empty object, where the brightest probe weighs 1
PHASE_ROUNDS = 2  # that turn the patches of a group to one phase
LIT = 0.99  # of the probe's energy falls inside a patch
PATTERNS_AT_ONCE = 64
TINY = 1e-12

Indexes = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Exposures:
    """B patterns of H x W pixels, with the probe that made each and where on the flattened object it fell.

    Attributes:
        amplitude: (B, H, W) float32, DC at [0, 0].
        probe: (B, P, H, W) complex64, P modes, moved by the sub-pixel part of the position.
        pixels: (B, H, W) int32, the object's pixels under the window.
    """

    amplitude: mx.array
    probe: mx.array
    pixels: mx.array


@dataclass(frozen=True, slots=True)
class Overlap:
    """Overlapping patches on a flattened object of n pixels: (n,) weighted sum, complex64, and (n,) weight."""

    total: mx.array
    weight: mx.array

    def with_patches(self, network: Network, exposures: Exposures) -> Overlap:
        """Return this and what the network makes of each exposure, weighted by the intensity of its probe.

        No pattern tells the mean phase of its patch, so each patch is first turned to agree with those around it.
        """
        side = network.config.window
        intensity = centre(mx.square(mx.abs(exposures.probe)).sum(axis=1), side)
        pixels = centre(exposures.pixels, side)
        weighted = network(centre(first_update(exposures.amplitude, exposures.probe), side)) * intensity
        turned = weighted
        for _ in range(PHASE_ROUNDS):
            around = self.total.at[pixels].add(turned)[pixels]
            agreement = (mx.conj(weighted) * around).sum(axis=(1, 2), keepdims=True)
            turned = weighted * mx.stop_gradient(agreement / mx.maximum(mx.abs(agreement), TINY))
        return Overlap(self.total.at[pixels].add(turned), self.weight.at[pixels].add(intensity))

    def at(self, pixels: mx.array) -> mx.array:
        """Return the object there."""
        return self.total[pixels] / self.weight[pixels]


class Experiment:
    """A scan on its canvas: what was measured, where, and with which probe.

    Raises:
        Refused: no probe guess, or what ``place`` refuses.
    """

    def __init__(self, scan: Scan, padding: int = 0) -> None:
        if scan.probe_guess is None:
            raise Refused(
                f"the scan {scan.metadata.name} has no probe guess, which a network needs; give it the probe that the "
                "solver finds."
            )
        height, width = scan.diffraction.shape[1:]
        self.placement = place(scan.xcoords, scan.ycoords, (height, width), padding)
        self._diffraction = scan.diffraction
        probe = initial_probe(scan)
        self._intensity = (np.abs(probe) ** 2).sum(axis=0)
        self._pupil = mx.array(np.fft.fft2(probe).astype(np.complex64))
        self._down = mx.array(np.fft.fftfreq(height).astype(np.float32))
        self._right = mx.array(np.fft.fftfreq(width).astype(np.float32))
        columns = self.placement.canvas.shape[1]
        self._offsets = mx.array(np.add.outer(np.arange(height) * columns, np.arange(width)).astype(np.int32))

    def lit_side(self, multiple: int) -> int:
        """Return the side of the smallest centred square, a ``multiple``, that holds ``LIT`` of the probe's energy.

        If none does, it is the largest that the window holds.
        """
        wanted = LIT * self._intensity.sum()
        sides = range(multiple, min(self._intensity.shape) + 1, multiple)
        return next((side for side in sides if centre(self._intensity, side).sum() >= wanted), max(sides, default=0))

    def arrays(self, samples: Indexes) -> tuple[NDArray[Any], ...]:
        """Return amplitude (DC at [0, 0]), first pixel on the flattened canvas, dy and dx of these patterns."""
        at = self.placement
        amplitude = np.fft.ifftshift(self._diffraction[samples], axes=(-2, -1))
        return amplitude, at.rows[samples] * at.canvas.shape[1] + at.cols[samples], at.dy[samples], at.dx[samples]

    def expose(self, amplitude: mx.array, first_pixel: mx.array, dy: mx.array, dx: mx.array) -> Exposures:
        """Return what ``arrays`` gave as MLX arrays with their probes."""
        down = mx.exp(-2j * math.pi * dy[:, None] * self._down)
        right = mx.exp(-2j * math.pi * dx[:, None] * self._right)
        probe = mx.fft.ifft2(self._pupil * down[:, None, :, None] * right[:, None, None, :])
        return Exposures(amplitude, probe, first_pixel[:, None, None] + self._offsets)

    def in_chunks(self, samples: Indexes) -> Iterator[Exposures]:
        """Yield the exposures of these patterns, at most ``PATTERNS_AT_ONCE`` at a time."""
        for start in range(0, len(samples), PATTERNS_AT_ONCE):
            arrays = self.arrays(samples[start : start + PATTERNS_AT_ONCE])
            yield self.expose(*(mx.array(array) for array in arrays))

    def empty_object(self) -> Overlap:
        """Return the whole canvas at 1 + 0j, with a weight that any lit patch outweighs."""
        rows, columns = self.placement.canvas.shape
        weight = mx.full((rows * columns,), EMPTY_WEIGHT * float(self._intensity.max()))
        return Overlap(weight.astype(mx.complex64), weight)

    def stitch(self, network: Network, samples: Indexes) -> mx.array:
        """Return the (n,) flattened object that all these patterns make together."""
        far = np.hypot(*(r[samples] - r[samples].mean() for r in (self.placement.rows, self.placement.cols)))
        overlap = self.empty_object()
        for exposures in self.in_chunks(samples[np.argsort(far, kind="stable")]):  # outwards: each has neighbours
            overlap = overlap.with_patches(network, exposures)
            mx.eval(overlap.total, overlap.weight)
        return overlap.total / overlap.weight


def first_update(amplitude: mx.array, probe: mx.array) -> mx.array:
    """Return the change, (B, H, W) complex64, that a solver's first look at each pattern makes to an empty object.

    The pattern takes the phases of the empty beam and goes back to the sample. That is a linear change of view,
    after which everything lies in its place. From the logarithm of the bare pattern a network has to learn the
    Fourier transform first: one minute on a simulated scan takes it to a phase PSNR of 15 dB instead of 19.

    Args:
        amplitude: (B, H, W) float32, DC at [0, 0].
        probe: (B, P, H, W) complex64.

    Source: the object update of rPIE, A. Maiden, D. Johnson, P. Li, Optica 4, 736 (2017).
    """
    beam = mx.fft.fft2(probe, norm="ortho")
    empty = mx.sqrt(mx.square(mx.abs(beam)).sum(axis=1, keepdims=True))
    corrected = mx.fft.ifft2(beam * (amplitude[:, None] / mx.maximum(empty, TINY)), norm="ortho")
    intensity = mx.square(mx.abs(probe)).sum(axis=1)
    damped = (1 - RPIE_ALPHA) * intensity + RPIE_ALPHA * intensity.max(axis=(-2, -1), keepdims=True)
    return (mx.conj(probe) * (corrected - probe)).sum(axis=1) / damped


def centre(images: Any, side: int) -> Any:
    """Return the central (..., side, side) of (..., H, W) images."""
    top, left = ((pixels - side) // 2 for pixels in images.shape[-2:])
    return images[..., top : top + side, left : left + side]


def misfit(patches: mx.array, exposures: Exposures) -> tuple[mx.array, mx.array]:
    """Return sum(abs(A - D)) and sum(D): modelled A and measured amplitude D, over all pixels of all patterns."""
    modes = far_field_amplitude(patches[:, None] * exposures.probe)
    modelled = mx.sqrt(mx.square(modes).sum(axis=1) + TINY)  # its gradient is finite where there is no light
    return mx.abs(modelled - exposures.amplitude).sum(), exposures.amplitude.sum()
