"""Overlapping patches of object: a scan on its canvas, and the object that a network's patches are merged to."""

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
from smalti.models.ptychography import Look, Network
from smalti.ptycho.geometry import place
from smalti.ptycho.network.exposures import Detector, Exposures, centre, update
from smalti.ptycho.optics.probe import initial_probe
from smalti.ptycho.optics.propagation import propagation_of
from smalti.ptycho.solve.patterns import POOL_NBYTES, one_count

ANSCOMBE = 0.375  # of a count: the root of n + 3/8 counts has the same noise at any n
DARK = 1e-9  # of the mean intensity
FAINT = 1e-3  # weight of the object that is looked at, where the brightest probe weighs 1
LIT = 0.99  # of the probe's energy falls inside a patch
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
    """What overlapping patches make of a flattened object of n pixels.

    Attributes:
        object: (n,) complex64, the object that is looked at.
        total, weight: (n,) complex64 and float32, the weighted sum of the patches, and of the object, faintly, so
            that it stays where no patch falls.
    """

    object: mx.array
    total: mx.array
    weight: mx.array

    @classmethod
    def over(cls, object: mx.array, faint: float) -> Overlap:
        """Return the object with no patches on it, itself of weight ``faint``."""
        return cls(object, object * faint, mx.full(object.shape, faint))

    def with_patches(self, look: Look, exposures: Exposures) -> Overlap:
        """Return this and what the look makes of each exposure, weighted by the intensity of its probe."""
        side = look.window
        seen = self.object[exposures.pixels]
        updates = centre(update(seen, exposures), side)
        light, pixels = centre(exposures.light, side), centre(exposures.pixels, side)
        patches = look(centre(seen, side), updates, exposures.positions)
        return Overlap(self.object, self.total.at[pixels].add(patches * light), self.weight.at[pixels].add(light))

    def merged(self) -> mx.array:
        """Return the (n,) object that the patches agree on."""
        return self.total / self.weight


class Experiment:
    """A scan on its canvas: what was measured, where, and with which probe.

    The patterns, and the patches a teacher shows, are read as they are needed, a block at a time, unless they all fit
    into ``patterns.POOL_NBYTES``.

    Raises:
        Refused: no probe guess, no patches to be supervised by, a near field that is not stated, or what ``place``
            refuses.
    """

    def __init__(self, scan: Scan, padding: int = 0, supervised: bool = False) -> None:
        if scan.probe_guess is None:
            raise Refused(
                f"the scan {scan.metadata.name} has no probe guess, which a network needs; give it the probe that the "
                "solver finds."
            )
        if supervised and scan.patches is None:
            raise Refused(
                f"the scan {scan.metadata.name} has no patches (Y) to learn from with a teacher; train without "
                "supervision, or give a scan that has them."
            )
        height, width = scan.diffraction.shape[1:]
        at = place(scan.xcoords, scan.ycoords, (height, width), padding)
        self.shape = at.canvas.shape
        self._diffraction = _at_hand(scan.diffraction)
        self._patches = _at_hand(scan.patches) if supervised and scan.patches is not None else None
        self._corners = np.stack([at.rows, at.cols], axis=1)
        self._remainders = np.stack([at.dy, at.dx], axis=1)
        probe = initial_probe(scan)
        self._intensity = (np.abs(probe) ** 2).sum(axis=0)
        self.faint = FAINT * float(self._intensity.max())
        self._taught_scale = 1.0 if self._patches is None else self._scale_of(self._patches)
        self._pupil = mx.array(np.fft.fft2(probe).astype(np.complex64))
        way = propagation_of(scan)
        good = np.ones((height, width), bool) if scan.bad_pixels is None else ~scan.bad_pixels
        floor = max(ANSCOMBE * one_count(scan.diffraction, good), DARK * float(self._intensity.mean()))
        self._detector = Detector(way, mx.array(way.as_measured(good.astype(np.float32))), floor)

    def _scale_of(self, patches: Stack) -> np.float32:
        """Return what brings the taught patches to the scale on which the probe makes as much light as was measured."""
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
        """Return the shape of the smallest canvas on which the windows of any of the (S, B) ``steps`` lie."""
        height, width = np.ptp(self._corners[steps], axis=1).max(axis=0) + self._intensity.shape
        return int(height), int(width)

    def arrays(self, samples: Indexes) -> tuple[NDArray[Any], ...]:
        """Return amplitude, first row and column, the remainders of these, and what is taught, if anything is."""
        amplitude = self._detector.way.as_measured(rows_of(self._diffraction, samples))
        taught = () if self._patches is None else (rows_of(self._patches, samples) * self._taught_scale,)
        return amplitude, self._corners[samples], self._remainders[samples], *taught

    def expose(
        self, columns: int, amplitude: mx.array, corners: mx.array, remainders: mx.array, taught: mx.array | None = None
    ) -> Exposures:
        """Return what ``arrays`` gave as MLX arrays with their probes, on a canvas of so many ``columns``."""
        height, width = self._intensity.shape
        down, right = (
            mx.exp(remainders[:, axis, None] * mx.array(-2j * math.pi * np.fft.fftfreq(pixels).astype(np.complex64)))
            for axis, pixels in enumerate((height, width))
        )
        probe = mx.fft.ifft2(self._pupil * (down[:, None, :, None] * right[:, None, None, :]))
        window = mx.arange(height)[:, None] * columns + mx.arange(width)
        first = corners[:, 0] * columns + corners[:, 1]
        return Exposures(amplitude, probe, first[:, None, None] + window, corners + remainders, self._detector, taught)

    def blocks(self, samples: Indexes, group: int = 1) -> list[Indexes]:
        """Return these samples about ``PATTERNS_AT_ONCE`` at a time, with no group torn apart."""
        block = max(PATTERNS_AT_ONCE // group, 1) * group
        return [samples[start : start + block] for start in range(0, len(samples), block)]

    def exposures(self, samples: Indexes) -> Exposures:
        """Return these patterns on the whole canvas."""
        return self.expose(self.shape[1], *(mx.array(array) for array in self.arrays(samples)))

    def stitch(self, network: Network, samples: Indexes) -> mx.array:
        """Return the (n,) flattened object that the patches of all these patterns make together.

        Args:
            samples: positions, the members of a group after each other. One may be in several groups.
        """
        object = mx.ones((math.prod(self.shape),), dtype=mx.complex64)
        for look in network.looks:
            object = self._looked_at(object, look, self.blocks(samples, network.config.group))
        return object

    def _looked_at(self, object: mx.array, look: Look, blocks: list[Indexes]) -> mx.array:
        @mx.compile
        def with_patches(object: mx.array, total: mx.array, weight: mx.array, *arrays: mx.array) -> list[mx.array]:
            overlap = Overlap(object, total, weight)
            overlap = overlap.with_patches(look, self.expose(self.shape[1], *arrays))
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


def _at_hand(stack: Stack) -> Stack:
    """Return the stack in memory where there is room for it, else as it is."""
    return np.asarray(stack) if stack.nbytes <= POOL_NBYTES else stack


def rows_of(stack: Stack, samples: Indexes) -> NDArray[Any]:
    """Return these rows in this order; from what is not in memory neighbouring rows are read together."""
    if isinstance(stack, np.ndarray):
        return stack[samples]
    runs = np.split(samples, np.flatnonzero(np.diff(samples) != 1) + 1)
    return np.concatenate([np.asarray(stack[int(run[0]) : int(run[-1]) + 1]) for run in runs])
