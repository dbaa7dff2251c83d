"""Position correction: gradient steps on the probe positions, of limited size and range.

A step is the gradient by the position over its root mean square among the patterns, a running mean, so that patterns
that fit move less than those that do not. Each step and the total shift are limited. The mean shift is removed, since
a shift of all positions is equivalent to a shift of the object.

Source: P. Dwivedi et al., Ultramicroscopy 192, 29 (2018), for position correction by gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.ptycho.geometry import Placement

LARGEST_STEP = 3.0  # root mean squares
MEMORY = 0.9  # of the mean square, per batch


@dataclass(frozen=True, eq=False, slots=True)
class PositionState:
    """The corrections so far; part of the solver's state.

    Attributes:
        shift_px: (N, 2) float64, corrected less stated position, down and right.
        mean_square: (2,) float64, running mean square of the gradients; 0 before the first.
    """

    shift_px: NDArray[np.float64]
    mean_square: NDArray[np.float64]


class Positions:
    """The probe positions of a scan on its canvas, as first row and column of each window, with their corrections."""

    def __init__(self, placement: Placement, range_px: float, state: PositionState | None = None) -> None:
        self._stated = np.stack([placement.rows + placement.dy.astype(float), placement.cols + placement.dx], axis=1)
        self._range_px = range_px
        self._shift_px = np.zeros_like(self._stated) if state is None else state.shift_px.copy()
        self._mean_square = np.zeros(2) if state is None else state.mean_square

    @property
    def state(self) -> PositionState:
        return PositionState(self._shift_px.copy(), self._mean_square)

    def at(self, some: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return (B, 2) int32 corners on whole pixels and (B, 2) float32 remainders from -0.5 to 0.5."""
        first = self._stated[some] + self._shift_px[some]
        corner = np.floor(first + 0.5)
        return corner.astype(np.int32), (first - corner).astype(np.float32)

    def step(self, some: NDArray[np.int64], gradient: NDArray[np.float32], rate_px: float) -> None:
        """Move these against their (B, 2) gradient, by ``rate_px`` where it equals the root mean square."""
        now = np.square(gradient, dtype=np.float64).mean(axis=0)
        known = self._mean_square.any()
        self._mean_square = MEMORY * self._mean_square + (1 - MEMORY) * now if known else now
        usual = np.sqrt(np.maximum(self._mean_square, np.finfo(np.float64).tiny))
        self._move(some, -rate_px * np.clip(gradient / usual, -LARGEST_STEP, LARGEST_STEP))

    def remove_mean_shift(self) -> None:
        """Subtract the mean shift, exactly zero afterwards unless that takes a position to the limit of its range."""
        self._move(slice(None), -self._shift_px.mean(axis=0))

    def _move(self, some: NDArray[np.int64] | slice, step_px: NDArray[np.float64]) -> None:
        self._shift_px[some] = np.clip(self._shift_px[some] + step_px, -self._range_px, self._range_px)
