"""Laws of training: the loss falls, and stopping anywhere changes no bit."""

import json
from dataclasses import replace

import mlx.core as mx
import pytest

from smalti.canonical import dumps
from smalti.errors import Refused
from smalti.training import Saving, TrainingSettings
from smalti.training.loop import Training, step_seed, train
from smalti.training.tensors import load_weights
from tests.unit.training.tasks import Line, Words

SETTINGS = TrainingSettings(epochs=4, batch=4, learning_rate=1e-2, checkpoint_epochs=2)


def contents(trained):
    """Everything in the last and the best checkpoint as bytes."""
    return [
        {name: array.tobytes() for name, array in {**checkpoint.model, **checkpoint.optimizer}.items()}
        | {"config": dumps(checkpoint.config), "state": dumps(checkpoint.state)}
        for checkpoint in (trained.last, trained.best)
    ]


@pytest.fixture(scope="module")
def straight():
    return train(Line(), SETTINGS)


@pytest.mark.parametrize("stop", [0, 1, 5, 7, 10, 19, 20])
def test_a_run_that_stops_at_any_step_goes_on_to_the_same_bits(straight, stop: int) -> None:
    first = Training(Line(), SETTINGS)
    for _ in range(stop):
        first.advance()
    mx.random.normal((7,))  # whatever else draws random numbers must not matter
    assert contents(train(Line(), SETTINGS, resume=first.trained())) == contents(straight)


def test_a_checkpoint_keeps_no_handle_on_the_run_that_made_it(straight) -> None:
    training = Training(Line(), SETTINGS)
    training.advance()
    trained = training.trained()
    before = contents(trained)
    training.finish_epoch()
    assert contents(trained) == before


def test_another_seed_gives_other_weights(straight) -> None:
    other = train(Line(), replace(SETTINGS, seed=1))
    assert all((other.last.model[name] != tensor).any() for name, tensor in straight.last.model.items())


def test_the_loss_falls() -> None:
    history = train(Line(), replace(SETTINGS, epochs=60, learning_rate=3e-2)).last.state["history"]
    assert history[-1]["validation_loss"] < 0.3 * history[1]["validation_loss"]


def test_each_epoch_is_reported_in_json_and_every_second_one_is_saved() -> None:
    reports, saved = [], []
    train(Line(), SETTINGS, report=reports.append, save=saved.append)
    assert [(r["epoch"], r["step"], r["epochs"]) for r in reports] == [(1, 5, 4), (2, 10, 4), (3, 15, 4), (4, 20, 4)]
    assert {r["steps"] for r in reports} == {20}
    assert ["rmse" in r for r in reports] == [False, True, False, True]
    assert [r["validation_loss"] is None for r in reports] == [True, False, False, False]
    assert all(r["samples_per_s"] > 0 and json.dumps(r) for r in reports)
    assert [trained.last.state["epoch"] for trained in saved] == [2]


def test_a_checkpoint_says_what_it_ran_on_once(straight) -> None:
    known = {"python", "mlx", "machine", "device", "blas", "world_size"}
    assert [set(e) for e in straight.last.state["environments"]] == [known]


def test_resuming_elsewhere_is_recorded() -> None:
    half = Training(Line(), SETTINGS).trained()
    elsewhere = {**half.last.state["environments"][0], "python": "3.99.0"}
    moved = replace(half, last=replace(half.last, state={**half.last.state, "environments": [elsewhere]}))
    environments = train(Line(), SETTINGS, resume=moved).last.state["environments"]
    assert environments == [elsewhere, *half.last.state["environments"]]


def test_resuming_with_other_settings_or_another_model_is_refused(straight) -> None:
    with pytest.raises(Refused, match=r"made with \{'training': .*'batch': 4.* resume with the same"):
        Training(Line(), replace(SETTINGS, batch=2), resume=straight)
    with pytest.raises(Refused, match=r"made with \{'model_type': 'line'\}, not \{'model_type': 'curve'\}"):
        Training(Line(label="curve"), SETTINGS, resume=straight)
    with pytest.raises(Refused, match=r"made with \{'tokenizer': ''\}, not \{'tokenizer': '\{\}'\}"):
        Training(Line(tokenizer="{}"), SETTINGS, resume=straight)


def test_resuming_with_another_best_checkpoint_than_the_runs_own_is_refused(straight) -> None:
    best = straight.last.state["best"]["epoch"]
    other = replace(straight.best, state={**straight.best.state, "epoch": best + 1})
    with pytest.raises(
        Refused, match=f"the best checkpoint is of epoch {best + 1}, but the run was best at epoch {best}"
    ):
        Training(Line(), SETTINGS, resume=replace(straight, best=other))


def test_weights_without_a_position_are_no_state_to_resume_from(straight) -> None:
    bare = replace(straight.last, state={})
    with pytest.raises(Refused, match=r"does not say best, environments, epoch, .* start anew"):
        Training(Line(), SETTINGS, resume=replace(straight, last=bare))


@pytest.mark.parametrize("stop", [1, 7, 16])
def test_batches_of_several_shapes_accumulated_go_on_to_the_same_bits(stop: int) -> None:
    settings = TrainingSettings(epochs=4, accumulate=5, checkpoint_epochs=1, metric="accuracy", patience=3)
    first = Training(Words(), settings)
    assert first.steps_per_epoch == 3  # of 5, 5 and 2 batches
    while not first.finished and (first.epoch * 3 + first.step) < stop:
        first.advance()
    assert contents(train(Words(), settings, resume=first.trained())) == contents(train(Words(), settings))


def test_a_checkpoint_carries_the_tokenizer_of_its_task() -> None:
    assert Training(Line(tokenizer="{}"), SETTINGS).trained().last.tokenizer == "{}"


def test_a_state_is_saved_every_so_many_steps_and_at_every_evaluation_but_the_last() -> None:
    saved = []
    train(Line(), SETTINGS, save=saved.append, saving=Saving(every_steps=4, every_s=None))
    places = [(trained.last.state["epoch"], trained.last.state["step"]) for trained in saved]
    assert places == [(0, 4), (1, 3), (2, 0), (2, 4), (3, 3)]
    assert [trained.best.state["epoch"] for trained in saved] == [0, 1, 2, 2, 2]


def test_epochs_of_different_length_are_refused() -> None:
    class Shrinking(Line):
        def order(self, rng):
            return super().order(rng)[: 5 - (rng.bit_generator.seed_seq.entropy[1] > 0)]

    with pytest.raises(Refused, match="epoch 2 has 4 steps, and the first one 5; let the task make the same number"):
        train(Shrinking(), SETTINGS)


def test_a_network_is_evaluated_without_dropout_and_trained_with_it(straight) -> None:
    network = Line().build()
    load_weights(network, straight.last.model)
    network.eval()
    measured = straight.last.state["history"][-1]
    assert {name: measured[name] for name in ("validation_loss", "rmse")} == Line().evaluate(network)
    without = train(Line(dropout=0.0), SETTINGS).last.state["history"]
    assert without[-1]["loss"] != measured["loss"]


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run(poison: float) -> None:
    with pytest.raises(Refused, match=r"the loss is (nan|inf) after 0 steps of epoch 1; take a learning rate below"):
        train(Line(poison=poison), SETTINGS)


def test_no_two_steps_share_a_seed() -> None:
    seeds = {step_seed(seed, epoch, step) for seed in range(3) for epoch in range(20) for step in range(20)}
    assert len(seeds) == 3 * 20 * 20
