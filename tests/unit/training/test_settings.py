"""Laws of training settings: what cannot train is refused in a sentence."""

from dataclasses import fields

import pytest

from smalti.errors import Refused
from smalti.training import TrainingSettings


def test_every_setting_has_help() -> None:
    assert all(field.metadata["help"] for field in fields(TrainingSettings))


def test_what_was_not_chosen_keeps_its_default() -> None:
    assert TrainingSettings.from_request({"epochs": 3}) == TrainingSettings(epochs=3)


def test_an_unknown_setting_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(Refused, match=r"epoch is no training setting; there are epochs, batch"):
        TrainingSettings.from_request({"epoch": 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("batch", 0), ("learning_rate", 0.0), ("learning_rate", float("nan")), ("seed", -1)],
)
def test_a_number_no_training_can_run_with_is_refused(name: str, value: float) -> None:
    with pytest.raises(Refused, match=f"{name} is {value}; give"):
        TrainingSettings.from_request({name: value})
