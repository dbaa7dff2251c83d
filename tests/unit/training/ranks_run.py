"""A training in a store, as each rank runs it: ``python ranks_run.py STORE OUTPUT SAMPLES [BATCHES]``.

Writes to ``OUTPUT/<rank>.json`` what was stored and how many evaluations and reports this rank saw, or the sentence
that ended it. Rank 1 dies after so many batches.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from smalti.compute import prepare_blas

prepare_blas()

from smalti import open_store  # noqa: E402
from smalti.errors import Unavailable  # noqa: E402
from smalti.training import Saving, TrainingSettings  # noqa: E402
from smalti.training.ranks import this_process  # noqa: E402
from smalti.training.resumable import train_in_store  # noqa: E402
from tests.unit.training.tasks import Line  # noqa: E402

SETTINGS = TrainingSettings(epochs=6, learning_rate=1e-2, accumulate=2, checkpoint_epochs=1, metric="rmse")
SAVING = Saving(every_steps=2, every_s=None)


class Counting(Line):
    """Counts what it is asked for."""

    def __init__(self, samples: int, batches_left: int) -> None:
        super().__init__(samples=samples, dropout=0.0)
        self.seen: dict[str, int]
        object.__setattr__(self, "seen", {"evaluations": 0, "reports": 0, "batches_left": batches_left})

    def batch(self, samples):
        self.seen["batches_left"] -= 1
        if self.seen["batches_left"] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().batch(samples)

    def evaluate(self, network):
        self.seen["evaluations"] += 1
        return super().evaluate(network)

    def report(self, progress) -> None:
        self.seen["reports"] += "loss" in progress


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the launcher ends the others: show what they do without that
    store, output, samples, *dies = sys.argv[1:]
    rank = this_process().rank
    task = Counting(int(samples), int(dies[0]) if dies and rank == 1 else -1)
    try:
        stored = train_in_store(open_store(store), task, SETTINGS, {}, task.report, SAVING)
        answer = {**asdict(stored), **task.seen}
    except Unavailable as error:
        answer = {"unavailable": str(error)}
    Path(output, f"{rank}.json").write_text(json.dumps(answer))
