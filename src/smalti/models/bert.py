"""BERT: a transformer encoder of tokens, with a pooler, a classifier or regression, or a masked language model on top.

As published it is post-norm with exact GELU, which is what the defaults say. For training from scratch, ``norm="pre"``
trains without tuning of the warm-up, and ``number_values`` lets numbers stay numbers: a token that stands for one is
embedded as ``word[token] + value * number[token]``.

Sources: J. Devlin et al., arXiv 1810.04805, BERT, and its code in Hugging Face's ``transformers`` (modeling_bert.py),
whose names the configuration has; R. Xiong et al., arXiv 2002.04745, for pre-norm; S. Golkar et al., arXiv 2310.02989,
xVal, and Y. Gorishniy et al., arXiv 2106.11959, FT-Transformer, for embeddings that numbers scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_map_with_path

from smalti.canonical import Json
from smalti.errors import Refused

Given = mx.array | None
ERFC = (1.0, 0.0705230784, 0.0422820123, 0.0092705272, 0.0001520143, 0.0002765672, 0.0000430638)


def gelu(x: mx.array) -> mx.array:
    """x times the normal distribution function of x, float32, within 1e-6, and its gradient within 2e-6.

    By M. Abramowitz, I. Stegun, Handbook of Mathematical Functions, 7.1.28. On a CPU mlx computes one erf after the
    other, so that with ``mlx.nn.gelu`` a training step of a small model takes a third longer.
    """
    size = mx.abs(x)
    tail = mx.minimum(size, 8)  # where erfc is 1e-14; powers of larger ones overflow
    t = tail * math.sqrt(0.5)
    power = t * ERFC[-1] + ERFC[-2]
    for coefficient in reversed(ERFC[:-2]):
        power = power * t + coefficient
    for _ in range(4):
        power = mx.square(power)
    return 0.5 * (x + size - tail / power)  # erfc(t) = 1 / power


ACTIVATIONS: dict[str, Callable[[mx.array], mx.array]] = {
    "gelu": gelu,
    "gelu_new": nn.gelu_approx,
    "gelu_pytorch_tanh": nn.gelu_approx,
    "relu": nn.relu,
    "silu": nn.silu,
}
PROBLEM_TYPES = (None, "regression", "single_label_classification", "multi_label_classification")
_SIZES = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "type_vocab_size",
)  # fmt: skip
_MASKED = -1e9  # added to a score, it leaves a weight of exactly 0; rows that are all padding stay finite


@dataclass(frozen=True, slots=True)
class BertConfig:
    """The hyperparameters, under the names they have in a Hugging Face ``config.json`` where there is one.

    Attributes:
        architecture: the class below: ``BertModel``, ``BertForSequenceClassification`` or ``BertForMaskedLM``.
        labels: what the outputs of ``BertForSequenceClassification`` stand for, in order; one label is a regression.
        problem_type: what a classifier is trained for, which its outputs do not depend on; None where labels tell.
        vocab_size: number of tokens; every token id is below it.
        hidden_size: width of a token.
        num_hidden_layers: encoder layers.
        num_attention_heads: divides hidden_size.
        intermediate_size: width between the two matrices of a feed-forward block.
        hidden_act: its activation, one of ``ACTIVATIONS``.
        hidden_dropout_prob: fraction of an embedding, and of what a block returns, that training sets to 0.
        attention_probs_dropout_prob: the same of attention weights.
        classifier_dropout: the same of what the classifier is given; None: as hidden_dropout_prob.
        max_position_embeddings: longest sequence, in tokens.
        type_vocab_size: number of token types.
        initializer_range: standard deviation of untrained weights; biases are 0.
        layer_norm_eps: added to the variance in a layer norm.
        pad_token_id: the token that fills short sequences; told to others, and not used here: padding is what
            ``attention_mask`` says.
        norm: ``post``: layer norm after each sum, as published; ``pre``: before each block, and once at the end.
        pooling: ``cls``: the pooler is given the first token, as published; ``mean``: the mean of all but padding.
        number_values: whether the model takes ``values``.

    Raises:
        Refused: a size below 1, a fraction that is not in [0, 1), heads that do not divide the width, no label, or a
            choice that there is not.
    """

    architecture: str = "BertModel"
    labels: tuple[str, ...] = ("LABEL_0", "LABEL_1")
    problem_type: str | None = None
    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float | None = None
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    norm: str = "post"
    pooling: str = "cls"
    number_values: bool = False
    model_type: str = "bert"

    def __post_init__(self) -> None:
        for name in _SIZES:
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise Refused(f"{name} of BERT is {value!r}; give a whole number of at least 1.")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            value = getattr(self, name)
            if not _is_number(value, 0, 1) and not (value is None and name == "classifier_dropout"):
                raise Refused(f"{name} of BERT is {value!r}; give a number from 0 to below 1.")
        for name in ("initializer_range", "layer_norm_eps"):
            if not _is_number(getattr(self, name), 0, float("inf")):
                raise Refused(f"{name} of BERT is {getattr(self, name)!r}; give a finite number of at least 0.")
        choices: dict[str, tuple[Any, ...]] = {
            "architecture": tuple(MODELS),
            "hidden_act": tuple(ACTIVATIONS),
            "problem_type": PROBLEM_TYPES,
            "norm": ("post", "pre"),
            "pooling": ("cls", "mean"),
            "number_values": (False, True),
            "model_type": ("bert",),
        }
        for name, valid in choices.items():
            if getattr(self, name) not in valid:
                listed = ", ".join(str(choice) for choice in valid)
                raise Refused(
                    f"{name} of BERT is {getattr(self, name)!r}, which is not supported; take one of {listed}."
                )
        if self.hidden_size % self.num_attention_heads:
            raise Refused(
                f"{self.num_attention_heads} attention heads do not divide a hidden_size of {self.hidden_size}; "
                "change one of them."
            )
        if not self.labels or not all(isinstance(label, str) for label in self.labels):
            raise Refused(f"the labels of BERT are {self.labels!r}; give a text for each output, at least one.")

    def to_json(self) -> dict[str, Json]:
        """Return what ``from_config`` makes the model of: the ``config`` of a checkpoint."""
        return {**asdict(self), "labels": list(self.labels)}


def from_config(config: Mapping[str, Json]) -> Model:
    """Return the untrained model of a checkpoint's ``config``; entries that are no hyperparameters are ignored.

    Raises:
        Refused: the config is of another model, or what ``BertConfig`` refuses.
    """
    if config.get("model_type") != "bert":
        raise Refused(f"the config {dict(config)} is not that of a BERT; give one with model_type 'bert'.")
    names = {field.name for field in fields(BertConfig)}
    chosen: dict[str, Any] = {name: value for name, value in config.items() if name in names}
    if isinstance(chosen.get("labels"), list):
        chosen["labels"] = tuple(chosen["labels"])
    return build(BertConfig(**chosen))


def build(config: BertConfig) -> Model:
    """Return the untrained model of ``config.architecture``; its weights are drawn from ``mx.random``."""
    model = MODELS[config.architecture](config)

    def drawn(path: str, parameter: mx.array) -> mx.array:
        if parameter.ndim == 2:
            return config.initializer_range * mx.random.normal(parameter.shape)
        return mx.zeros_like(parameter) if path.endswith("bias") else mx.ones_like(parameter)

    model.update(tree_map_with_path(drawn, model.parameters()))
    return model


class BertModel(nn.Module):
    """Encoder and pooler."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.pooler = Pooler(config)

    def __call__(
        self, input_ids: mx.array, attention_mask: Given = None, token_type_ids: Given = None, values: Given = None
    ) -> tuple[mx.array, mx.array]:
        """Return the last hidden state (B, L, hidden_size) and the pooled output (B, hidden_size), float32.

        Args and errors: as ``Encoder``.
        """
        hidden = self.encoder(input_ids, attention_mask, token_type_ids, values)
        return hidden, self.pooler(hidden, attention_mask)


