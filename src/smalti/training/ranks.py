"""The processes that train one network together, each on its part of every batch, as ``mlx.launch`` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import mlx.core as mx
import numpy as np
from mlx import nn
from numpy.typing import NDArray

from smalti import canonical
from smalti.canonical import Json
from smalti.errors import Refused, Unavailable

T = TypeVar("T")

# By these a launcher tells a process that it is one of several: mlx.launch; mpirun of Open MPI, MPICH and Slurm.
_LAUNCHED = ("MLX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK")


@dataclass(frozen=True, slots=True)
class Ranks:
    """One process among ``size``; all of them call the same methods in the same order.

    Attributes:
        rank: from 0; rank 0 evaluates, reports and saves.
        size: 1 for a process by itself.
    """

    rank: int = 0
    size: int = 1

    def part(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the samples of a batch that this rank takes; with those of the others, each once.

        Raises:
            Refused: there are fewer samples than ranks.
        """
        if len(samples) < self.size:
            raise Refused(
                f"a batch has {len(samples)} samples for {self.size} ranks; take larger batches or fewer ranks."
            )
        return samples[self.rank :: self.size]

    def averaged(self, tree: T) -> T:
        """Return the mean over the ranks of every array of a tree, equal on all of them; it is waited for in here.

        Raises:
            Unavailable: a rank has gone.
        """
        if self.size == 1:
            return tree
        with self._talking():
            mean: T = nn.average_gradients(tree)
            mx.eval(mean)
        return mean

    def from_first(self, value: Json) -> Any:
        """Return the value of rank 0 on every rank.

        Raises:
            Unavailable: a rank has gone.
        """
        if self.size == 1:
            return value
        text = np.frombuffer(canonical.text(value) if self.rank == 0 else b"", np.uint8).astype(np.int32)
        with self._talking():
            nbytes = int(_summed(np.array(len(text), np.int32)))
        with self._talking():
            told = _summed(text if self.rank == 0 else np.zeros(nbytes, np.int32))
        return canonical.loads(told.astype(np.uint8).tobytes())

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Exchange arrays in here; in the end every rank has to answer: a sum need not raise when one is gone."""
        mine = np.zeros(self.size, np.int32)
        mine[self.rank] = 1
        try:
            yield
            gone = (_summed(mine) != 1).any()
        except RuntimeError:
            gone = True
        if gone:
            raise Unavailable(
                f"one of the {self.size} ranks has ended or lost its connection, seen by rank {self.rank}; look at "
                "what it said, and start all of them again."
            )


def this_process() -> Ranks:
    """Return the rank of this process among those that were launched with it.

    Raises:
        Unavailable: it was launched as one of several, but they do not find each other.
    """
    if not any(name in os.environ for name in _LAUNCHED):
        return Ranks()
    try:
        group = mx.distributed.init(strict=True)
    except RuntimeError as error:
        raise Unavailable(
            f"this process was launched as one of several, but they cannot talk to each other ({error}); start them "
            "again with mlx.launch, or unset MLX_RANK to train in one process."
        ) from error
    return Ranks(group.rank(), group.size())


def _summed(array: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.array(mx.distributed.all_sum(mx.array(array)))
