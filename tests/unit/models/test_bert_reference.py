"""BERT computes what the same arithmetic in numpy does, in float64 and under the names of ``transformers``."""

import math
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map
from numpy.typing import NDArray

from smalti.models.bert import BertConfig, build
from smalti.models.huggingface import to_huggingface

Array = NDArray[np.float64]
LENGTHS = (5, 9)
ACTIVATIONS = {
    "gelu": np.vectorize(lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2))),
    "gelu_new": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
}


def reference(config: BertConfig, weights: dict[str, Array], ids: Array, types: Array) -> tuple[Array, Array]:
    """Return last hidden state (L, hidden_size) and pooled output of one sequence without padding."""

    def linear(name: str, x: Array) -> Array:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def normed(name: str, x: Array) -> Array:
        scale = np.sqrt(x.var(-1, keepdims=True) + config.layer_norm_eps)
        return (x - x.mean(-1, keepdims=True)) / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def attention(layer: str, x: Array) -> Array:
        size, seen = config.hidden_size // config.num_attention_heads, []
        query, key, value = (linear(f"{layer}.attention.self.{m}", x) for m in ("query", "key", "value"))
        for head in range(config.num_attention_heads):
            part = slice(head * size, (head + 1) * size)
            share = np.exp(query[:, part] @ key[:, part].T / math.sqrt(size))
            seen.append(share / share.sum(-1, keepdims=True) @ value[:, part])
        return linear(f"{layer}.attention.output.dense", np.concatenate(seen, -1))

    def feed_forward(layer: str, x: Array) -> Array:
        wide = ACTIVATIONS[config.hidden_act](linear(f"{layer}.intermediate.dense", x))
        return linear(f"{layer}.output.dense", wide)

    post, words = config.norm == "post", weights["embeddings.word_embeddings.weight"]
    x = words[ids] + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + weights["embeddings.token_type_embeddings.weight"][types]
    x = normed("embeddings.LayerNorm", x) if post else x
    for number in range(config.num_hidden_layers):
        layer = f"encoder.layer.{number}"
        first, second = f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"
        x = normed(first, x + attention(layer, x)) if post else x + attention(layer, normed(first, x))
        x = normed(second, x + feed_forward(layer, x)) if post else x + feed_forward(layer, normed(second, x))
    x = x if post else normed("embeddings.LayerNorm", x)
    return x, np.tanh(linear("pooler.dense", x[0] if config.pooling == "cls" else x.mean(0)))


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_are_those_of_numpy(activation: str, norm: str, pooling: str) -> None:
    config = BertConfig(
        vocab_size=30,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        hidden_act=activation,
        max_position_embeddings=11,
        initializer_range=0.3,
        layer_norm_eps=1e-6,
        norm=norm,
        pooling=pooling,
    )
    mx.random.seed(4)
    model: Any = build(config).eval()
    model.update(tree_map(lambda array: array + 0.1 * mx.random.normal(array.shape), model.parameters()))
    weights = {
        name: np.asarray(array, np.float64)
        for name, array in to_huggingface(dict(tree_flatten(model.parameters())), config).items()
    }
    rng = np.random.default_rng(5)
    ids, types = rng.integers(0, 30, (2, max(LENGTHS))), rng.integers(0, 2, (2, max(LENGTHS)))
    mask = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    hidden, pooled = model(mx.array(ids), mx.array(mask), mx.array(types))
    for row, length in enumerate(LENGTHS):
        expected = reference(config, weights, ids[row, :length], types[row, :length])
        np.testing.assert_allclose(hidden[row, :length], expected[0], atol=1e-5)
        np.testing.assert_allclose(pooled[row], expected[1], atol=1e-5)
