"""Weights and optimizer state of MLX as named tensors of numpy, and back, to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten, tree_unflatten
from numpy.typing import NDArray

from smalti.codecs.array import BFloat16
from smalti.errors import Refused

Tensor = NDArray[Any] | BFloat16


def to_numpy(tree: Any) -> dict[str, Tensor]:
    """Return copies of the arrays of a tree by dotted name; bfloat16, which numpy lacks, as ``BFloat16``."""
    flat: Any = tree_flatten(tree)
    return {name: _to_numpy(array) for name, array in flat}


def to_mlx(tensor: Any) -> mx.array:
    """Return one tensor as an MLX array."""
    if isinstance(tensor, mx.array):
        return tensor
    if isinstance(tensor, BFloat16):
        return mx.array(np.asarray(tensor.bits)).view(mx.bfloat16)
    return mx.array(tensor)


def to_tree(tensors: Mapping[str, Any]) -> Any:
    """Return the tree of MLX arrays that ``to_numpy`` flattened."""
    return tree_unflatten([(name, to_mlx(tensor)) for name, tensor in tensors.items()])


def load_weights(network: nn.Module, tensors: Mapping[str, Any]) -> None:
    """Give a network all its weights.

    Raises:
        Refused: a weight is missing, unknown or of another shape; the network is as it was.
    """
    try:
        network.load_weights([(name, to_mlx(tensor)) for name, tensor in tensors.items()])
    except ValueError as error:
        raise Refused(
            f"the weights are not those of this {type(network).__name__} ({error}); build the network that they "
            "are of, or train it again."
        ) from error


def _to_numpy(array: mx.array) -> Tensor:
    if array.dtype == mx.bfloat16:
        return BFloat16(np.array(array.view(mx.uint16)))
    return np.array(array)
