"""A resumable training state, and the tree it is stored as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.codecs.weights import Weights
from smalti.store.values import Tree


@dataclass(frozen=True, eq=False, slots=True)
class Checkpoint:
    """Everything a training run needs to go on to the same bits.

    Attributes:
        model: parameter name -> array of numpy or MLX, as MLX flattens a module; see ``Weights``.
        optimizer: state name -> array, as MLX flattens an optimizer; step and learning rate included.
        config: the model's and the run's configuration; ``config["model_type"]`` names the model's module.
        state: position (epoch, step), seed, best metric, history, and what it ran on (versions, BLAS, threads).
        contract: the contract and version it passed, e.g. ``checkpoint/1``; "" when it was not validated.
    """

    model: Mapping[str, NDArray[Any]]
    optimizer: Mapping[str, NDArray[Any]]
    config: Mapping[str, Json]
    state: Mapping[str, Json]
    contract: str = ""


class CheckpointCodec:
    """Checkpoint <-> tree: two safetensors files and two JSON documents."""

    type_name = "checkpoint"
    python_type = Checkpoint

    def to_tree(self, checkpoint: Checkpoint) -> Tree:
        weights = {"model": Weights(checkpoint.model), "optimizer": Weights(checkpoint.optimizer)}
        attrs: dict[str, Json] = {"config": dict(checkpoint.config), "state": dict(checkpoint.state)}
        if checkpoint.contract:
            attrs["contract"] = checkpoint.contract
        return Tree(weights, attrs, self.type_name)

    def from_tree(self, tree: Tree) -> Checkpoint:
        return Checkpoint(
            model=tree.children["model"].tensors,
            optimizer=tree.children["optimizer"].tensors,
            config=tree.attrs["config"],
            state=tree.attrs["state"],
            contract=tree.attrs.get("contract", ""),
        )
