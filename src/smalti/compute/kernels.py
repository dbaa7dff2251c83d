"""One process at a time compiles mlx kernels.

On a CPU ``mx.compile`` calls g++ and writes the result in place under the temporary folder, where every process
looks for it: a second process could load half a library.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def compiling_alone() -> Iterator[None]:
    """Wait until no other process compiles; evaluate a compiled function for the first time in here."""
    lock = Path(tempfile.gettempdir(), f"smalti-mlx-kernels-{os.getuid()}.lock")
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # closing the file, or dying, unlocks it
        yield