class BertForSequenceClassification(nn.Module):
    """Encoder, pooler, and a linear classifier, or a regression where there is one label."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.pooler = Pooler(config)
        self.classifier = nn.Linear(config.hidden_size, len(config.labels))
        rate = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if rate is None else rate)

    def __call__(
        self, input_ids: mx.array, attention_mask: Given = None, token_type_ids: Given = None, values: Given = None
    ) -> mx.array:
        """Return one logit for each label, or the value of a regression: (B, labels) float32.

        Args and errors: as ``Encoder``.
        """
        hidden = self.encoder(input_ids, attention_mask, token_type_ids, values)
        logits: mx.array = self.classifier(self.dropout(self.pooler(hidden, attention_mask)))
        return logits


class BertForMaskedLM(nn.Module):
    """Encoder, and a prediction of the token at each position by the embeddings of words."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.transform = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.bias = mx.zeros(config.vocab_size)

    def __call__(
        self, input_ids: mx.array, attention_mask: Given = None, token_type_ids: Given = None, values: Given = None
    ) -> mx.array:
        """Return a logit for each token of the vocabulary at each position: (B, L, vocab_size) float32.

        Args and errors: as ``Encoder``.
        """
        hidden = self.encoder(input_ids, attention_mask, token_type_ids, values)
        activation = ACTIVATIONS[self.config.hidden_act]
        logits: mx.array = self.encoder.word.as_linear(self.norm(activation(self.transform(hidden)))) + self.bias
        return logits


