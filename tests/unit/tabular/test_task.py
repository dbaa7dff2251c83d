"""The training task: every row once in an epoch, little padding, a loss that falls, metrics of the validation rows."""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import Refused
from smalti.tabular.settings import BertSettings
from smalti.tabular.split import TextSplit
from smalti.tabular.task import TableTask, by_length
from smalti.training.loop import train

SMALL = BertSettings(hidden_size=16, layers=1, heads=2, intermediate_size=16, members=2, epochs=6, learning_rate=1e-2)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=200), st.integers(1, 16))
def test_every_row_is_in_one_length_group(lengths: list[int], batch: int) -> None:
    groups = by_length(np.array(lengths), batch)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    assert all(len(group) for group in groups)


def test_every_row_is_trained_on_once_an_epoch_in_as_many_batches(flower_split: TextSplit) -> None:
    task = TableTask(flower_split, SMALL)
    orders = [task.order(np.random.default_rng(seed)) for seed in (0, 1)]
    for order in orders:
        assert sorted(np.concatenate(order).tolist()) == list(range(96))
    assert len(orders[0]) == len(orders[1])
    assert any((a != b).any() for a, b in zip(*orders, strict=True) if a.shape == b.shape)


def test_a_batch_holds_ids_numbers_and_labels(flower_split: TextSplit) -> None:
    ids, numbers, labels = TableTask(flower_split, SMALL).batch(np.arange(5))
    assert (ids.shape, numbers.shape, labels.shape) == ((5, 4), (5, 4), (5,))
    assert (ids.dtype, numbers.dtype, labels.dtype) == (np.int32, np.float32, np.int32)


@pytest.mark.parametrize("linear_share", [0.5, 0.0])
def test_classes_are_learned(flower_split: TextSplit, linear_share: float) -> None:
    settings = replace(SMALL, linear_share=linear_share)
    history = train(TableTask(flower_split, settings), settings.training()).last.state["history"]
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    assert history[-1]["accuracy"] > 0.7
    assert history[-1]["validation_loss"] == history[-1]["log_loss"]


def test_numbers_are_learned(house_split: TextSplit) -> None:
    last = train(TableTask(house_split, SMALL), SMALL.training()).last
    assert last.state["history"][-1]["r2"] > 0.5
    assert last.config["table"]["target_scale"]["logarithmic"] is True
    assert "rmse_log" in last.state["history"][-1]


def test_the_loss_is_that_of_each_member_and_draws_nothing_without_dropout(flower_split: TextSplit) -> None:
    settings = replace(SMALL, dropout=0.0, unknown=0.0)
    task = TableTask(flower_split, settings)
    mx.random.seed(0)
    network = task.build()
    arrays = [mx.array(array) for array in task.batch(np.arange(8))]
    first, second = (task.loss(network, *arrays).item() for _ in range(2))
    assert first == second
    outputs = np.array(network(*arrays[:2]))
    assert outputs.shape == (2, 8, 3)
    shifted = outputs - np.log(np.exp(outputs).sum(axis=-1, keepdims=True))
    assert first == pytest.approx(-shifted[:, np.arange(8), np.array(arrays[2])].mean(), rel=1e-5)


def test_the_linear_model_has_its_share_and_is_not_trained(flower_split: TextSplit) -> None:
    task = TableTask(flower_split, SMALL)
    mx.random.seed(SMALL.seed)
    network = task.build()
    last = train(task, SMALL.training()).last
    np.testing.assert_array_equal(last.model["linear.occurrence"], np.array(network.linear.occurrence))
    assert not any("linear" in name for name in last.optimizer)
    ids, numbers, _ = (mx.array(array) for array in task.batch(np.arange(8)))
    network.eval()
    both = network.predict(ids, numbers)
    network.linear_share = 0.0
    alone = network.predict(ids, numbers)
    linear = mx.softmax(network.linear(ids, numbers), axis=-1)
    np.testing.assert_allclose(both, (alone + linear) / 2, atol=1e-6)


def test_cut_texts_are_said(flower_split: TextSplit) -> None:
    assert TableTask(flower_split, SMALL).notes == ()
    assert TableTask(flower_split, replace(SMALL, max_length=3)).notes == (
        "120 of 120 texts are longer than 3 tokens and are cut; max_length is a setting.",
    )


def test_one_class_in_the_training_rows_is_refused(flower_split: TextSplit) -> None:
    with pytest.raises(Refused, match="kind is the same in every training row"):
        TableTask(replace(flower_split, train=flower_split.train.assign(label="iris")), SMALL)
