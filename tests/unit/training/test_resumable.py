"""Laws of training in a store: killed at any moment, a run ends in the checkpoints of one that was left alone.

``SMALTI_TEST_TRAINING_KILLS`` sets how many times one run is killed: 4 by default.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import Checkpoint, Store, open_store
from smalti.canonical import dumps
from smalti.contracts import CHECKPOINT
from smalti.memoize import FOLDER, forget_all
from smalti.training import Saving, TrainingSettings
from smalti.training.loop import train
from smalti.training.resumable import state_name, train_in_store
from tests.unit.training.killed_run import SAVING, SETTINGS
from tests.unit.training.tasks import Line, Words

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("SMALTI_TEST_TRAINING_KILLS", "4"))
BATCHES, AHEAD = 12, 4  # of an epoch; that a process may take before it is killed
FEW = TrainingSettings(epochs=4, batch=4, learning_rate=1e-2, checkpoint_epochs=2)


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.unit.training.killed_run", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def contents(checkpoint: Checkpoint) -> dict[str, Any]:
    tensors = {**checkpoint.model, **{f"optimizer/{name}": array for name, array in checkpoint.optimizer.items()}}
    return {name: array.tobytes() for name, array in tensors.items()} | {
        "config": dumps(checkpoint.config),
        "state": dumps(checkpoint.state),
        "tokenizer": checkpoint.tokenizer,
    }


def test_a_run_killed_at_random_steps_ends_in_the_bits_of_one_left_alone(disk_path: Path) -> None:
    """Dropout, AdamW, accumulated batches of several lengths, early stopping; saved every second step."""
    straight = train(Words(), SETTINGS)
    epochs = straight.last.state["epoch"]
    assert epochs < SETTINGS.epochs, "it does not stop early, so that is not tested"
    longest = epochs * BATCHES // (KILLS + 1)  # so that no life reaches the end
    moments = random.Random(KILLS)
    for _ in range(KILLS):
        told = moments.randint(1, longest - AHEAD)
        with running(disk_path, told + moments.randint(0, AHEAD)) as process:
            assert process.stdout is not None
            assert len(list(islice(process.stdout, told))) == told
            process.kill()  # while it computes, saves or waits
            assert process.wait() == -signal.SIGKILL
    with running(disk_path) as process:
        assert process.stdout is not None
        *batches, answer = process.stdout
    assert len(batches) < epochs * BATCHES, "it began anew"
    store, found = open_store(disk_path), json.loads(answer)
    for name, expected in (("last", straight.last), ("best", straight.best)):
        assert contents(store.get(found[name]["digest"])) == contents(expected), name
    assert store.fsck().clean
    assert not [named for named in store.names() if named.name.startswith("training/")]


class Stopped(Exception):
    pass


def run_until(store: Store, states: int, settings: TrainingSettings = FEW, saving: Saving = SAVING) -> list[dict]:
    """Train until so many states are stored, and stop there; return what was reported."""
    told: list[dict] = []

    def report(progress: dict[str, Any]) -> None:
        told.append(progress)
        if sum("checkpoint" in one for one in told) == states:
            raise Stopped

    with pytest.raises(Stopped):
        train_in_store(store, Line(), settings, {"line": 1}, report, saving)
    return told


@pytest.fixture
def store() -> Store:
    return open_store("memory:")


def states(store: Store) -> list[str]:
    [name] = [named.name for named in store.names()]
    return [version.address for version in store.versions(name)]


@pytest.mark.parametrize("kept", [1, 3])
def test_the_newest_states_are_kept_and_none_when_the_run_is_over(store: Store, kept: int) -> None:
    saving = replace(SAVING, keep_last=kept)
    run_until(store, 5, saving=saving)
    assert len(states(store)) == kept
    assert store.get(states(store)[-1])["last"].state["epoch"] == 2
    train_in_store(store, Line(), FEW, {"line": 1}, saving=saving)
    [finished] = [named.name for named in store.names()]
    assert finished.startswith(FOLDER)


def test_what_is_stored_is_the_validated_last_and_best_checkpoint(store: Store) -> None:
    stored = train_in_store(store, Line(), FEW, {"line": 1})
    straight = train(Line(), FEW)
    for ref, expected in ((stored.last, straight.last), (stored.best, straight.best)):
        assert contents(store.get(ref)) == contents(expected)
        assert store.get(ref).contract == CHECKPOINT.id


def test_a_state_that_is_damaged_is_reported_and_the_one_before_it_is_used(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    run_until(store, 4)
    before, newest = states(store)
    model = store.record(store.record(newest).children["last"]).children["model"]
    old_model = store.record(store.record(before).children["last"]).children["model"]
    assert model != old_model
    file = store.file(model)
    record = file if file is not None else tmp_path / "data" / model[7:9] / model[7:] / "metadata.json"
    record.chmod(0o644)
    record.write_bytes(bytes(len(record.read_bytes())))
    told: list[dict] = []
    stored = train_in_store(open_store(tmp_path), Line(), FEW, {"line": 1}, told.append, SAVING)
    assert told[0]["unreadable"] == newest
    assert contents(store.get(stored.last)) == contents(train(Line(), FEW).last)


@pytest.mark.parametrize(
    "change", [{"identity": {"line": 2}}, {"settings": replace(FEW, seed=1)}, {"task": Line(label="l")}]
)
def test_a_run_of_something_else_starts_anew(store: Store, change: dict[str, Any]) -> None:
    run_until(store, 4)
    told: list[dict] = []
    given: dict[str, Any] = {"task": Line(), "settings": FEW, "identity": {"line": 1}, **change}
    train_in_store(store, report=told.append, **given)
    assert [progress["epoch"] for progress in told if "loss" in progress] == [1, 2, 3, 4]


def test_the_name_of_a_state_says_what_it_is_of_and_where() -> None:
    identities = [{"a": 1}, {"a": 2}, {"a": 1.0}, {"a": 2**64}, {"a": 2**64 + 1}]
    names = {state_name("training", one) for one in identities} | {state_name("solving", {"a": 1})}
    assert len(names) == 6
    assert state_name("training", {"a": 1}) in names


def test_states_are_saved_by_time_too(store: Store) -> None:
    told: list[dict] = []
    train_in_store(store, Line(), FEW, {}, told.append, Saving(every_s=1e-9))
    assert len([progress for progress in told if "checkpoint" in progress]) == 4 * 5 - 1
    told.clear()
    forget_all(store)
    train_in_store(store, Line(), FEW, {}, told.append, Saving(every_s=1e9))
    assert [(p["epoch"], p["step"]) for p in told if "checkpoint" in p] == [(2, 0)]


def test_best_weights_of_an_early_epoch_survive_a_kill_and_a_resume(store: Store) -> None:
    settings = replace(FEW, epochs=6, checkpoint_epochs=1, learning_rate=0.5, metric="rmse")
    straight = train(Line(), settings)
    run_until(store, 14, settings)
    stored = train_in_store(store, Line(), settings, {"line": 1})
    best = store.get(stored.best)
    assert best.state["epoch"] == straight.best.state["epoch"] < 6
    for name, tensor in straight.best.model.items():
        np.testing.assert_array_equal(best.model[name], tensor)


class Unbuildable(Line):
    """The same task, which would fail if it were trained."""

    def build(self) -> Any:
        raise AssertionError("it was trained again")


def test_what_was_trained_before_is_read_and_not_trained_again(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    first = train_in_store(store, Line(), FEW, {"data": "a"})
    again = train_in_store(store, Unbuildable(), FEW, {"data": "a"})
    assert (again.last.digest, again.best.digest) == (first.last.digest, first.best.digest)
    assert again.best.new_bytes == 0
    with pytest.raises(AssertionError, match="trained again"):
        train_in_store(store, Unbuildable(), FEW, {"data": "b"})


def test_what_was_forgotten_is_trained_again(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    first = train_in_store(store, Line(), FEW, {"data": "a"})
    forget_all(store)
    assert train_in_store(store, Line(), FEW, {"data": "a"}).last.digest == first.last.digest
