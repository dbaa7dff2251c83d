"""Patterns that need not fit into memory: what is read of them, and in which order.

A batch wants random patterns, a store wants to be read in long runs. So blocks of neighbours are drawn at random until
a pool is full, and batches at random from the pool. A scan that fits into the pool is read once and kept, and its order
is a plain permutation. The order depends on the shape and the seed alone, not on where the patterns are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Indexes = NDArray[np.int64]

POOL_NBYTES = 256 * 2**20
BLOCK_PATTERNS = 64


class Patterns(Protocol):
    """(N, H, W) float32 amplitudes: a numpy array, or a LazyArray of which only the asked rows are read."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, some: slice, /) -> NDArray[np.float32]: ...


class Pools:
    """The patterns of a scan in random batches, with at most ``pool_nbytes`` of them in memory at once.

    Attributes:
        count: how many there are.
    """

    def __init__(self, patterns: Patterns, batch: int, pool_nbytes: int = POOL_NBYTES) -> None:
        self._patterns, self._batch = patterns, batch
        self.count = patterns.shape[0]
        blocks = pool_nbytes // (BLOCK_PATTERNS * 4 * math.prod(patterns.shape[1:]))
        self._blocks_per_pool = max(1, blocks)
        self._whole = patterns[:] if self.count <= self._blocks_per_pool * BLOCK_PATTERNS else None

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[Indexes, NDArray[np.float32]]]:
        """Yield (numbers, patterns) until each pattern came once; batches of a pool differ by at most 1 in size."""
        for some, pool in self._pools(rng):
            order = rng.permutation(len(some))
            for chosen in np.array_split(order, math.ceil(len(order) / self._batch)):
                yield some[chosen], pool[chosen]

    def _pools(self, rng: np.random.Generator) -> Iterator[tuple[Indexes, NDArray[np.float32]]]:
        if self._whole is not None:
            yield np.arange(self.count), self._whole
            return
        starts = rng.permutation(np.arange(0, self.count, BLOCK_PATTERNS))
        pool = np.empty((self._blocks_per_pool * BLOCK_PATTERNS, *self._patterns.shape[1:]), np.float32)
        for first in range(0, len(starts), self._blocks_per_pool):
            numbers = [
                np.arange(start, min(start + BLOCK_PATTERNS, self.count))
                for start in starts[first : first + self._blocks_per_pool]
            ]
            end = 0
            for block in numbers:
                pool[end : end + len(block)] = self._patterns[int(block[0]) : int(block[-1]) + 1]
                end += len(block)
            yield np.concatenate(numbers), pool[:end]


def one_count(patterns: Patterns, good: NDArray[np.bool_]) -> float:
    """Return the least intensity above 0 that any (H, W) good pixel has: one count, in whatever unit; 0 if none."""
    least = math.inf
    for start in range(0, patterns.shape[0], BLOCK_PATTERNS):
        block = patterns[start : start + BLOCK_PATTERNS]
        least = min(least, float(block.min(where=good & (block > 0), initial=math.inf)))
    return least**2 if math.isfinite(least) else 0.0
