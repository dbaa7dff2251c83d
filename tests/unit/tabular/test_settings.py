"""The settings: each has a help text, and a wrong name or number is refused with the choices."""

from __future__ import annotations

from dataclasses import fields

import pytest

from smalti.errors import Refused
from smalti.tabular.settings import BertSettings


def test_every_setting_has_a_help_text() -> None:
    assert all(field.metadata["help"] for field in fields(BertSettings))


def test_a_request_changes_what_it_names() -> None:
    assert BertSettings.from_request({"epochs": 3, "dropout": 0, "linear_share": 0}) == BertSettings(
        epochs=3, dropout=0, linear_share=0
    )


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"epoch": 3}, "epoch is no setting of this BERT; there are hidden_size, "),
        ({"epochs": "many"}, "epochs is 'many'; give a whole number"),
        ({"epochs": True}, "epochs is True; give a whole number"),
        ({"linear_share": 1.0}, "linear_share is 1.0; give a fraction"),
        ({"epochs": 0}, "epochs is 0; give at least 1"),
        ({"hidden_size": 30, "heads": 4}, "4 heads do not divide a hidden_size of 30"),
        ({"dropout": 1}, "dropout is 1; give a fraction from 0 to below 1"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"predict_with": "first"}, "predict_with is 'first'; take last or best"),
    ],
)
def test_what_is_no_setting_is_refused(chosen: dict[str, object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        BertSettings.from_request(chosen)
