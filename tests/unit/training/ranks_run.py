"""A training in a store, as each rank runs it: ``python ranks_run.py STORE OUTPUT SAMPLES``.

Writes to ``OUTPUT/<rank>.json`` what was stored and how many evaluations, reports and samples this rank saw.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from smalti.compute import prepare_blas

prepare_blas()

from smalti import open_store  # noqa: E402
from smalti.training import TrainingSettings  # noqa: E402
from smalti.training.ranks import this_process  # noqa: E402
from smalti.training.resumable import train_in_store  # noqa: E402
from tests.unit.training.tasks import EVALUATED, Line  # noqa: E402

SETTINGS = TrainingSettings(epochs=6, learning_rate=1e-2, accumulate=2, checkpoint_epochs=1, metric="rmse")


class Counting(Line):
    """Counts what it is asked for."""

    def __init__(self, samples: int) -> None:
        super().__init__(samples=samples, dropout=0.0)
        self.seen: dict[str, int]
        object.__setattr__(self, "seen", {"evaluations": 0, "samples": 0, "reports": 0})

    def batch(self, samples):
        self.seen["samples"] += len(samples)
        return super().batch(samples)

    def evaluate(self, network):
        found = super().evaluate(network)
        self.seen["evaluations"] += 1
        self.seen["samples"] -= len(EVALUATED)
        return found

    def report(self, progress) -> None:
        self.seen["reports"] += "loss" in progress


if __name__ == "__main__":
    store, output, samples = sys.argv[1:]
    ranks, task = this_process(), Counting(int(samples))
    stored = train_in_store(open_store(store), task, SETTINGS, {}, task.report)
    answer = {**asdict(stored), **task.seen}
    Path(output, f"{ranks.rank}.json").write_text(json.dumps(answer))
