"""What keeps foreign bytes in their place is there whatever went wrong before."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes, errno
from smalti.compute.confinement import landlock_abi
before = landlock_abi()
landlock_abi.cache_clear()
ctypes.set_errno(errno.ENOENT)  # as any call of another library leaves it
assert landlock_abi() == before, (landlock_abi(), before)
"""


def test_an_earlier_error_of_another_library_does_not_turn_landlock_off() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
