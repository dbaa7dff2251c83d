"""What keeps foreign bytes in their place is there whatever went wrong before."""

from __future__ import annotations

import errno
import subprocess
import sys

PROGRAM = """
import ctypes, sys
from smalti.compute.confinement import landlock_abi
ctypes.set_errno(int(sys.argv[1]))
print(landlock_abi())
"""


def landlock_after(error: int) -> str:
    """Return what a fresh process finds after a call of another library left an error behind."""
    command = [sys.executable, "-c", PROGRAM, str(error)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_an_earlier_error_of_another_library_does_not_turn_landlock_off() -> None:
    assert landlock_after(errno.ENOENT) == landlock_after(0)
