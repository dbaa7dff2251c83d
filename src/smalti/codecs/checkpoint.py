"""A resumable training state, and the tree it is stored as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.codecs.array import BFloat16
from smalti.codecs.weights import Weights
from smalti.store.values import Tree

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, eq=False, slots=True)
class Checkpoint:
    """Everything a training run needs to go on to the same bits.

    Attributes:
        model: parameter name -> array of numpy or MLX, as MLX flattens a module; see ``Weights``.
        optimizer: state name -> array, as MLX flattens an optimizer; step and learning rate included.
        config: the model's and the run's configuration; ``config["model_type"]`` names the model's module.
        state: position (epoch, step), seed, best metric, history, and what it ran on (versions, BLAS, threads).
        contract: the contract and version it passed, e.g. ``checkpoint/1``; "" when it was not validated.
        tokenizer: the JSON text of the ``tokenizers`` Tokenizer that made its tokens; "" where there is none.
    """

    model: Mapping[str, NDArray[Any] | BFloat16]
    optimizer: Mapping[str, NDArray[Any] | BFloat16]
    config: Mapping[str, Json]
    state: Mapping[str, Json]
    contract: str = ""
    tokenizer: str = ""

    def _repr_html_(self) -> str:
        from smalti.notebook import shown

        return shown(self)


class CheckpointCodec:
    """Checkpoint <-> tree: two safetensors files, two JSON documents, and the tokenizer's where there is one."""

    type_name = "checkpoint"
    python_type = Checkpoint

    def to_tree(self, checkpoint: Checkpoint) -> Tree:
        children: dict[str, Any] = {"model": Weights(checkpoint.model), "optimizer": Weights(checkpoint.optimizer)}
        if checkpoint.tokenizer:
            children[TOKENIZER] = checkpoint.tokenizer.encode()
        attrs: dict[str, Json] = {"config": dict(checkpoint.config), "state": dict(checkpoint.state)}
        if checkpoint.contract:
            attrs["contract"] = checkpoint.contract
        return Tree(children, attrs, self.type_name)

    def from_tree(self, tree: Tree) -> Checkpoint:
        return Checkpoint(
            model=tree.children["model"].tensors,
            optimizer=tree.children["optimizer"].tensors,
            config=tree.attrs["config"],
            state=tree.attrs["state"],
            contract=tree.attrs.get("contract", ""),
            tokenizer=bytes(tree.children.get(TOKENIZER, b"")).decode(),
        )
