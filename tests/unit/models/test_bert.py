"""Laws of BERT: shapes, padding that changes nothing, numbers that scale, gradients everywhere, and refusals."""

import json
import math
from dataclasses import replace
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx import nn
from mlx.utils import tree_flatten

from smalti.compute.kernels import compiling_alone
from smalti.errors import Refused
from smalti.models.bert import ACTIVATIONS, BertConfig, build, from_config, gelu

SMALL = BertConfig(
    vocab_size=20,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    max_position_embeddings=12,
    initializer_range=0.3,
)
CLASSIFIER = replace(SMALL, architecture="BertForSequenceClassification", labels=("low", "middle", "high"))
ARCHITECTURES = ("BertModel", "BertForSequenceClassification", "BertForMaskedLM")
NORMS, POOLINGS = ("post", "pre"), ("cls", "mean")


def built(config: BertConfig, seed: int = 0, training: bool = False) -> Any:
    mx.random.seed(seed)
    return build(config).train(training)


def ids(batch: int = 3, length: int = 7, seed: int = 1) -> mx.array:
    return mx.random.randint(0, SMALL.vocab_size, (batch, length), key=mx.random.key(seed))


def outputs(model: Any, *args: Any, **kwargs: Any) -> list[mx.array]:
    out = model(*args, **kwargs)
    return list(out) if isinstance(out, tuple) else [out]


@pytest.mark.parametrize("norm", NORMS)
def test_outputs_have_the_shapes_of_their_architecture(norm: str) -> None:
    config = replace(CLASSIFIER, norm=norm)
    hidden, pooled = built(replace(config, architecture="BertModel"))(ids())
    logits = built(config)(ids(), mx.ones((3, 7)))
    words = built(replace(config, architecture="BertForMaskedLM"))(ids())
    assert [out.shape for out in (hidden, pooled, logits, words)] == [(3, 7, 16), (3, 16), (3, 3), (3, 7, 20)]
    assert {out.dtype for out in (hidden, pooled, logits, words)} == {mx.float32}


def test_a_regression_has_one_output() -> None:
    assert built(replace(CLASSIFIER, labels=("SalePrice",)))(ids()).shape == (3, 1)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    longer=st.integers(0, 6),
    architecture=st.sampled_from(ARCHITECTURES),
    norm=st.sampled_from(NORMS),
    pooling=st.sampled_from(POOLINGS),
    seed=st.integers(0, 9),
)
def test_padding_changes_nothing(
    lengths: list[int], longer: int, architecture: str, norm: str, pooling: str, seed: int
) -> None:
    model = built(replace(SMALL, architecture=architecture, norm=norm, pooling=pooling))
    width = max(lengths) + longer
    mask = mx.arange(width)[None] < mx.array(lengths)[:, None]
    tokens = ids(len(lengths), width, seed)
    padded = outputs(model, mx.where(mask, tokens, 0), mask.astype(mx.int32))
    other = outputs(model, mx.where(mask, tokens, 7), mask)
    for row, length in enumerate(lengths):
        alone = outputs(model, tokens[row : row + 1, :length])
        for by_itself, first, second in zip(alone, padded, other, strict=True):
            kept = slice(length) if by_itself.ndim == 3 else slice(None)
            np.testing.assert_allclose(first[row, kept], by_itself[0], atol=1e-5)
            np.testing.assert_array_equal(first[row, kept], second[row, kept])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_row_of_nothing_but_padding_stays_finite(pooling: str) -> None:
    logits = built(replace(CLASSIFIER, pooling=pooling))(ids(), mx.zeros((3, 7), mx.int32))
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_gradient_reaches_every_weight(architecture: str, norm: str, activation: str) -> None:
    config = replace(
        CLASSIFIER, architecture=architecture, norm=norm, number_values=True, hidden_act=activation, pooling="mean"
    )
    model = built(config, training=True)
    values = mx.random.normal((3, 7), key=mx.random.key(3))
    aim = [mx.random.normal(out.shape, key=mx.random.key(4)) for out in outputs(model, ids())]

    def loss() -> mx.array:
        made = outputs(model, ids(), mx.ones((3, 7)), mx.zeros((3, 7), mx.int32), values)
        return sum((mx.square(out - wanted).mean() for out, wanted in zip(made, aim, strict=True)), mx.array(0.0))

    _, gradient = nn.value_and_grad(model, loss)()
    silent = [name for name, array in tree_flatten(gradient) if not 0 < float(mx.abs(array).max()) < math.inf]
    assert silent == []


