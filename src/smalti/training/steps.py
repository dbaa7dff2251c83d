"""One step of the optimizer: gradients of its batches, averaged over their samples and over the ranks, then an update.

Everything that a step draws from ``mx.random`` is part of the compiled functions' state, so its seed decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
from mlx import nn
from mlx.utils import tree_map
from numpy.typing import NDArray

from smalti.compute.kernels import compiling_alone
from smalti.training.ranks import Ranks

Samples = NDArray[np.int64]
Gradient = Any  # a tree of arrays, as MLX makes them of a network


class OptimizerStep:
    """A step, compiled once for each set of shapes that the batches have.

    The loss of a batch is taken for the mean over its samples: batches and parts of batches count by how many they are.
    """

    def __init__(
        self,
        arrays_of: Callable[[Samples], tuple[NDArray[Any], ...]],
        loss: Callable[..., mx.array],
        network: nn.Module,
        optimizer: optim.Optimizer,
        ranks: Ranks,
    ) -> None:
        self._arrays_of, self._network, self._optimizer, self._ranks = arrays_of, network, optimizer, ranks
        self._compiled: set[Any] = set()  # shapes of batches, and the update
        gradient_state = [network.state, mx.random.state]
        update_state = [network.state, optimizer.state]
        loss_and_gradient = nn.value_and_grad(network, loss)

        @partial(mx.compile, inputs=gradient_state, outputs=gradient_state)
        def gradient(*arrays: mx.array) -> tuple[mx.array, Gradient]:
            found: tuple[mx.array, Gradient] = loss_and_gradient(*arrays)
            return found

        @partial(mx.compile, inputs=update_state, outputs=update_state)
        def update(gradient: Gradient) -> None:
            optimizer.update(network, gradient)

        self._gradient, self._update = gradient, update

    def __call__(self, batches: Sequence[Samples] | Samples) -> float:
        """Take one step on all the batches and return the mean loss.

        Raises:
            Refused: a batch has fewer samples than there are ranks.
        """
        loss, gradient = self._ranks.averaged(self._mean(batches))
        with self._compiling("update"):
            self._update(gradient)
            mx.eval(loss, self._network.state, self._optimizer.state)
        return float(np.array(loss))

    def _mean(self, batches: Sequence[Samples] | Samples) -> tuple[mx.array, Gradient]:
        """Return loss and gradient of this rank's parts, weighted so that the mean over the ranks is that of all."""
        samples = sum(map(len, batches))
        mean: Any = None
        for batch in batches:
            part = self._ranks.part(batch)
            weight = len(part) * self._ranks.size / samples
            found = self._loss_and_gradient(part)
            if weight != 1:
                found = tree_map(partial(_scaled, weight), found)
            mean = found if mean is None else tree_map(mx.add, mean, found)
            mx.eval(mean)  # one batch in memory at a time
        return mean  # type: ignore[no-any-return]

    def _loss_and_gradient(self, samples: Samples) -> tuple[mx.array, Gradient]:
        arrays = tuple(mx.array(array) for array in self._arrays_of(samples))
        with self._compiling(tuple((array.shape, array.dtype) for array in arrays)):
            found: tuple[mx.array, Gradient] = self._gradient(*arrays)
            mx.eval(found, mx.random.state)
        return found

    @contextmanager
    def _compiling(self, what: Any) -> Iterator[None]:
        """Let nobody else compile while ``what`` is evaluated for the first time; ranks must not wait in here."""
        if what in self._compiled:
            yield
            return
        with compiling_alone():
            yield
        self._compiled.add(what)


def _scaled(weight: float, array: mx.array) -> mx.array:
    return array * weight
