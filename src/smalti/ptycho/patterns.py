"""Random batches of patterns that need not fit into memory: a shuffle buffer, filled in blocks of neighbours.

Blocks in random order fill the buffer, and batches are drawn from it at random, so that a store is read in long runs.
A scan that fits into the buffer is read once and kept, and its order is a plain permutation. The order depends on the
shape of the scan, the batch, the buffer and the seed, not on where the patterns are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Indexes = NDArray[np.int64]

BUFFER_NBYTES = 256 * 2**20
BLOCK_PATTERNS = 64


class Patterns(Protocol):
    """(N, H, W) float32 amplitudes: a numpy array, or a LazyArray of which only the indexed rows are read."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, some: slice, /) -> NDArray[np.float32]: ...


class ShuffleBuffer:
    """The patterns of a scan in random batches, read through a buffer of ``buffer_nbytes``, at least one block.

    Attributes:
        count: number of patterns.
    """

    def __init__(self, patterns: Patterns, batch: int, buffer_nbytes: int = BUFFER_NBYTES) -> None:
        self._patterns, self._batch = patterns, batch
        self.count = patterns.shape[0]
        blocks = buffer_nbytes // (BLOCK_PATTERNS * 4 * math.prod(patterns.shape[1:]))
        self._blocks_per_buffer = max(1, blocks)
        self._whole = patterns[:] if self.count <= self._blocks_per_buffer * BLOCK_PATTERNS else None

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[Indexes, NDArray[np.float32]]]:
        """Yield (B,) indexes and (B, H, W) patterns, each pattern once; batches of a filling differ by at most 1."""
        for some, patterns in self._fillings(rng):
            order = rng.permutation(len(some))
            for chosen in np.array_split(order, math.ceil(len(order) / self._batch)):
                yield some[chosen], patterns[chosen]

    def _fillings(self, rng: np.random.Generator) -> Iterator[tuple[Indexes, NDArray[np.float32]]]:
        if self._whole is not None:
            yield np.arange(self.count), self._whole
            return
        starts = rng.permutation(np.arange(0, self.count, BLOCK_PATTERNS))
        buffer = np.empty((self._blocks_per_buffer * BLOCK_PATTERNS, *self._patterns.shape[1:]), np.float32)
        for first in range(0, len(starts), self._blocks_per_buffer):
            numbers = [
                np.arange(start, min(start + BLOCK_PATTERNS, self.count))
                for start in starts[first : first + self._blocks_per_buffer]
            ]
            end = 0
            for block in numbers:
                buffer[end : end + len(block)] = self._patterns[int(block[0]) : int(block[-1]) + 1]
                end += len(block)
            yield np.concatenate(numbers), buffer[:end]


def one_count(patterns: Patterns, good: NDArray[np.bool_]) -> float:
    """Return the least intensity above 0 of any good pixel, taken for one count in the unit of the patterns; else 0.

    Args:
        good: (H, W) bool, the pixels that count.
    """
    least = math.inf
    for start in range(0, patterns.shape[0], BLOCK_PATTERNS):
        block = patterns[start : start + BLOCK_PATTERNS]
        least = min(least, float(block.min(where=good & (block > 0), initial=math.inf)))
    return least**2 if math.isfinite(least) else 0.0
