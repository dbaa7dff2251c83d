"""A training step of a small BERT (forward, backward, AdamW), ours beside the same model in torch, one thread each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.line import Line
from smalti.errors import Refused, Unavailable

TORCH = Path(__file__).with_name("bert_step_torch.py")  # imports torch, which is only with the peers
STEPS = 20  # in one turn
RATIO = 1.5
CONFIG = {
    "vocab_size": 1000, "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 256, "max_position_embeddings": 64,
}  # fmt: skip
ACTIVATIONS = ("relu", "gelu")


def measure(peers_python: Path, rounds: int) -> list[Line]:
    """Return a line for each activation; the two take turns, and a ratio is the median of those of the rounds.

    Args:
        peers_python: of an environment that holds torch and transformers.
    """
    return [_compare(peers_python, activation, rounds) for activation in ACTIVATIONS]


def _compare(peers_python: Path, activation: str, rounds: int) -> Line:
    config = json.dumps({**CONFIG, "hidden_act": activation})
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        theirs = running.enter_context(_Side([str(peers_python), "-W", "ignore", str(TORCH), folder, config]))
        ours = running.enter_context(_Side([sys.executable, "-m", "benchmarks.data.bert_step_mlx", folder]))
        if abs(ours.loss - theirs.loss) > 1e-5:
            raise Refused(f"the losses of one batch are {ours.loss} and {theirs.loss}; time one and the same model.")
        for side in (ours, theirs):
            side.steps(STEPS)  # not counted: memory is touched, caches are filled
        turns = [(ours.steps(STEPS), theirs.steps(STEPS)) for _ in range(rounds)]
    ratio = median(one["cpu_s"] / other["cpu_s"] for one, other in turns)
    cpu, wall = (
        [1e3 * median(turn[side][clock] for turn in turns) for side in (0, 1)] for clock in ("cpu_s", "wall_s")
    )
    return Line(
        f"training step of BERT against torch, {activation}, dropout 0.1, 2 layers of 128, 32 x 32 tokens",
        f"at most {RATIO} times",
        f"{cpu[0]:.1f} ms against {cpu[1]:.1f} ms of CPU, {ratio:.2f} times ({wall[0]:.1f} against {wall[1]:.1f} ms "
        f"by the clock); {rounds} alternating rounds",
        ratio <= RATIO,
    )


class _Side:
    """A process that trains on request."""

    def __init__(self, command: Sequence[str]) -> None:
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._command = command
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
        )

    def __enter__(self) -> _Side:
        self.loss = self._answer()["loss"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # closes its stdin, which ends it

    def steps(self, count: int) -> dict[str, float]:
        """Return the wall and CPU seconds of one of ``count`` steps."""
        assert self._process.stdin
        print(count, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            status = self._process.wait()
            raise Unavailable(f"`{' '.join(self._command)}` ended with status {status}; its last words are above.")
        taken: dict[str, float] = json.loads(answer)
        return taken
