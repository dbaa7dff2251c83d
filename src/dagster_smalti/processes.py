"""Which process of this machine has an id, and since when: an id is given again once its process has ended."""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

_CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def started_at(pid: int) -> float | None:
    """Return when a process started, in seconds since the epoch; None where no process (or a zombie) has this id.

    On Linux the kernel says it to 0.01 s, but counts from a boot whose time it gives in whole seconds; elsewhere
    ``ps`` says it in whole seconds.
    """
    return _from_proc(pid) if sys.platform == "linux" else _from_ps(pid)


def _from_proc(pid: int) -> float | None:
    try:
        # The second field is a name in parentheses that may hold blanks and parentheses; see proc(5).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in ("Z", "X"):
        return None
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return int(boot.split()[1]) + int(fields[19]) / _CLOCK_TICKS_PER_S


def _from_ps(pid: int) -> float | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    state, _, started = said.stdout.strip().partition(" ")
    if not started or state.startswith("Z"):
        return None
    return datetime.strptime(started.strip(), "%a %b %d %H:%M:%S %Y").timestamp()
