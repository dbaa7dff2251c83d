"""The entry points for child processes, called as an application does; a killed training goes on to the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smalti import open_store
from smalti.codecs.checkpoint import Checkpoint
from smalti.compute import run_child
from smalti.errors import NotFound, Refused
from smalti.tabular.evaluate.evaluation import Evaluation
from smalti.tabular.predictions import Predictions
from smalti.tabular.split import TextSplit
from smalti.tabular.stored import predict_stored, train_stored
from tests.unit.tabular.tables import flowers

STORED = "smalti.tabular.stored"
SETTINGS = {"hidden_size": 8, "layers": 1, "heads": 2, "intermediate_size": 8, "members": 1, "epochs": 3}


class Killed(Exception):
    pass


def test_a_table_becomes_predictions_and_a_killed_training_the_same_bits(
    tmp_path: Path, flower_split: TextSplit
) -> None:
    store = open_store(tmp_path / "store")
    split = store.put(flower_split.to_tree())
    request: dict[str, Any] = {"store": store.place, "split": split.digest, "settings": SETTINGS}

    def kill(progress: dict[str, Any]) -> None:
        if "checkpoint" in progress and progress["epoch"] == 1:
            raise Killed

    with pytest.raises(Killed):
        run_child(f"{STORED}:train_stored", {**request, "saving": {"every_steps": 1}}, kill)
    seen: list[dict[str, Any]] = []
    resumed = run_child(f"{STORED}:train_stored", request, seen.append)
    assert [progress["epoch"] for progress in seen if "loss" in progress] == [2, 3]

    elsewhere = open_store(tmp_path / "elsewhere")
    again = {**request, "store": elsewhere.place, "split": elsewhere.put(flower_split.to_tree()).digest}
    assert run_child(f"{STORED}:train_stored", again)["digest"] == resumed["digest"]
    checkpoint = store.get(resumed["digest"])
    assert isinstance(checkpoint, Checkpoint)
    assert checkpoint.contract == "checkpoint/1"

    using = {"store": store.place, "checkpoint": resumed["digest"]}
    predicted = run_child(f"{STORED}:predict_stored", {**using, "split": split.digest})
    assert len(Predictions.from_stored(store.get(predicted["digest"]))) == predicted["rows"] == 30
    table = store.put(flowers(30, seed=1))
    assert predict_stored({**using, "table": table.digest}, seen.append)["digest"] == predicted["digest"]

    evaluated = run_child(f"{STORED}:evaluate_stored", {**using, "split": split.digest})
    found = Evaluation.from_stored(store.get(evaluated["digest"]))
    assert found.metrics == evaluated["metrics"]
    assert found.verdict() == evaluated["verdict"]
    assert found.metrics["accuracy"] == checkpoint.state["history"][-1]["accuracy"]


def test_what_is_wrong_is_said_by_the_child(tmp_path: Path, flower_split: TextSplit) -> None:
    store = open_store(tmp_path / "store")
    split = store.put({key: value for key, value in flower_split.to_tree().items() if key != "test"}).digest
    array = store.put(flowers()).digest
    request = {"store": store.place, "split": split}
    with pytest.raises(Refused, match="epoch is no setting"):
        run_child(f"{STORED}:train_stored", {**request, "settings": {"epoch": 1}})
    with pytest.raises(Refused, match="no split of a table"):
        train_stored({**request, "split": array}, print)
    with pytest.raises(NotFound):
        train_stored({**request, "split": "sha256:" + "0" * 64}, print)
    with pytest.raises(Refused, match="is a DataFrame and no checkpoint"):
        predict_stored({**request, "checkpoint": array}, print)
