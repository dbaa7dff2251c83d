"""Laws of training settings: what cannot train is refused in a sentence."""

from dataclasses import fields

import pytest

from smalti.errors import Refused
from smalti.training import Saving, TrainingSettings


def test_every_setting_has_help() -> None:
    assert all(field.metadata["help"] for field in fields(TrainingSettings))


def test_what_was_not_chosen_keeps_its_default() -> None:
    assert TrainingSettings.from_request({"epochs": 3}) == TrainingSettings(epochs=3)


def test_an_unknown_setting_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(Refused, match=r"epoch is no training setting; there are epochs, batch"):
        TrainingSettings.from_request({"epoch": 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("seed", -1),
        ("accumulate", 0),
        ("patience", -1),
        ("warmup", 1.5),
        ("final_rate", float("nan")),
    ],
)
def test_a_number_no_training_can_run_with_is_refused(name: str, value: float) -> None:
    with pytest.raises(Refused, match=f"{name} is {value}; give"):
        TrainingSettings.from_request({name: value})


def test_a_state_is_due_after_so_many_steps_or_seconds() -> None:
    assert not Saving(every_steps=3, every_s=None).is_due(2, 1e9)
    assert Saving(every_steps=3, every_s=None).is_due(3, 0)
    assert Saving(every_s=60).is_due(1, 60)
    assert not Saving(every_s=60).is_due(10**9, 59)


@pytest.mark.parametrize("wrong", [{"every_steps": 0}, {"keep_last": 0}, {"every_s": 0.0}, {"every_s": float("nan")}])
def test_a_saving_that_is_never_or_keeps_nothing_is_refused(wrong) -> None:
    [name] = wrong
    with pytest.raises(Refused, match=f"{name} is {wrong[name]}; give"):
        Saving(**wrong)
