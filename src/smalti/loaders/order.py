"""The order of the samples in each epoch, cut into batches and dealt out to the ranks of a distributed run.

The samples of an epoch are a permutation that (seed, epoch) alone determine. A global batch is the next
``batch_size * world_size`` of it, of which each rank takes its part; so all that a run has seen at any moment is the
first ``position`` samples of the permutation, whatever the number of ranks, workers or batches read ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Order:
    """Which samples make up each batch of one rank.

    Attributes:
        samples: number of samples in the dataset, of all ranks together.
        batch_size: samples of one batch of one rank.
        drop_last: leave out the last samples of an epoch where they do not fill a batch on every rank. Otherwise they
            are dealt out evenly, and where they are fewer than the ranks, the last ranks have one batch fewer.
    """

    samples: int
    batch_size: int
    shuffle: bool = True
    seed: int = 0
    drop_last: bool = False
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise Refused(f"batch_size is {self.batch_size}; give 1 or more.")
        if self.seed < 0:
            raise Refused(f"seed is {self.seed}; give 0 or more.")
        if not 0 <= self.rank < self.world_size:
            raise Refused(f"rank {self.rank} of {self.world_size}: ranks count from 0 to world_size - 1.")

    @property
    def step_samples(self) -> int:
        """Samples that all ranks together take in one step."""
        return self.batch_size * self.world_size

    @property
    def uneven_samples(self) -> int:
        """Samples of the last step of an epoch where they do not suffice for every rank to have one, else 0."""
        rest = self.samples % self.step_samples
        return rest if not self.drop_last and rest < self.world_size else 0

    def permutation(self, epoch: int) -> Rows:
        """Return (samples,): the order of all ranks together; 8 bytes a sample."""
        if not self.shuffle:
            return np.arange(self.samples, dtype=np.int64)
        return np.random.default_rng([self.seed, epoch]).permutation(self.samples)

    def starts(self, position: int = 0) -> range:
        """Return where in the permutation each step begins that is left after ``position`` samples."""
        stop = self.samples - self.step_samples + 1 if self.drop_last else self.samples
        return range(position, max(position, stop), self.step_samples)

    def after(self, start: int) -> int:
        """Return the position after the step that begins at ``start``."""
        return min(start + self.step_samples, self.samples)

    def rows(self, permutation: Rows, start: int) -> Rows:
        """Return this rank's samples of the step that begins at ``start``; none where they do not suffice."""
        count = min(self.step_samples, self.samples - start)
        each, more = divmod(count, self.world_size)
        first = start + self.rank * each + min(self.rank, more)
        return permutation[first : first + each + (self.rank < more)]

    def rows_of(self, permutation: Rows, starts: range) -> Rows:
        """Return this rank's samples of one or more steps that follow each other, end to end."""
        if self.world_size == 1:
            return permutation[starts[0] : self.after(starts[-1])]
        return np.concatenate([self.rows(permutation, start) for start in starts])

    def batches(self, position: int = 0) -> int:
        """Return how many batches this rank has after ``position`` samples of an epoch."""
        whole, rest = divmod(max(0, self.samples - position), self.step_samples)
        return whole + (not self.drop_last and self.rank < rest)
