"""The network: a few small BERTs trained side by side, and a linear model of the tokens, whose mean is the prediction.

Source of the mean: B. Lakshminarayanan, A. Pritzel, C. Blundell, arXiv 1612.01474, deep ensembles. A linear model errs
otherwise than a transformer does, and so the mean of both is better than either on small tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn

from smalti.canonical import Json
from smalti.errors import Refused
from smalti.models import bert
from smalti.models.bert import BertConfig
from smalti.tabular.linear import LinearModel


class TableNetwork(nn.Module):
    """The members, each a BERT with weights of its own, and the linear model, which is given and not trained here.

    Args:
        config: of each member; one label without a problem type of classes is a regression.
        members: how many.
        linear_share: of the linear model in a prediction, from 0, where there is none, to below 1.
    """

    def __init__(self, config: BertConfig, members: int, linear_share: float) -> None:
        super().__init__()
        self.regression = config.problem_type == "regression"
        self.linear_share = linear_share
        self.members: list[Any] = [bert.build(config) for _ in range(members)]
        if linear_share:
            self.linear = Linear(config.vocab_size, len(config.labels))

    def __call__(self, ids: mx.array, numbers: mx.array) -> mx.array:
        """Return what each member returns, (members, B, labels) float32: logits, or a standardised number.

        Args:
            ids: (B, L) int32, filled up with id 0.
            numbers: (B, L) float32, standardised; 0 where a token stands for no number.
        """
        return mx.stack([member(ids, ids != 0, values=numbers) for member in self.members])

    def predict(self, ids: mx.array, numbers: mx.array) -> mx.array:
        """Return the mean of members and linear model, (B, labels) float32: probabilities, or a standardised number.

        Args: as ``__call__``.
        """
        deep = self._scaled(self(ids, numbers)).mean(axis=0)
        if not self.linear_share:
            return deep
        return (1 - self.linear_share) * deep + self.linear_share * self._scaled(self.linear(ids, numbers))

    def _scaled(self, outputs: mx.array) -> mx.array:
        return outputs if self.regression else mx.softmax(outputs, axis=-1)


class Linear(nn.Module):
    """A ``LinearModel`` as frozen weights; 0 until ``set`` gives them."""

    def __init__(self, vocab_size: int, labels: int) -> None:
        super().__init__()
        self.occurrence = mx.zeros((vocab_size, labels))
        self.number = mx.zeros((vocab_size, labels))
        self.freeze()

    def set(self, model: LinearModel) -> None:
        self.occurrence = mx.array(model.occurrence.astype(np.float32))
        self.number = mx.array(model.number.astype(np.float32))

    def __call__(self, ids: mx.array, numbers: mx.array) -> mx.array:
        """(B, L) and (B, L) -> (B, labels)."""
        terms = self.occurrence[ids] + numbers[..., None] * self.number[ids]  # (B, L, labels)
        return (terms * (ids != 0)[..., None]).sum(axis=1)


def network_config(config: BertConfig, members: int, linear_share: float) -> dict[str, Json]:
    """Return what ``from_config`` makes the network of: the entries of its BERTs, ``members`` and ``linear_share``."""
    return {**config.to_json(), "members": members, "linear_share": linear_share}


def from_config(config: Mapping[str, Any]) -> TableNetwork:
    """Return the untrained network of a checkpoint's ``config``, drawn from ``mx.random``.

    Raises:
        Refused: the config is of another network, or what ``BertConfig`` refuses.
    """
    if config.get("model_type") != "bert" or "members" not in config or "table" not in config:
        raise Refused(
            f"the checkpoint is of a {config.get('model_type')!r} and not of a BERT trained on a table; give one of "
            "those."
        )
    names = {field.name for field in fields(BertConfig)}
    entries = {name: value for name, value in config.items() if name in names}
    made = BertConfig(**{**entries, "labels": tuple(config["labels"])})
    return TableNetwork(made, config["members"], config["linear_share"])