def test_a_compiled_training_step_makes_the_loss_fall() -> None:
    config = replace(CLASSIFIER, norm="pre", pooling="mean", hidden_act="relu", number_values=True)
    model = built(config, training=True)
    optimizer = optim.AdamW(3e-3)
    optimizer.init(model.trainable_parameters())

    def loss(tokens: mx.array, mask: mx.array, values: mx.array, labels: mx.array) -> mx.array:
        return nn.losses.cross_entropy(model(tokens, mask, values=values), labels, reduction="mean")

    def step(*batch: mx.array) -> mx.array:
        value, gradient = nn.value_and_grad(model, loss)(*batch)
        optimizer.update(model, gradient)
        return value

    state = [model.state, optimizer.state, mx.random.state]
    compiled = mx.compile(step, inputs=state, outputs=state)
    batch = (ids(16), mx.ones((16, 7), mx.int32), mx.random.normal((16, 7), key=mx.random.key(2)), mx.arange(16) % 3)
    losses = []
    with compiling_alone():
        losses.append(compiled(*batch).item())
    for _ in range(59):
        losses.append(compiled(*batch).item())
        mx.eval(state)
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_dropout_is_of_training_only() -> None:
    model = built(CLASSIFIER)
    np.testing.assert_array_equal(model(ids()), model(ids()))
    model.train()
    assert not np.array_equal(model(ids()), model(ids()))


@settings(max_examples=20, deadline=None)
@given(norm=st.sampled_from(NORMS), factor=st.floats(-5, 5, width=32), seed=st.integers(0, 9))
def test_a_value_scales_the_direction_of_its_token_and_zero_is_no_value(norm: str, factor: float, seed: int) -> None:
    encoder = built(replace(SMALL, norm=norm, number_values=True)).encoder
    tokens, values = ids(seed=seed), mx.zeros((3, 7))
    np.testing.assert_array_equal(encoder(tokens, values=values), encoder(tokens))

    values[:, 2] = factor
    valued = encoder(tokens, values=values)
    by_hand = built(replace(SMALL, norm=norm)).encoder
    by_hand.update(encoder.parameters(), strict=False)
    shifted = encoder.word(tokens) + values[..., None] * encoder.number(tokens)
    by_hand.word = lambda _: shifted
    np.testing.assert_allclose(valued, by_hand(tokens), atol=1e-5)


@pytest.mark.parametrize("dropout", [None, 0.0])
def test_the_classifier_has_a_dropout_of_its_own(dropout: float | None) -> None:
    config = replace(CLASSIFIER, attention_probs_dropout_prob=0.0, hidden_dropout_prob=0.5, classifier_dropout=dropout)
    model = built(config)
    model.dropout.train()
    assert np.array_equal(model(ids()), model(ids())) == (dropout == 0.0)


def test_token_types_and_positions_count() -> None:
    encoder = built(SMALL).encoder
    base = encoder(ids())
    np.testing.assert_array_equal(base, encoder(ids(), token_type_ids=mx.zeros((3, 7), mx.int32)))
    assert not np.allclose(base, encoder(ids(), token_type_ids=mx.ones((3, 7), mx.int32)))
    assert not np.allclose(base[:, ::-1], encoder(ids()[:, ::-1]))


