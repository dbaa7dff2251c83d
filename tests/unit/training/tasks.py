"""Tasks small enough to train in a test, with everything that could go wrong on a resume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from numpy.typing import NDArray

Samples = NDArray[np.int64]

EVALUATED = np.array([3, 13])  # of a line


@dataclass(frozen=True)
class Line:
    """Learn y = 3x through a dropout, so that a wrong random number or order shows in the weights."""

    label: str = "line"
    poison: float = 3.0
    tokenizer: str = ""
    separable: bool = True
    batches: int = 5
    samples: int = 20
    dropout: float = 0.5

    @property
    def model_config(self) -> dict[str, Any]:
        return {"model_type": self.label}

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Linear(1, 8), nn.Dropout(self.dropout), nn.ReLU(), nn.Linear(8, 1))

    def order(self, rng: np.random.Generator) -> Sequence[Samples]:
        return np.array_split(rng.permutation(self.samples), self.batches)

    def batch(self, samples: Samples) -> tuple[NDArray[Any], ...]:
        x = samples[:, None].astype(np.float32) / 20
        return x, self.poison * x

    def loss(self, network: nn.Module, x: mx.array, y: mx.array) -> mx.array:
        return mx.square(network(x) - y).mean()

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        loss = self.loss(network, *(mx.array(a) for a in self.batch(EVALUATED))).item()
        return {"validation_loss": loss, "rmse": math.sqrt(loss)}


class Encoder(nn.Module):
    """A transformer that tells a class from tokens."""

    def __init__(self, dims: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Embedding(16, dims)
        self.encoder = nn.TransformerEncoder(1, dims, 2, 2 * dims, dropout=0.1)
        self.head = nn.Linear(dims, 2)

    def __call__(self, tokens: mx.array) -> mx.array:
        return self.head(self.encoder(self.embedding(tokens), None).mean(axis=1))


class Words:
    """Tell whether the first of 4 to 8 tokens is even; batches have sequences of one length each."""

    tokenizer = '{"model": {}}'
    separable = True

    def __init__(self, batches: int = 12, batch: int = 4) -> None:
        rng = np.random.default_rng(7)
        self._lengths = np.repeat(rng.integers(2, 5, batches) * 2, batch)
        self._tokens = rng.integers(0, 16, (len(self._lengths), 8)).astype(np.int32)
        self._batch = batch

    @property
    def model_config(self) -> dict[str, Any]:
        return {"model_type": "words"}

    def build(self) -> Encoder:
        return Encoder()

    def order(self, rng: np.random.Generator) -> Sequence[Samples]:
        return rng.permutation(np.arange(len(self._tokens)).reshape(-1, self._batch))

    def batch(self, samples: Samples) -> tuple[NDArray[Any], ...]:
        tokens = self._tokens[samples][:, : self._lengths[samples[0]]]
        return tokens, tokens[:, 0] % 2

    def loss(self, network: Encoder, tokens: mx.array, labels: mx.array) -> mx.array:
        return nn.losses.cross_entropy(network(tokens), labels, reduction="mean")

    def evaluate(self, network: Encoder) -> dict[str, float]:
        tokens = np.random.default_rng(8).integers(0, 16, (32, 6)).astype(np.int32)
        scores = network(mx.array(tokens))
        labels = mx.array(tokens[:, 0] % 2)
        return {
            "validation_loss": nn.losses.cross_entropy(scores, labels, reduction="mean").item(),
            "accuracy": mx.mean(scores.argmax(axis=1) == labels).item(),
        }


@dataclass(frozen=True)
class Scripted(Line):
    """A line whose evaluations are written beforehand."""

    script: tuple[dict[str, float], ...] = ()
    asked: list[int] = field(default_factory=list)

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        self.asked.append(len(self.asked))
        return {"validation_loss": 1.0, **self.script[self.asked[-1]]}
