"""Asking a peer, in its own environment, for one of the cases of :mod:`benchmarks.runs.peers`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

_SCRIPT = Path(__file__).with_name("peers.py")


def ask(python: Path, case: str, folder: Path, number: int) -> dict[str, float]:
    """Return what a peer measured of a case in a folder."""
    done = subprocess.run(
        [python, _SCRIPT, case, folder, str(number)], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{case} failed in the environment of the peers: {done.stderr.strip()[-500:]}")
    answer: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer
