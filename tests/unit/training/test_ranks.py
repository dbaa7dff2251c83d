"""Laws of ranks: two processes that share every batch come to the weights of one, and one of them saves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from smalti import open_store
from smalti.errors import Refused, Unavailable
from smalti.training import TrainingSettings
from smalti.training.loop import Training, step_seed, train
from smalti.training.ranks import Ranks, this_process
from tests.unit.training.ranks_run import SETTINGS
from tests.unit.training.tasks import Line

ROOT = Path(__file__).parents[3]
LAUNCH = Path(sys.executable).with_name("mlx.launch")
needs_ring = pytest.mark.skipif(
    not (LAUNCH.exists() and mx.distributed.is_available("ring")),
    reason=f"there is no {LAUNCH}, or this mlx has no ring backend",
)


def free_port() -> int:
    """Return a port that is free, and the next one too, as far as one can know."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def launched(folder: Path, *arguments: int) -> dict[str, dict[str, Any]]:
    """Train on two ranks and return what each of them wrote, by rank."""
    script = Path(__file__).with_name("ranks_run.py")
    launch = [LAUNCH, "-n", "2", "--hosts", "127.0.0.1", "--backend", "ring", "--starting-port", free_port()]
    command = [*launch, "--", sys.executable, script, folder / "store", folder, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    with (folder / "told").open("w") as told:
        process = subprocess.Popen(
            list(map(str, command)), env=environment, stdout=told, stderr=told, start_new_session=True
        )
        try:
            process.wait(timeout=120)
        finally:
            with suppress(ProcessLookupError):  # also the ranks, which do not end with the launcher
                os.killpg(process.pid, signal.SIGKILL)
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


@needs_ring
def test_two_ranks_come_to_the_weights_of_one_process_also_when_one_was_killed_and_both_resumed(
    tmp_path: Path,
) -> None:
    """With batches that cannot be halved: 23 samples are batches of 5, 5, 5, 4 and 4."""
    samples, batch_that_kills = 23, 17
    killed = launched(tmp_path, samples, batch_that_kills)
    assert killed.keys() == {"0"}, (tmp_path / "told").read_text()
    assert "one of the 2 ranks has ended or lost its connection, seen by rank 0" in killed["0"]["unavailable"]
    found = launched(tmp_path, samples)
    assert found.keys() == {"0", "1"}, (tmp_path / "told").read_text()
    first, second = found["0"], found["1"]
    assert (first["last"], first["best"]) == (second["last"], second["best"])
    assert (first["evaluations"], first["reports"], second["evaluations"], second["reports"]) == (3, 3, 0, 0)
    store, alone = open_store(tmp_path / "store"), train(Line(samples=samples, dropout=0.0), SETTINGS)
    for name, expected in (("last", alone.last), ("best", alone.best)):
        trained = store.get(first[name]["digest"])
        assert trained.model.keys() == expected.model.keys()
        for weight, tensor in expected.model.items():
            np.testing.assert_allclose(trained.model[weight], tensor, rtol=1e-5, atol=1e-5)
        losses = [[entry["loss"] for entry in c.state["history"]] for c in (trained, expected)]
        np.testing.assert_allclose(*losses, rtol=1e-5)
        assert [environment["world_size"] for environment in trained.state["environments"]] == [2]
    assert store.fsck().clean


@pytest.mark.parametrize("rank", [0, 1])
def test_a_batch_with_fewer_samples_than_ranks_is_refused_on_each(rank: int) -> None:
    with pytest.raises(Refused, match="a batch has 1 samples for 2 ranks; take larger batches or fewer ranks"):
        Ranks(rank, 2).part(np.array([3]))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_ranks_take_every_sample_of_a_batch_once(size: int) -> None:
    parts = [Ranks(rank, size).part(np.arange(10)) for rank in range(size)]
    assert sorted(np.concatenate(parts)) == list(range(10))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_each_rank_has_random_numbers_of_its_own() -> None:
    assert len({step_seed(0, 1, 2, rank) for rank in range(8)}) == 8


def test_a_process_by_itself_is_one_rank() -> None:
    assert this_process() == Ranks(0, 1)


def test_a_process_that_was_launched_as_one_of_several_and_finds_no_other_does_not_train_alone() -> None:
    program = "from smalti.training.ranks import this_process\nthis_process()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "MLX_RANK": "0", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "smalti.errors.Unavailable: this process was launched as one of several, but they cannot talk" in done.stderr
    assert issubclass(Unavailable, OSError)


def test_batches_that_make_one_whole_are_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smalti.training.loop.this_process", lambda: Ranks(1, 2))
    with pytest.raises(Refused, match="2 ranks cannot share the batches of a line, whose loss is no mean"):
        Training(Line(separable=False), TrainingSettings(epochs=1))
