"""Arrays larger than memory: put block by block and read slice by slice, in a process that never holds much."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import resource, sys
import numpy as np
from smalti import open_store

def peak_MiB():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10

store = open_store(sys.argv[1])
store.get(store.put_rows([np.zeros((100, 1024))]))  # whatever is imported late is imported now
before = peak_MiB()
store.put_rows((np.full((1024, 1024), n, np.float64) for n in range(48)), name="large")  # 8 MiB each
lazy = store.open("large")
for n in range(48):
    assert (lazy[1024 * n : 1024 * (n + 1)] == n).all()
print(peak_MiB() - before)
"""


def test_putting_and_reading_384_MiB_takes_less_than_160_MiB(tmp_path: Path) -> None:  # noqa: N802, a unit
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 160
