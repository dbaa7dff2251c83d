"""Acts in a process of their own, to be killed, traced and starved; what they acknowledged is a line each.

The process is a fork of this one, so that hundreds of them cost little; ``strace`` is attached before it begins.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import Weights

Say = Callable[[str], None]
Act = Callable[[Say], None]

_PR_SET_PTRACER = 0x59616D61
_ANYBODY = ctypes.c_ulong(-1)


@dataclass(frozen=True)
class ValidationResult:
    """Attributes:
    said: the lines the act acknowledged, in order.
    ended: exit status; negative, the signal that killed it.
    trace: what strace wrote.
    """

    said: list[str]
    ended: int
    trace: str = ""

    @property
    def injected(self) -> int:
        return self.trace.count("(INJECTED)") + (self.ended == -signal.SIGKILL)


class Child:
    """A process that will act when it is released."""

    def __init__(self, act: Act) -> None:
        self._ours, theirs = socket.socketpair()
        gate, self._gate = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _be_the_child(act, theirs, gate)
        theirs.close()
        os.close(gate)

    def release(self) -> None:
        os.write(self._gate, b"go")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def finish(self, seconds: float = 60) -> ValidationResult:
        """Wait for its end; whoever hangs is killed and fails the test."""
        said = b""
        deadline = time.monotonic() + seconds
        while select.select([self._ours], [], [], max(0, deadline - time.monotonic()))[0]:
            some = self._ours.recv(65536)
            if not some:
                break
            said += some
        else:
            self.kill()
            os.waitpid(self.pid, 0)
            raise AssertionError(f"the process did not end within {seconds} s; it said {said!r}")
        self._ours.close()
        os.close(self._gate)
        _, status = os.waitpid(self.pid, 0)
        return ValidationResult(said.decode().splitlines(), os.waitstatus_to_exitcode(status))


def _be_the_child(act: Act, ours: socket.socket, gate: int) -> None:
    def say(text: str) -> None:
        ours.sendall(text.encode() + b"\n")  # sendto, which no test lets fail

    try:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
        os.read(gate, 2)
        act(say)
        os._exit(0)
    except BaseException as error:
        say(f"{type(error).__name__}: {error}")
        os._exit(1)


@pytest.fixture
def child() -> Callable[[Act], Child]:
    """Start a process for an act; it waits to be released."""
    return Child


@pytest.fixture
def under_strace(tmp_path: Path) -> Callable[[Act, Sequence[str]], ValidationResult]:
    """Run an act in a process under strace with the given options."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed; on Debian: apt-get install strace")
    trace = tmp_path / "trace"

    def run(act: Act, options: Sequence[str]) -> ValidationResult:
        process = Child(act)
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
        return ValidationResult(outcome.said, outcome.ended, trace.read_text(errors="replace"))

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
