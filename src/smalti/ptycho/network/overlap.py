"""Stitching: a scan on its canvas, and the object as the weighted mean of the overlapping patches of a network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.compute.kernels import compiling_alone
from smalti.errors import Refused
from smalti.models.ptychography import Iteration, Network
from smalti.ptycho.geometry import place
from smalti.ptycho.network.exposures import Detector, Exposures, centre, rpie_update
from smalti.ptycho.optics.probe import initial_probe
from smalti.ptycho.optics.propagation import propagation_of
from smalti.ptycho.optics.shift import shift_ramp
from smalti.ptycho.patterns import BUFFER_NBYTES, one_count

ANSCOMBE = 0.375  # of a count: the root of n + 3/8 counts has the same noise at any n
DARK = 1e-9  # of the mean intensity
FAINT = 1e-3  # weight of the previous object, relative to the largest probe intensity
LIT = 0.99  # of the probe's energy is inside a patch
PATTERNS_AT_ONCE = 64

Indexes = NDArray[np.integer[Any]]


class Stack(Protocol):
    """N arrays of one shape, to be read in slices or one by one: a numpy array, a LazyArray, an HDF5 dataset."""

    @property
    def nbytes(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> NDArray[Any]: ...

    def __iter__(self) -> Iterator[NDArray[Any]]: ...


@dataclass(frozen=True, slots=True)
class Overlap:
    """The weighted sum of overlapping patches on a flattened object of n pixels.

    Attributes:
        object: (n,) complex64, the previous object.
        total, weight: (n,) complex64 and float32, sum of weighted patches and of weights. The previous object counts
            with a small weight, so that it remains where there is no patch.
    """

    object: mx.array
    total: mx.array
    weight: mx.array

    @classmethod
    def over(cls, object: mx.array, faint: float) -> Overlap:
        """Return the object with weight ``faint`` and no patches."""
        return cls(object, object * faint, mx.full(object.shape, faint))

    def with_patches(self, iteration: Iteration, exposures: Exposures) -> Overlap:
        """Return this with the patch of each exposure added, weighted by the intensity of its probe."""
        side = iteration.window
        windows = self.object[exposures.pixels]
        updates = centre(rpie_update(windows, exposures), side)
        weight, pixels = centre(exposures.probe_intensity, side), centre(exposures.pixels, side)
        patches = iteration(centre(windows, side), updates, exposures.positions)
        return Overlap(self.object, self.total.at[pixels].add(patches * weight), self.weight.at[pixels].add(weight))

    def merged(self) -> mx.array:
        """Return the (n,) weighted mean of the patches."""
        return self.total / self.weight


class Experiment:
    """A scan on its canvas: patterns, windows, probe and, for supervised training, the true patches.

    Patterns, and likewise patches, are kept in memory where they fit into ``patterns.BUFFER_NBYTES``; else they are
    read as they are needed.

    Raises:
        Refused: no probe guess, no patches to be supervised by, a near-field scan that does not state energy, distance
            and object pixel, or what ``place`` refuses.
    """

    def __init__(self, scan: Scan, padding: int = 0, supervised: bool = False) -> None:
        if scan.probe_guess is None:
            raise Refused(
                f"the scan {scan.metadata.name} has no probe guess, which a network needs; give it the one of "
                "smalti.ptycho.solve.solver.with_probe_guess."
            )
        if supervised and scan.patches is None:
            raise Refused(
                f"the scan {scan.metadata.name} has no patches (Y) to learn from; train without "
                "supervision, or give a scan that has them."
            )
        height, width = scan.diffraction.shape[1:]
        at = place(scan.xcoords, scan.ycoords, (height, width), padding)
        self.shape = at.canvas.shape
        self._diffraction = _in_memory(scan.diffraction)
        self._patches = _in_memory(scan.patches) if supervised and scan.patches is not None else None
        self._corners = np.stack([at.rows, at.cols], axis=1)
        self._remainders = np.stack([at.dy, at.dx], axis=1)
        probe = initial_probe(scan)
        self._intensity = (np.abs(probe) ** 2).sum(axis=0)
        self.faint = FAINT * float(self._intensity.max())
        self._target_scale = 1.0 if self._patches is None else self._scale_of(self._patches)
        self._pupil = mx.array(np.fft.fft2(probe).astype(np.complex64))
        propagation = propagation_of(scan)
        good = np.ones((height, width), bool) if scan.bad_pixels is None else ~scan.bad_pixels
        floor = max(ANSCOMBE * one_count(scan.diffraction, good), DARK * float(self._intensity.mean()))
        self._detector = Detector(propagation, mx.array(propagation.as_measured(good.astype(np.float32))), floor)

    def _scale_of(self, patches: Stack) -> np.float32:
        """Return the factor on the target patches with which the probe gives the measured mean intensity."""
        light = np.mean([(self._intensity * np.abs(patch) ** 2).sum() for patch in patches])
        return np.float32(np.sqrt(self._intensity.sum() / light))

    def lit_side(self, multiple: int) -> int:
        """Return the side of the smallest centred square, a ``multiple``, that holds ``LIT`` of the probe's energy.

        If none does, it is the largest that the window holds.
        """
        wanted = LIT * self._intensity.sum()
        sides = range(multiple, min(self._intensity.shape) + 1, multiple)
        return next((side for side in sides if centre(self._intensity, side).sum() >= wanted), max(sides, default=0))

    def extent(self, steps: Indexes) -> tuple[int, int]:
        """Return the shape of the smallest canvas that holds the windows of any one of the (S, B) ``steps``."""
        height, width = np.ptp(self._corners[steps], axis=1).max(axis=0) + self._intensity.shape
        return int(height), int(width)

    def arrays(self, samples: Indexes) -> tuple[NDArray[Any], ...]:
        """Return (B, H, W) amplitudes, (B, 2) corners, (B, 2) remainders and, if supervised, (B, H, W) targets."""
        amplitude = self._detector.propagation.as_measured(rows_of(self._diffraction, samples))
        target = () if self._patches is None else (rows_of(self._patches, samples) * self._target_scale,)
        return amplitude, self._corners[samples], self._remainders[samples], *target

    def expose(
        self, columns: int, amplitude: mx.array, corners: mx.array, remainders: mx.array, target: mx.array | None = None
    ) -> Exposures:
        """Return the exposures of what ``arrays`` returned, on a canvas of so many ``columns``."""
        height, width = self._intensity.shape
        probe = mx.fft.ifft2(self._pupil * shift_ramp((height, width), remainders)[:, None])
        window = mx.arange(height)[:, None] * columns + mx.arange(width)
        first = corners[:, 0] * columns + corners[:, 1]
        return Exposures(amplitude, probe, first[:, None, None] + window, corners + remainders, self._detector, target)

    def blocks(self, samples: Indexes, group: int = 1) -> list[Indexes]:
        """Return these samples in blocks of whole groups, at most ``PATTERNS_AT_ONCE`` samples or one group each."""
        block = max(PATTERNS_AT_ONCE // group, 1) * group
        return [samples[start : start + block] for start in range(0, len(samples), block)]

    def exposures(self, samples: Indexes) -> Exposures:
        """Return the exposures of these patterns on the whole canvas."""
        return self.expose(self.shape[1], *(mx.array(array) for array in self.arrays(samples)))

    def stitch(self, network: Network, samples: Indexes) -> mx.array:
        """Return the (n,) flattened object after all iterations of the network over these patterns.

        Args:
            samples: indexes of patterns, group after group. A pattern may be in several groups.
        """
        object = mx.ones((math.prod(self.shape),), dtype=mx.complex64)
        for iteration in network.iterations:
            object = self._iterated(object, iteration, self.blocks(samples, network.config.group))
        return object

    def _iterated(self, object: mx.array, iteration: Iteration, blocks: list[Indexes]) -> mx.array:
        @mx.compile
        def with_patches(object: mx.array, total: mx.array, weight: mx.array, *arrays: mx.array) -> list[mx.array]:
            overlap = Overlap(object, total, weight)
            overlap = overlap.with_patches(iteration, self.expose(self.shape[1], *arrays))
            return [overlap.total, overlap.weight]

        total, weight = object * self.faint, mx.full(object.shape, self.faint)
        compiled_for = 0
        for block in blocks:
            arrays = [mx.array(array) for array in self.arrays(block)]
            with compiling_alone() if len(block) != compiled_for else nullcontext():
                total, weight = with_patches(object, total, weight, *arrays)
                mx.eval(total, weight)
            compiled_for = len(block)
        return total / weight


def _in_memory(stack: Stack) -> Stack:
    """Return the stack as an array if it has at most ``BUFFER_NBYTES``, else as it is."""
    return np.asarray(stack) if stack.nbytes <= BUFFER_NBYTES else stack


def rows_of(stack: Stack, samples: Indexes) -> NDArray[Any]:
    """Return these rows in this order; of a stack that is not an array, consecutive rows are read in one slice."""
    if isinstance(stack, np.ndarray):
        return stack[samples]
    runs = np.split(samples, np.flatnonzero(np.diff(samples) != 1) + 1)
    return np.concatenate([np.asarray(stack[int(run[0]) : int(run[-1]) + 1]) for run in runs])
