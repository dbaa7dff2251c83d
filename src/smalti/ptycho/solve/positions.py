"""Where the probes sit on the object, and how far they may still move.

A position is refined along the gradient that the sub-pixel shift of the probe leaves, in units of the root mean square
gradient of all patterns: those that fit stay, those that do not move. A step and the whole way are limited, so that a
wrong object cannot throw a pattern off its neighbourhood. All positions together may not move, since a shift of all is
a shift of the object.

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
class Drift:
    """How far positions were moved; part of what a run is resumed from.

    Attributes:
        moved_px: (N, 2) float64, from where the scan has each, down and right.
        mean_square: (2,) float64, of the gradients so far; 0 before the first.
    """

    moved_px: NDArray[np.float64]
    mean_square: NDArray[np.float64]


class Positions:
    """(N, 2) first rows and columns of the probe windows on the canvas, in fractions of a pixel."""

    def __init__(self, placement: Placement, range_px: float, drift: Drift | None = None) -> None:
        self._stated = np.stack([placement.rows + placement.dy.astype(float), placement.cols + placement.dx], axis=1)
        self._range_px = range_px
        self._moved_px = np.zeros_like(self._stated) if drift is None else drift.moved_px.copy()
        self._mean_square = np.zeros(2) if drift is None else drift.mean_square

    @property
    def drift(self) -> Drift:
        return Drift(self._moved_px.copy(), self._mean_square)

    def at(self, some: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return (B, 2) corners on whole pixels and (B, 2) remainders in [-0.5, 0.5)."""
        first = self._stated[some] + self._moved_px[some]
        corner = np.floor(first + 0.5)
        return corner.astype(np.int32), (first - corner).astype(np.float32)

    def descend(self, some: NDArray[np.int64], gradient: NDArray[np.float32], rate_px: float) -> None:
        """Move these against their (B, 2) gradient, by ``rate_px`` where it is of usual size."""
        now = np.square(gradient, dtype=np.float64).mean(axis=0)
        known = self._mean_square.any()
        self._mean_square = MEMORY * self._mean_square + (1 - MEMORY) * now if known else now
        usual = np.sqrt(np.maximum(self._mean_square, np.finfo(np.float64).tiny))
        self._move(some, -rate_px * np.clip(gradient / usual, -LARGEST_STEP, LARGEST_STEP))

    def settle(self) -> None:
        """Take the mean way of all away."""
        self._move(slice(None), -self._moved_px.mean(axis=0))

    def _move(self, some: NDArray[np.int64] | slice, step_px: NDArray[np.float64]) -> None:
        self._moved_px[some] = np.clip(self._moved_px[some] + step_px, -self._range_px, self._range_px)
