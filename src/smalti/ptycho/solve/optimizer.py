"""The optimizer: stochastic gradient descent on object, pupil and positions, epoch by epoch, with a resumable state.

Object and pupil are updated by Adam without its bias correction. A complex number has one second moment, that of its
magnitude, so that updates do not depend on its phase.

Source: D. Kingma, J. Ba, ICLR 2015, for Adam.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from smalti.compute.kernels import compiling_alone
from smalti.errors import Refused
from smalti.ptycho.forward import Batch, ForwardModel
from smalti.ptycho.geometry import Placement
from smalti.ptycho.patterns import Indexes, ShuffleBuffer
from smalti.ptycho.solve.positions import Positions, PositionState
from smalti.ptycho.solve.settings import SolverSettings
from smalti.store.values import Tree

Report = Callable[[dict[str, Any]], None]
Arrays = Mapping[str, NDArray[Any]]

ADAM_BETAS = (0.9, 0.99)
ADAM_EPSILON = 1e-24  # far below the squared gradient of any lit pixel
FINAL_RATE = 0.02  # of the initial rate, reached by a cosine schedule
UNKNOWNS = ("object", "pupil")


@dataclass(frozen=True, eq=False, slots=True)
class SolverState:
    """The state after an epoch; a run resumed from it ends in the same bits.

    Attributes:
        arrays: ``object`` (M, K) and ``pupil`` (P, H, W), complex64; their moments ``object_first`` (complex64) and
            ``object_second`` (float32), and ``pupil_first`` and ``pupil_second``.
        positions: the position corrections.
        losses: one for each epoch so far.
        initial_object: ``flat`` (1 + 0j) or ``given``.
    """

    arrays: Arrays
    positions: PositionState
    losses: tuple[float, ...]
    initial_object: str

    @classmethod
    def initial(
        cls, obj: NDArray[np.complex64], pupil: NDArray[np.complex64], patterns: int, initial_object: str
    ) -> SolverState:
        """Return the state before the first epoch."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, values in zip(UNKNOWNS, (obj, pupil), strict=True):
            arrays |= {
                name: values,
                f"{name}_first": np.zeros_like(values),
                f"{name}_second": np.zeros(values.shape, np.float32),
            }
        return cls(arrays, PositionState(np.zeros((patterns, 2)), np.zeros(2)), (), initial_object)

    def to_tree(self) -> Tree:
        """Return the tree it is stored as."""
        positions = {"shift_px": self.positions.shift_px, "mean_square": self.positions.mean_square}
        children = {**self.arrays, **positions, "losses": np.array(self.losses)}
        return Tree(children, {"initial_object": self.initial_object})

    @classmethod
    def from_stored(cls, value: Mapping[str, Any]) -> SolverState:
        """Return what ``store.get`` gives for a stored ``to_tree()``."""
        arrays = dict(value)
        positions = PositionState(arrays.pop("shift_px"), arrays.pop("mean_square"))
        losses, initial_object = tuple(arrays.pop("losses").tolist()), arrays.pop("initial_object")
        return cls(arrays, positions, losses, initial_object)


