"""Laws of a step: batches together are one large batch, and the learning rate follows its schedule."""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import numpy as np
import pytest

from smalti.training import TrainingSettings
from smalti.training.loop import train
from smalti.training.schedule import learning_rate
from tests.unit.training.tasks import Line


@dataclass(frozen=True)
class InOrder(Line):
    """The same samples in every epoch, in batches of the sizes given."""

    sizes: tuple[int, ...] = (20,)
    dropout: float = 0.0

    def order(self, rng):
        return np.split(np.arange(sum(self.sizes)), np.cumsum(self.sizes)[:-1])


def weights(task: Line, **settings):
    chosen = TrainingSettings(epochs=10, learning_rate=1e-2, warmup=0.1, **settings)
    return train(task, chosen).last


@pytest.mark.parametrize("sizes", [(5, 5, 5, 5), (10, 10), (3, 8, 1, 8), (19, 1)])
def test_accumulated_batches_give_the_weights_of_one_large_batch(sizes: tuple[int, ...]) -> None:
    accumulated = weights(InOrder(sizes=sizes), accumulate=len(sizes))
    whole = weights(InOrder(sizes=(20,)))
    for name, tensor in whole.model.items():
        np.testing.assert_allclose(accumulated.model[name], tensor, rtol=1e-4, atol=1e-5)
    losses = [[entry["loss"] for entry in c.state["history"]] for c in (accumulated, whole)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_without_accumulation_they_would_differ() -> None:
    alone, whole = weights(InOrder(sizes=(10, 10))), weights(InOrder(sizes=(20,)))
    assert any(np.abs(alone.model[name] - tensor).max() > 1e-3 for name, tensor in whole.model.items())


def test_the_loss_that_is_told_is_the_mean_over_the_samples() -> None:
    task = InOrder(sizes=(3, 8, 9))
    mx.random.seed(0)
    untrained = task.loss(task.build(), *(mx.array(array) for array in task.batch(np.arange(20)))).item()
    settings = TrainingSettings(epochs=1, accumulate=3)
    assert train(task, settings).last.state["history"][0]["loss"] == pytest.approx(untrained, rel=1e-5)


def rates(steps: int, **settings) -> list[float]:
    schedule = learning_rate(TrainingSettings(learning_rate=1.0, **settings), steps)
    return [float(schedule(mx.array(step))) for step in range(steps + 1)]


def test_the_learning_rate_rises_to_its_peak_and_falls_to_its_end() -> None:
    found = rates(100, warmup=0.2, final_rate=0.1)
    assert found[:21] == sorted(found[:21])
    assert found[20:] == sorted(found[20:], reverse=True)
    assert found[0] == pytest.approx(1 / 21)
    assert found[20] == pytest.approx(1)
    assert found[100] == pytest.approx(0.1)


def test_without_a_warm_up_the_peak_comes_first_and_a_final_rate_of_one_stays_there() -> None:
    assert rates(10, warmup=0.0)[0] == pytest.approx(1)
    assert rates(10, warmup=0.0, final_rate=1.0) == pytest.approx([1.0] * 11)


def test_a_run_that_only_warms_up_ends_at_the_peak() -> None:
    found = rates(10, warmup=1.0)
    assert found[10] == max(found) == pytest.approx(1)
