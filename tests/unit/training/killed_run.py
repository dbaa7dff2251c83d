"""A training in a store, to be killed at any moment; each step that it takes is a line on stdout.

``python -m tests.unit.training.killed_run STORE [BATCHES]`` ends with a line of JSON, what it stored; after so many
batches it waits to be killed instead.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict

from smalti.compute import prepare_blas

prepare_blas()

from smalti import open_store  # noqa: E402
from smalti.training import Saving, TrainingSettings  # noqa: E402
from smalti.training.resumable import train_in_store  # noqa: E402
from tests.unit.training.tasks import Words  # noqa: E402

SETTINGS = TrainingSettings(
    epochs=30, accumulate=3, checkpoint_epochs=1, learning_rate=3e-3, seed=5, metric="accuracy", patience=12
)
SAVING = Saving(every_steps=2, every_s=None, keep_last=2)


class Telling(Words):
    """Tells every batch that it is asked for, and comes to a halt after so many."""

    def __init__(self, batches: int | None) -> None:
        super().__init__()
        self._left = batches

    def batch(self, samples):
        print(f"batch {samples[0]}", flush=True)
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                signal.pause()
        return super().batch(samples)


if __name__ == "__main__":
    task = Telling(int(sys.argv[2]) if len(sys.argv) > 2 else None)
    stored = train_in_store(open_store(sys.argv[1]), task, SETTINGS, {"words": 1}, saving=SAVING)
    print(json.dumps(asdict(stored)), flush=True)
