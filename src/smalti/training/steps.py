"""One step of the optimizer: gradients of its batches, averaged over their samples and over the ranks, then an update.

Everything that a step draws from ``mx.random`` is part of the compiled functions' state, so its seed decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        self._first_alone("update", self._update, gradient)
        mx.eval(loss, self._network.state, self._optimizer.state)
        return float(np.array(loss))

    def _mean(self, batches: Sequence[Samples] | Samples) -> tuple[mx.array, Gradient]:
        """Return loss and gradient of this rank's parts, weighted so that the mean over the ranks is that of all."""
        samples = sum(map(len, batches))
        mean: Any = None
        for batch in batches:
            part = self._ranks.part(batch)
            weight = len(part) * self._ranks.size / samples
            arrays = tuple(mx.array(array) for array in self._arrays_of(part))
            shapes = tuple((array.shape, array.dtype) for array in arrays)
            found = self._first_alone(shapes, self._gradient, *arrays)
            if weight != 1:
                found = tree_map(partial(_scaled, weight), found)
            mean = found if mean is None else tree_map(mx.add, mean, found)
            if len(batches) > 1:
                mx.eval(mean)  # so that one batch is in memory at a time
        return mean  # type: ignore[no-any-return]

    def _first_alone(self, what: Any, compiled: Callable[..., Any], *arguments: Any) -> Any:
        """Call a compiled function; the first time for ``what``, evaluate it while no other process compiles.

        No rank may wait for another in there: that one might wait for the same.
        """
        if what in self._compiled:
            return compiled(*arguments)
        with compiling_alone():
            result = compiled(*arguments)
            mx.eval(result, self._network.state, self._optimizer.state, mx.random.state)
        self._compiled.add(what)
        return result


def _scaled(weight: float, array: mx.array) -> mx.array:
    return array * weight
