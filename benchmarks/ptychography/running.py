"""A measured child process: what it took in CPU seconds, wall time and memory, as the system counts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smalti.errors import Unavailable


@dataclass(frozen=True)
class Cost:
    """What a process took from start to end, its imports and what it compiled included."""

    wall_s: float
    cpu_s: float
    peak_nbytes: int


def run(command: Sequence[str], temporary: Path | None = None) -> tuple[Cost, str]:
    """Run a command to its end; return its cost and what it printed. Its stderr goes where ours goes.

    Args:
        temporary: its folder for temporary files, where mlx iterations for the kernels that it compiled before.

    Raises:
        Unavailable: it failed.
    """
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"} | ({"TMPDIR": str(temporary)} if temporary else {})
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Unavailable(f"`{' '.join(command)}` ended with status {process.returncode}; its last words are above.")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, peak), printed