class Optimizer:
    """One run of the solver: the unknowns with their moments, updated batch by batch."""

    def __init__(
        self,
        model: ForwardModel,
        buffer: ShuffleBuffer,
        placement: Placement,
        settings: SolverSettings,
        state: SolverState,
    ) -> None:
        self._buffer, self._settings, self._floor = buffer, settings, model.floor
        self._positions = Positions(placement, settings.position_range_px, state.positions)
        self._arrays = {name: mx.array(values) for name, values in state.arrays.items()}
        self._losses, self._initial_object = state.losses, state.initial_object
        self._as_measured = model.propagation.as_measured
        self._scales = {"object": mx.array(1.0), "pupil": model.pupil_scale}
        self._gradient: Callable[..., Any] = mx.compile(
            lambda obj, pupil, *batch: model.gradient(obj, pupil, Batch(*batch))
        )
        self._adam: Callable[..., Any] = mx.compile(_adam)
        self._compiled: set[tuple[int, ...]] = set()

    @property
    def state(self) -> SolverState:
        """The current state, to be taken between epochs."""
        arrays = {name: np.array(values) for name, values in self._arrays.items()}
        return SolverState(arrays, self._positions.state, self._losses, self._initial_object)

    @property
    def epoch(self) -> int:
        """Number of epochs done, those of a resumed state included."""
        return len(self._losses)

    def run_epoch(self) -> dict[str, Any]:
        """Take every pattern once; return ``epoch``, ``epochs``, ``loss`` (mean per pattern) and ``patterns_per_s``.

        Raises:
            Refused: the loss is no longer finite.
        """
        settings, since = self._settings, time.perf_counter()
        rng = np.random.default_rng([settings.seed, self.epoch])
        moves_positions = (
            settings.refine_positions_from is not None and self.epoch + 1 >= settings.refine_positions_from
        )
        total, seen = 0.0, 0
        for some, patterns in self._buffer.batches(rng):
            fraction = _cosine((self.epoch + seen / self._buffer.count) / settings.epochs)
            with self._compile_lock(patterns.shape):
                loss, position = self._update(some, patterns, fraction)
            if moves_positions:
                self._positions.step(some, np.array(position), settings.position_rate_px * fraction)
            total += float(np.array(loss))
            seen += len(some)
        if not math.isfinite(total):
            raise Refused(
                f"the loss is {total} in epoch {self.epoch + 1}: object_rate {settings.object_rate:g} or probe_rate "
                f"{settings.probe_rate:g} is too large; halve them."
            )
        if moves_positions:
            self._positions.remove_mean_shift()
        self._losses = (*self._losses, total / seen)
        speed = seen / (time.perf_counter() - since)
        return {"epoch": self.epoch, "epochs": settings.epochs, "loss": self._losses[-1], "patterns_per_s": speed}

    def _update(self, some: Indexes, patterns: NDArray[np.float32], fraction: float) -> tuple[mx.array, mx.array]:
        """Update object and pupil; return the loss of the batch and its (B, 2) gradient by the positions."""
        measured = np.sqrt(np.square(self._as_measured(patterns)) + np.float32(self._floor))
        corner, shift = self._positions.at(some)
        arrays = self._arrays
        loss, *slopes, position = self._gradient(
            arrays["object"], arrays["pupil"], mx.array(measured), mx.array(corner), mx.array(shift)
        )
        rates = {"object": self._settings.object_rate}
        if self._settings.refine_probe:
            rates["pupil"] = self._settings.probe_rate
        for (name, rate), slope in zip(rates.items(), slopes, strict=False):
            names = (name, f"{name}_first", f"{name}_second")
            moved = self._adam(*(arrays[n] for n in names), slope, self._scales[name], mx.array(rate * fraction))
            arrays.update(zip(names, moved, strict=True))
        mx.eval(*arrays.values(), loss, position)
        return loss, position

    def _compile_lock(self, shape: tuple[int, ...]) -> AbstractContextManager[None]:
        """Return a context that holds the compile lock for the first batch of a shape, which MLX compiles."""
        if shape in self._compiled:
            return nullcontext()
        self._compiled.add(shape)
        return compiling_alone()


def _adam(
    value: mx.array, first: mx.array, second: mx.array, slope: mx.array, scale: mx.array, rate: mx.array
) -> tuple[mx.array, mx.array, mx.array]:
    """Return the value and its moments after a step against ``slope``, the gradient by ``value / scale``."""
    a, b = ADAM_BETAS
    first = a * first + (1 - a) * slope
    second = b * second + (1 - b) * 0.5 * (mx.square(mx.real(slope)) + mx.square(mx.imag(slope)))
    return value - first * (rate * scale * mx.rsqrt(second + ADAM_EPSILON)), first, second


def _cosine(done: float) -> float:
    """Return the rate as a fraction of the initial one, after the fraction ``done`` of all epochs."""
    return FINAL_RATE + (1 - FINAL_RATE) * (1 + math.cos(math.pi * done)) / 2