Model = BertModel | BertForSequenceClassification | BertForMaskedLM
MODELS: dict[str, type[Model]] = {
    model.__name__: model for model in (BertModel, BertForSequenceClassification, BertForMaskedLM)
}


class Encoder(nn.Module):
    """Embeddings of word, position and token type, then the layers."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.word = nn.Embedding(config.vocab_size, width)
        self.position = nn.Embedding(config.max_position_embeddings, width)
        self.token_type = nn.Embedding(config.type_vocab_size, width)
        if config.number_values:
            self.number = nn.Embedding(config.vocab_size, width)
        self.norm = nn.LayerNorm(width, config.layer_norm_eps)  # post: of the embeddings; pre: of the last layer
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layers = [Layer(config) for _ in range(config.num_hidden_layers)]

    def __call__(
        self, input_ids: mx.array, attention_mask: Given = None, token_type_ids: Given = None, values: Given = None
    ) -> mx.array:
        """Return the last hidden state, (B, L, hidden_size) float32.

        Args:
            input_ids: (B, L) integers below vocab_size; larger ones are not noticed here.
            attention_mask: (B, L), 0 where there is padding, which then changes nothing elsewhere; None: no padding.
            token_type_ids: (B, L) integers below type_vocab_size; None: all 0.
            values: (B, L) float32, the number that a token stands for, 0 where it stands for none; None: all 0.

        Raises:
            Refused: another shape, a sequence longer than max_position_embeddings, or values for a model that takes
                none.
        """
        _require_shapes(self.config, input_ids, attention_mask, token_type_ids, values)
        tokens = self.word(input_ids) + self.position.weight[: input_ids.shape[1]]
        tokens = tokens + (self.token_type.weight[0] if token_type_ids is None else self.token_type(token_type_ids))
        if values is not None:
            tokens = tokens + values[..., None] * self.number(input_ids)
        if self.config.norm == "post":
            tokens = self.norm(tokens)
        tokens = self.dropout(tokens)
        added = None if attention_mask is None else mx.where(attention_mask[:, None, None] != 0, 0.0, _MASKED)
        for layer in self.layers:
            tokens = layer(tokens, added)
        return self.norm(tokens) if self.config.norm == "pre" else tokens


class Layer(nn.Module):
    """Self-attention, then a feed-forward block of two matrices, both residual."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.pre_norm = config.norm == "pre"
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.expand = nn.Linear(width, config.intermediate_size)
        self.contract = nn.Linear(config.intermediate_size, width)
        self.feed_forward_norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.activation = ACTIVATIONS[config.hidden_act]

    def __call__(self, tokens: mx.array, added: Given) -> mx.array:  # (B, L, hidden_size)
        if self.pre_norm:
            tokens = tokens + self.dropout(self.attention(self.attention_norm(tokens), added))
            return tokens + self.dropout(self.feed_forward(self.feed_forward_norm(tokens)))
        tokens = self.attention_norm(tokens + self.dropout(self.attention(tokens, added)))
        normed: mx.array = self.feed_forward_norm(tokens + self.dropout(self.feed_forward(tokens)))
        return normed

    def feed_forward(self, tokens: mx.array) -> mx.array:
        """(B, L, hidden_size) -> the same, each token by itself."""
        changed: mx.array = self.contract(self.activation(self.expand(tokens)))
        return changed


