"""Which processes this machine runs: found by number, told from others that had the same number, interrupted."""

from __future__ import annotations

import calendar
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys" / "kernel" / "random" / "boot_id"
_DEAD = "ZX"  # a zombie waits for its parent to read its status; it does nothing any more


@dataclass(frozen=True, slots=True)
class Process:
    """One process, also after its number was given to another.

    Attributes:
        pid: its number.
        boot: which start of the machine it belongs to.
        start: when it began, as exactly as the system keeps it; no clock that is set changes it.
        start_s: the same in seconds since 1970, by the clock as it is set now.
    """

    pid: int
    boot: str
    start: str
    start_s: float

    def is_same(self, other: Process | None) -> bool:
        """Tell whether both are one process."""
        return other is not None and (self.pid, self.boot, self.start) == (other.pid, other.boot, other.start)


class Processes(Protocol):
    """The processes of a machine."""

    def find(self, pid: int) -> Process | None:
        """Return the living process of that number, if there is one."""

    def interrupt(self, process: Process) -> bool:
        """Send SIGINT to that process and to no other; False when it is gone."""


class ProcessesHere:
    """The processes of this machine, Linux or macOS."""

    def find(self, pid: int) -> Process | None:
        return from_proc(pid) if _BOOT_ID.exists() else from_ps(pid)

    def interrupt(self, process: Process) -> bool:
        with suppress(ProcessLookupError):
            if not hasattr(os, "pidfd_open"):
                if not process.is_same(self.find(process.pid)):
                    return False
                os.kill(process.pid, signal.SIGINT)
                return True
            held = os.pidfd_open(process.pid)  # from here on the number cannot come to mean another process
            try:
                if process.is_same(self.find(process.pid)):
                    signal.pidfd_send_signal(held, signal.SIGINT)
                    return True
            finally:
                os.close(held)
        return False


def from_proc(pid: int) -> Process | None:
    """Read a process from ``/proc``, where its start is counted in clock ticks since the machine began."""
    try:
        # The second field is the program's name in parentheses, in which there may be anything.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks = fields[0], fields[19]
    if state in _DEAD:
        return None
    booted_s = next(int(line.split()[1]) for line in (_PROC / "stat").open() if line.startswith("btime"))
    return Process(pid, _BOOT_ID.read_text().strip(), ticks, booted_s + int(ticks) / os.sysconf("SC_CLK_TCK"))


def from_ps(pid: int) -> Process | None:
    """Ask ``ps`` for a process; it says the second in which it began."""
    told = _output("ps", "-o", "state=,lstart=", "-p", str(pid))
    state, _, start = told.strip().partition(" ")
    if not state or state[0] in _DEAD:
        return None
    start = " ".join(start.split())
    return Process(pid, _boot_session(), start, calendar.timegm(time.strptime(start, "%a %b %d %H:%M:%S %Y")))


@cache
def _boot_session() -> str:
    return _output("sysctl", "-n", "kern.bootsessionuuid").strip()


def _output(*command: str) -> str:
    english = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        return subprocess.run(command, env=english, stdout=subprocess.PIPE, text=True, check=False).stdout
    except FileNotFoundError:
        return ""
