"""Laws of training: the loss falls, and stopping anywhere changes no bit."""

import json
from dataclasses import dataclass, replace

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn

from smalti.canonical import dumps
from smalti.errors import Refused
from smalti.training import TrainingSettings
from smalti.training.loop import Training, step_seed, train

SETTINGS = TrainingSettings(epochs=4, batch=4, learning_rate=1e-2, checkpoint_epochs=2)
STEPS_PER_EPOCH = 5


@dataclass(frozen=True)
class Line:
    """Learn y = 3x through a dropout, so that a wrong random number or order shows in the weights."""

    label: str = "line"
    poison: float = 3.0

    @property
    def model_config(self):
        return {"model_type": self.label}

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 1))

    def order(self, rng):
        return rng.permutation(4 * STEPS_PER_EPOCH).reshape(STEPS_PER_EPOCH, 4)

    def batch(self, samples):
        x = samples[:, None].astype(np.float32) / 20
        return x, self.poison * x

    def loss(self, network, x, y):
        return mx.square(network(x) - y).mean()

    def validation_loss(self, network) -> float:
        network.eval()
        loss = self.loss(network, *(mx.array(a) for a in self.batch(np.array([3, 13])))).item()
        network.train()
        return loss


def contents(checkpoint):
    """Everything in a checkpoint as bytes."""
    arrays = {**checkpoint.model, **checkpoint.optimizer}
    return {name: array.tobytes() for name, array in arrays.items()}, dumps(checkpoint.config), dumps(checkpoint.state)


@pytest.fixture(scope="module")
def straight():
    return train(Line(), SETTINGS)


@pytest.mark.parametrize("stop", [0, 1, 5, 7, 10, 19, 20])
def test_a_run_that_stops_at_any_step_goes_on_to_the_same_bits(straight, stop: int) -> None:
    first = Training(Line(), SETTINGS)
    for _ in range(stop):
        first.advance()
    mx.random.normal((7,))  # whatever else draws random numbers must not matter
    assert contents(train(Line(), SETTINGS, resume=first.checkpoint())) == contents(straight)


def test_a_checkpoint_keeps_no_handle_on_the_run_that_made_it(straight) -> None:
    training = Training(Line(), SETTINGS)
    training.advance()
    checkpoint = training.checkpoint()
    before = contents(checkpoint)
    training.finish_epoch()
    assert contents(checkpoint) == before


def test_another_seed_gives_other_weights(straight) -> None:
    other = train(Line(), replace(SETTINGS, seed=1))
    assert contents(other)[0] != contents(straight)[0]


def test_the_loss_falls() -> None:
    history = train(Line(), replace(SETTINGS, epochs=60, learning_rate=3e-2)).state["history"]
    assert history[-1]["validation_loss"] < 0.3 * history[1]["validation_loss"]


def test_each_epoch_is_reported_in_json_and_every_second_one_is_saved() -> None:
    reports, saved = [], []
    train(Line(), SETTINGS, report=reports.append, save=saved.append)
    assert [(r["epoch"], r["step"], r["epochs"]) for r in reports] == [(1, 5, 4), (2, 10, 4), (3, 15, 4), (4, 20, 4)]
    assert [r["validation_loss"] is None for r in reports] == [True, False, False, False]
    assert all(r["samples_per_s"] > 0 and json.dumps(r) for r in reports)
    assert [checkpoint.state["epoch"] for checkpoint in saved] == [2]


def test_the_best_epoch_is_the_one_with_the_least_validation_loss(straight) -> None:
    validated = [entry for entry in straight.state["history"] if "validation_loss" in entry]
    assert straight.state["best"] == min(validated, key=lambda entry: entry["validation_loss"])


def test_a_checkpoint_says_what_it_ran_on_once(straight) -> None:
    assert [set(e) for e in straight.state["environments"]] == [{"python", "mlx", "machine", "device", "blas"}]


def test_resuming_elsewhere_is_recorded() -> None:
    half = Training(Line(), SETTINGS).checkpoint()
    elsewhere = {**half.state["environments"][0], "python": "3.99.0"}
    moved = replace(half, state={**half.state, "environments": [elsewhere]})
    environments = train(Line(), SETTINGS, resume=moved).state["environments"]
    assert environments == [elsewhere, *half.state["environments"]]


def test_resuming_with_other_settings_or_another_model_is_refused(straight) -> None:
    with pytest.raises(Refused, match=r"made with \{'training': .*'batch': 4.* resume with the same"):
        Training(Line(), replace(SETTINGS, batch=2), resume=straight)
    with pytest.raises(Refused, match=r"made with \{'model_type': 'line'\}, not \{'model_type': 'curve'\}"):
        Training(Line(label="curve"), SETTINGS, resume=straight)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run(poison: float) -> None:
    with pytest.raises(Refused, match=r"the loss is (nan|inf) after 0 steps of epoch 1; take a learning rate below"):
        train(Line(poison=poison), SETTINGS)


def test_no_two_steps_share_a_seed() -> None:
    seeds = {step_seed(seed, epoch, step) for seed in range(3) for epoch in range(20) for step in range(20)}
    assert len(seeds) == 3 * 20 * 20
