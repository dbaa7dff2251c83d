"""What keeps a process that parses foreign bytes from everything but its input: Landlock, seccomp, no privileges."""

from __future__ import annotations

import ctypes
import os
import site
import stat
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SIGKILL = 9
# Shared libraries, time zones, and two devices: what an interpreter and its packages open when they like.
_SYSTEM = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache",
    "/etc/localtime", "/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/urandom",
)  # fmt: skip


def confine(readable: Sequence[str], writable: str) -> None:
    """Confine this process, which must have one thread, for good: call it before anything foreign is opened.

    It can then read the interpreter, its packages and ``readable``, and make and read files in ``writable``.

    Args:
        readable: files; what is no regular file is left out.
        writable: a folder.

    Raises:
        OSError: the kernel has a protection and does not apply it.
    """
    if sys.platform != "linux":
        return
    _end_with_parent()
    _see_only(readable, writable)


def _end_with_parent() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_PDEATHSIG, _SIGKILL), (_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
            raise OSError(ctypes.get_errno(), f"prctl {option} was refused")


def landlock_abi() -> int:
    """Return the version of Landlock that this kernel has; 0: none."""
    if sys.platform != "linux":
        return 0
    import landlock

    with suppress(landlock.LandlockError):
        return int(landlock.landlock_abi_version())
    return 0


def _see_only(readable: Sequence[str], writable: str) -> None:
    if not landlock_abi():
        return
    from landlock import FSAccess, Ruleset

    read_file, read_folder = FSAccess.READ_FILE, FSAccess.READ_FILE | FSAccess.READ_DIR
    make = FSAccess.WRITE_FILE | FSAccess.MAKE_REG | FSAccess.REMOVE_FILE
    if FSAccess.TRUNCATE in FSAccess.all_file():
        make |= FSAccess.TRUNCATE
    rules = Ruleset()
    for place in (*packages(), *_SYSTEM):
        if Path(place).is_dir():
            rules.allow(place, rules=read_folder)
        elif Path(place).exists():
            rules.allow(place, rules=read_file | FSAccess.WRITE_FILE if place == os.devnull else read_file)
    for place in readable:
        with suppress(OSError):
            if stat.S_ISREG(os.lstat(place).st_mode):
                rules.allow(place, rules=read_file)
    rules.allow(writable, rules=read_folder | make)
    rules.apply()


def packages() -> Iterator[str]:
    """Yield the folders of the interpreter's own modules and libraries, of its packages, and of this one."""
    yield from (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield from (str(Path(prefix) / "lib") for prefix in (sys.prefix, sys.base_prefix))
    yield from site.getsitepackages()
    if site.ENABLE_USER_SITE:
        yield site.getusersitepackages()
    yield str(Path(__file__).parent.parent)