def test_gelu_is_exact_to_a_millionth_with_its_gradient() -> None:
    x = mx.concatenate([mx.linspace(-12, 12, 48_001), mx.array([0.0, -1e30, 1e30])])
    exact = np.array([float(v) * 0.5 * math.erfc(-float(v) / math.sqrt(2)) for v in np.array(x)])
    slope = mx.grad(lambda v: nn.gelu(v).sum())(x)
    np.testing.assert_allclose(gelu(x), exact, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(mx.grad(lambda v: gelu(v).sum())(x), slope, atol=2e-6)


def test_weights_are_drawn_as_the_configuration_says_and_from_mlx_alone() -> None:
    first, again, other = (dict(tree_flatten(built(CLASSIFIER, seed).parameters())) for seed in (5, 5, 6))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])
        if array.ndim == 2:
            assert not np.array_equal(array, other[name])
            assert abs(float(mx.std(array)) - 0.3) < 0.1
        else:
            assert set(np.array(array).tolist()) == {0.0 if name.endswith("bias") else 1.0}


@pytest.mark.parametrize("config", [SMALL, CLASSIFIER, replace(SMALL, norm="pre", pooling="mean", number_values=True)])
def test_a_checkpoint_config_describes_the_model_again(config: BertConfig) -> None:
    through_json = json.loads(json.dumps({**config.to_json(), "training": {"epochs": 3}}))
    model = from_config(through_json)
    assert model.config == config
    assert model.config.to_json() == config.to_json()
    assert type(model).__name__ == config.architecture


@pytest.mark.parametrize("config", [{"model_type": "ptychography"}, {}])
def test_the_config_of_another_model_is_refused(config: dict[str, str]) -> None:
    with pytest.raises(Refused, match="not that of a BERT"):
        from_config(config)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"num_hidden_layers": 0}, "num_hidden_layers of BERT is 0; give a whole number of at least 1"),
        ({"vocab_size": True}, "vocab_size of BERT is True; give a whole number"),
        ({"hidden_size": 16.0}, r"hidden_size of BERT is 16\.0; give a whole number"),
        ({"hidden_dropout_prob": 1}, "hidden_dropout_prob of BERT is 1; give a number from 0 to below 1"),
        ({"hidden_dropout_prob": None}, "hidden_dropout_prob of BERT is None; give a number"),
        ({"classifier_dropout": -0.1}, r"classifier_dropout of BERT is -0\.1; give a number"),
        ({"layer_norm_eps": math.nan}, "layer_norm_eps of BERT is nan; give a finite number"),
        ({"hidden_act": "mish"}, "hidden_act of BERT is 'mish', which is not supported; take one of gelu, gelu_new"),
        ({"architecture": "BertForTokenClassification"}, "take one of BertModel, BertForSequenceClassification"),
        ({"norm": "none"}, "norm of BERT is 'none', which is not supported; take one of post, pre"),
        ({"pooling": "max"}, "take one of cls, mean"),
        ({"problem_type": "ranking"}, "take one of None, regression"),
        ({"num_attention_heads": 3}, "3 attention heads do not divide a hidden_size of 16"),
        ({"labels": ()}, "give a text for each output"),
        ({"labels": ("a", 1)}, "give a text for each output"),
    ],
)
def test_a_configuration_that_makes_no_model_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        replace(SMALL, **wrong)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"input_ids": mx.zeros((7,), mx.int32)}, r"of shape \(7,\); give integers of shape \(B, L\)"),
        ({"input_ids": mx.zeros((3, 7))}, r"float32 of shape \(3, 7\); give integers"),
        ({"input_ids": ids(1, 13)}, "longer than max_position_embeddings, which is 12"),
        ({"attention_mask": mx.ones((3, 6))}, r"attention_mask is of shape \(3, 6\); give one number for each"),
        ({"token_type_ids": mx.ones((1, 7), mx.int32)}, r"token_type_ids is of shape \(1, 7\)"),
        ({"values": mx.zeros((3, 7))}, "takes no values of numbers; make it with number_values=True"),
    ],
)
def test_input_of_another_form_is_refused(given: dict[str, mx.array], words: str) -> None:
    with pytest.raises(Refused, match=words):
        built(CLASSIFIER)(**{"input_ids": ids(), **given})
