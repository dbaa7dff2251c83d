"""The network: a few small BERTs that are trained side by side, each with a linear model of the tokens added to it.

Sources: H.-T. Cheng et al., arXiv 1606.07792, Wide & Deep, for the linear model; B. Lakshminarayanan, A. Pritzel,
C. Blundell, arXiv 1612.01474, deep ensembles, for the mean of several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import mlx.core as mx
from mlx import nn

from smalti.canonical import Json
from smalti.errors import Refused
from smalti.models import bert
from smalti.models.bert import BertConfig


class Member(nn.Module):
    """A BERT, and unless ``wide`` is false a linear model of which tokens occur and of the numbers beside them."""

    def __init__(self, config: BertConfig, wide: bool) -> None:
        super().__init__()
        self.bert = bert.build(config)
        if wide:
            self.occurrence = mx.zeros((config.vocab_size, len(config.labels)))
            self.number = mx.zeros((config.vocab_size, len(config.labels)))

    def __call__(self, ids: mx.array, numbers: mx.array) -> mx.array:
        """(B, L) and (B, L) -> (B, labels)."""
        is_token = ids != 0
        outputs: Any = self.bert(ids, is_token, values=numbers)
        if "occurrence" in self:
            terms = self.occurrence[ids] + numbers[..., None] * self.number[ids]  # (B, L, labels)
            outputs = outputs + (terms * is_token[..., None]).sum(axis=1)
        result: mx.array = outputs
        return result


class TableNetwork(nn.Module):
    """The members; each has weights of its own."""

    def __init__(self, config: BertConfig, members: int, wide: bool) -> None:
        super().__init__()
        self.members = [Member(config, wide) for _ in range(members)]

    def __call__(self, ids: mx.array, numbers: mx.array) -> mx.array:
        """Return what each member returns, (members, B, labels) float32: logits, or a standardised number.

        Args:
            ids: (B, L) int32, filled up with id 0.
            numbers: (B, L) float32, standardised; 0 where a token stands for no number.
        """
        return mx.stack([member(ids, numbers) for member in self.members])


def network_config(config: BertConfig, members: int, wide: bool) -> dict[str, Json]:
    """Return what ``from_config`` makes the network of: the entries of its BERTs, ``members`` and ``wide``."""
    return {**config.to_json(), "members": members, "wide": wide}


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
    return TableNetwork(BertConfig(**{**entries, "labels": tuple(config["labels"])}), config["members"], config["wide"])
