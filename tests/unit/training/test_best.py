"""Laws of the best checkpoint: the first of the best evaluations, and training that waits no longer than it may."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.errors import Refused
from smalti.training import TrainingSettings
from smalti.training.loop import Training, train
from smalti.training.metrics import best_evaluation, direction
from tests.unit.training.tasks import Scripted


def trained(script: list[float], metric: str = "validation_loss", **more):
    task = Scripted(script=tuple({metric: value} for value in script))
    chosen = TrainingSettings(epochs=len(script), checkpoint_epochs=1, batch=4, metric=metric, **more)
    return train(task, chosen)


@pytest.mark.parametrize(
    ("metric", "script", "best"),
    [
        ("validation_loss", [3.0, 1.0, 2.0], 2),
        ("validation_loss", [3.0, 1.0, 1.0], 2),
        ("accuracy", [0.5, 0.9, 0.7, 0.9], 2),
        ("rmse", [0.5, 0.9, 0.4], 3),
    ],
)
def test_the_best_checkpoint_is_that_of_the_first_best_evaluation(metric: str, script: list[float], best: int) -> None:
    result = trained(script, metric)
    assert result.best.state["epoch"] == best
    assert result.last.state["best"] == result.best.state["best"] == result.last.state["history"][best - 1]
    assert result.last.state["epoch"] == len(script)
    same = all(np.array_equal(result.best.model[name], tensor) for name, tensor in result.last.model.items())
    assert same == (best == len(script))


def test_training_stops_after_so_many_evaluations_without_a_better_one() -> None:
    result = trained([3.0, 2.0, 2.0, 2.5, 1.0, 0.0], patience=2)
    assert result.last.state["epoch"] == 4
    assert result.best.state["epoch"] == 2


def test_a_better_evaluation_in_time_lets_training_go_on() -> None:
    assert trained([3.0, 4.0, 2.0, 4.0, 1.0, 2.0], patience=2).last.state["epoch"] == 6


def test_a_run_that_has_stopped_early_stays_stopped_when_it_is_resumed() -> None:
    chosen = TrainingSettings(epochs=5, checkpoint_epochs=1, batch=4, patience=1)
    script = ({"validation_loss": 1.0},) * 5
    stopped = train(Scripted(script=script), chosen)
    again = Scripted(script=script)
    resumed = Training(again, chosen, stopped)
    assert resumed.finished
    assert resumed.epoch == 2
    assert again.asked == []


def test_another_direction_may_be_chosen() -> None:
    assert trained([3.0, 5.0, 4.0], "regret_score", higher_is_better=True).best.state["epoch"] == 2
    assert trained([3.0, 5.0, 4.0], "accuracy", higher_is_better=False).best.state["epoch"] == 1


def test_a_metric_that_was_not_measured_is_refused_and_those_measured_are_named() -> None:
    task = Scripted(script=({"rmse": 1.0},))
    with pytest.raises(Refused, match=r"gave \['rmse', 'validation_loss'\] without accuracy; choose one that it gives"):
        train(task, TrainingSettings(epochs=1, batch=4, metric="accuracy"))


def test_a_metric_that_is_no_number_stops_the_run_by_its_name() -> None:
    with pytest.raises(Refused, match="the f1 is nan after 0 steps of epoch 2"):
        train(Scripted(script=({"f1": float("nan")},)), TrainingSettings(epochs=1, batch=4))


def test_a_metric_cannot_take_the_name_of_the_trainings_own() -> None:
    with pytest.raises(Refused, match="the evaluation gave 'loss', which is the training's own"):
        train(Scripted(script=({"loss": 1.0},)), TrainingSettings(epochs=1, batch=4))


@pytest.mark.parametrize("metric", ["validation_loss", "val-rmse", "MAE", "log_loss", "perplexity", "rmsle"])
def test_less_of_an_error_is_better(metric: str) -> None:
    assert not direction(metric)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "roc_auc", "val/F1", "phase_psnr_dB", "r2"])
def test_more_of_a_score_is_better(metric: str) -> None:
    assert direction(metric)


@pytest.mark.parametrize("metric", ["reward", "lossless", "accuracy_loss", ""])
def test_a_metric_that_says_no_direction_is_refused(metric: str) -> None:
    with pytest.raises(Refused, match="does not say whether more is better; give higher_is_better=True or False"):
        TrainingSettings(metric=metric)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.none() | st.integers(-3, 3), max_size=12), st.booleans())
def test_no_evaluation_is_better_than_the_best_and_none_before_it_is_as_good(values, more: bool) -> None:
    history = [{"epoch": n} if value is None else {"epoch": n, "m": value} for n, value in enumerate(values)]
    best, after = best_evaluation(history, "m", more)
    measured = [entry for entry in history if "m" in entry]
    if not measured:
        assert (best, after) == (None, 0)
        return
    worth = {entry["epoch"]: entry["m"] if more else -entry["m"] for entry in measured}
    assert best is not None
    assert worth[best["epoch"]] == max(worth.values())
    assert all(worth[n] < worth[best["epoch"]] for n in worth if n < best["epoch"])
    assert after == sum(n > best["epoch"] for n in worth)