class Attention(nn.Module):
    """Every token attends to every other; one matrix makes queries, keys and values."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.out = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def __call__(self, tokens: mx.array, added: Given) -> mx.array:
        """Return (B, L, hidden_size).

        Args:
            tokens: (B, L, hidden_size).
            added: (B, 1, 1, L), added to the scores of the keys.
        """
        batch, length, width = tokens.shape
        split = self.qkv(tokens).reshape(batch, length, 3, self.heads, width // self.heads)
        queries, keys, values = split.transpose(2, 0, 3, 1, 4)  # each (B, heads, L, width / heads)
        scores = (queries * (width // self.heads) ** -0.5) @ keys.swapaxes(-1, -2)
        weights = mx.softmax(scores if added is None else scores + added, axis=-1)
        seen = self.dropout(weights) @ values
        gathered: mx.array = self.out(seen.swapaxes(1, 2).flatten(2))
        return gathered


class Pooler(nn.Module):
    """The sequence as one vector: a linear map and tanh of its first token, or of the mean of its tokens."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def __call__(self, hidden: mx.array, attention_mask: Given) -> mx.array:
        """(B, L, hidden_size), and (B, L) or None -> (B, hidden_size); the mean of nothing but padding is 0."""
        if self.pooling == "cls":
            pooled = hidden[:, 0]
        elif attention_mask is None:
            pooled = hidden.mean(axis=1)
        else:
            kept = (attention_mask[:, :, None] != 0).astype(hidden.dtype)
            pooled = (hidden * kept).sum(axis=1) / mx.maximum(kept.sum(axis=1), 1)
        return mx.tanh(self.dense(pooled))


def _require_shapes(
    config: BertConfig, input_ids: mx.array, attention_mask: Given, token_type_ids: Given, values: Given
) -> None:
    if input_ids.ndim != 2 or not mx.issubdtype(input_ids.dtype, mx.integer):
        raise Refused(f"input_ids are {input_ids.dtype} of shape {input_ids.shape}; give integers of shape (B, L).")
    if input_ids.shape[1] > config.max_position_embeddings:
        raise Refused(
            f"input_ids of shape {input_ids.shape} are longer than max_position_embeddings, which is "
            f"{config.max_position_embeddings}; cut the sequences where they are made to tokens."
        )
    given = {"attention_mask": attention_mask, "token_type_ids": token_type_ids, "values": values}
    for name, array in given.items():
        if array is not None and array.shape != input_ids.shape:
            raise Refused(f"{name} is of shape {array.shape}; give one number for each of input_ids {input_ids.shape}.")
    if values is not None and not config.number_values:
        raise Refused("this BERT takes no values of numbers; make it with number_values=True.")


def _is_number(value: Any, least: float, below: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < below
