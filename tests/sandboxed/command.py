"""``smalti validate`` as a person runs it, with what it took; ``python -m tests.sandboxed.command`` prints the figures
of ``docs/contracts.md`` for every hostile file.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from smalti.ingest.sandbox import limits_for

_START_S = 30.0  # for Python and its imports, on a machine that is busy
# A process starts with the peak of the one it comes from, so a small one has to lie between.
_WAITER = """
import os, sys
pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@dataclass(frozen=True)
class Ran:
    """What came of one command.

    Attributes:
        status: its exit code.
        seconds: wall time, the start of Python included.
        peak_nbytes: resident memory of the largest of its processes.
    """

    status: int
    stdout: list[str]
    stderr: str
    seconds: float
    peak_nbytes: int


def validate(path: Path) -> Ran:
    """Run ``smalti validate`` on a file, at most as long as its sandbox may take.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    nbytes = path.lstat().st_size if os.path.lexists(path) else 0
    most_s = limits_for(nbytes).wall_s + _START_S
    command = [sys.executable, "-c", "from smalti.cli import main; main()", "validate", str(path)]
    waiter = [sys.executable, "-S", "-c", _WAITER, *command]
    begin = time.monotonic()
    done = subprocess.run(waiter, capture_output=True, text=True, check=True, timeout=most_s)
    seconds = time.monotonic() - begin
    *printed, measured = done.stdout.splitlines()
    status, peak_nbytes = map(int, measured.split())
    return Ran(status, printed, done.stderr, seconds, peak_nbytes)


def main() -> None:
    """Validate every hostile file alone, and print what it took."""
    from tests.unit.formats.hostile.cases import CASES

    ran: dict[str, Ran] = {}
    with tempfile.TemporaryDirectory() as root:
        for number, (name, case) in enumerate(CASES.items()):
            path = Path(root, str(number), case.name)
            path.parent.mkdir()
            case.make(path)
            ran[name] = validate(path)
    for name, one in ran.items():
        if one.status != 1:
            print(f"{name}: exit code {one.status}: {' '.join([*one.stdout, one.stderr])}")
    slowest, largest = max(ran, key=lambda n: ran[n].seconds), max(ran, key=lambda n: ran[n].peak_nbytes)
    refused = sum(one.status == 1 for one in ran.values())
    print(f"{len(ran)} files, {refused} of them refused with exit code 1")
    print(f"median {statistics.median(one.seconds for one in ran.values()):.2f} s")
    print(f"slowest {ran[slowest].seconds:.2f} s: {slowest}")
    print(f"most memory {ran[largest].peak_nbytes / 1e6:.0f} MB resident: {largest}")


if __name__ == "__main__":
    main()
