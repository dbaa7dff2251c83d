"""A BERT that is killed at random steps of its training ends in the bits of one that was left alone.

``SMALTI_TEST_TRAINING_KILLS`` sets how many times: 4 by default.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from smalti import open_store
from smalti.compute import run_child
from smalti.tabular.split import TextSplit

KILLS = int(os.environ.get("SMALTI_TEST_TRAINING_KILLS", "4"))
TRAIN = "smalti.tabular.stored:train_stored"
SETTINGS = {
    "hidden_size": 8,
    "layers": 1,
    "heads": 2,
    "intermediate_size": 8,
    "members": 1,
    "accumulate": 2,
    "batch": 4,
}
LONGEST_WAIT_S = 0.05  # some steps


class Killed(Exception):
    pass


def test_a_bert_killed_at_random_steps_ends_in_the_bits_of_one_left_alone(
    disk_path: Path, flower_split: TextSplit
) -> None:
    store, moments = open_store(disk_path / "store"), random.Random(KILLS)
    split = store.put(flower_split.to_tree())
    settings = {**SETTINGS, "epochs": KILLS + 2}
    request: dict[str, Any] = {"store": store.place, "split": split.digest, "settings": settings}
    saved: list[tuple[int, int]] = []

    for _ in range(KILLS):
        left = moments.randint(1, 6)

        def kill(progress: dict[str, Any]) -> None:
            nonlocal left
            if "checkpoint" in progress:
                left -= 1
                saved.append((progress["epoch"], progress["step"]))
                if not left:  # the child goes on while this waits: it dies in a step, in a save, or between them
                    time.sleep(moments.uniform(0, LONGEST_WAIT_S))
                    raise Killed

        with pytest.raises(Killed):
            run_child(TRAIN, {**request, "saving": {"every_steps": 1}}, kill)
    resumed = run_child(TRAIN, request)
    assert saved == sorted(set(saved)), "a life began before what the one before it had saved"

    elsewhere = open_store(disk_path / "elsewhere")
    alone = {**request, "store": elsewhere.place, "split": elsewhere.put(flower_split.to_tree()).digest}
    straight = run_child(TRAIN, alone)
    assert (resumed["last"], resumed["best"]) == (straight["last"], straight["best"])
