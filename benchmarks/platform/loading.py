"""How long the definitions take to load, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.line import Line, at_most

GOAL_s = 3.0
_PROJECT = Path(__file__).parents[2]
_LOAD = "import definitions; definitions.defs.get_repository_def()"


def measure(rounds: int) -> list[Line]:
    """Return the seconds from the start of an interpreter to the loaded definitions, beside Dagster's import alone."""
    alternating = [(_seconds(_LOAD), _seconds("import dagster")) for _ in range(rounds)]
    ours, dagster = (median(times) for times in zip(*alternating, strict=True))
    return [
        at_most(GOAL_s, "the definitions load, interpreter included", ours, "{:.1f} s"),
        Line("of it, the interpreter and `import dagster`", "", f"{dagster:.1f} s"),
    ]


def _seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=_PROJECT, check=True)
    return time.perf_counter() - start
