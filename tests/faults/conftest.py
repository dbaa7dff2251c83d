"""Processes that are killed, traced by strace and starved of disk, and the values that they store."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import Weights
from tests.forked_process import Act, ForkedProcess, Outcome


@pytest.fixture
def tmp_path(disk_path: Path) -> Path:
    """A folder on a disk: memory knows no syncs, and these laws are about them."""
    return disk_path


@pytest.fixture
def child() -> Callable[[Act], ForkedProcess]:
    """Start a process for an act; it waits to be released."""
    return ForkedProcess


@pytest.fixture
def under_strace(tmp_path: Path) -> Callable[[Act, Sequence[str]], Outcome]:
    """Run an act in a process under strace with the given options."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed; on Debian: apt-get install strace")
    trace = tmp_path / "trace"

    def run(act: Act, options: Sequence[str]) -> Outcome:
        process = ForkedProcess(act)
        slept = _asleep(process.pid)
        command = ["strace", "-f", "-qq", "-y", "-o", str(trace), *options, "-p", str(process.pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        if not _attached(process.pid, tracer, slept):
            process.kill()
            process.finish()
            assert tracer.stderr
            pytest.skip(f"strace may not attach to a process here: {tracer.stderr.read().strip()}")
        process.release()
        outcome = process.finish()
        tracer.communicate(timeout=60)
        return Outcome(outcome.said, outcome.ended, trace.read_text(errors="replace"))

    return run


def _asleep(pid: int) -> int:
    """Wait until a process sleeps, and return how often it has gone to sleep so far."""
    while (status := _status(pid))["State"] != "S (sleeping)":
        time.sleep(0.001)
    return int(status["voluntary_ctxt_switches"])


def _attached(pid: int, tracer: subprocess.Popen[str], slept: int) -> bool:
    """Wait until strace sees the calls of a sleeping process; False if it ends before.

    A process has a tracer before it is stopped for the first time, and what it calls in between is not seen. It sleeps
    once in that stop, and for a second time only when it goes on being watched.
    """
    while tracer.poll() is None:
        status = _status(pid)
        if status["TracerPid"] != "0" and int(status["voluntary_ctxt_switches"]) >= slept + 2:
            return True
        time.sleep(0.001)
    return False


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@pytest.fixture
def value() -> Callable[[int], dict[str, Any]]:
    """Values that follow from a number, so that whoever reads one knows what it was.

    Each shares a child with all others and is a near-duplicate of its neighbours.
    """
    stack = np.random.default_rng(7).random((40, 2048))
    shared = np.arange(3000)

    def make(n: int) -> dict[str, Any]:
        changed = stack.copy()
        changed[n % 40] = n
        return {"stack": changed, "shared": shared, "weights": Weights({"w": np.full(9, n)}), "raw": b"%d" % n, "n": n}

    return make


@pytest.fixture
def tight_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB; skipped where one may not be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system may not be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
