"""What keeps a process that parses foreign bytes from everything but its input: Landlock, seccomp, no privileges."""

from __future__ import annotations

import ctypes
import os
import signal
import site
import stat
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from smalti.compute import system_calls

_CAPABILITIES_VERSION, _CAP_DAC_READ_SEARCH = 0x20080522, 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
# Shared libraries, time zones, and two devices: what an interpreter and its packages open when they like.
_SYSTEM = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache",
    "/etc/localtime", "/usr/share/zoneinfo", "/dev/zero", "/dev/urandom",
)  # fmt: skip


def confine(readable: Sequence[str], writable: str) -> None:
    """Confine this process, which must have one thread, for good: call it before anything foreign is opened.

    With Landlock it can read the interpreter, its packages and ``readable``, and make and read files in ``writable``.
    With seccomp it can make those system calls only that :mod:`smalti.compute.system_calls` names. On any Linux it ends
    with the process that forked it, and root is a user like others, who may read what belongs to others.

    Args:
        readable: files; what is no regular file is left out.
        writable: a folder.

    Raises:
        OSError: the kernel has a protection and does not apply it.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        _call(libc.prctl, option, *map(ctypes.c_ulong, (value, 0, 0, 0)))
    _give_up_privileges(libc)
    _see_only(readable, writable)
    system_calls.allow_few()


def _give_up_privileges(libc: ctypes.CDLL) -> None:
    """Keep none of the capabilities of root, that of raising limits among them, but to read the files of others."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; the lower 32 of each, then the upper
    _call(libc.capget, header, sets)
    kept = [sets[0] & 1 << _CAP_DAC_READ_SEARCH, sets[1] & 1 << _CAP_DAC_READ_SEARCH, 0, 0, 0, 0]
    _call(libc.capset, header, (ctypes.c_uint32 * 6)(*kept))


def _call(function: Any, *arguments: Any) -> None:
    if function(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{function.__name__}: {os.strerror(number)}")


@cache
def landlock_abi() -> int:
    """Return the version of Landlock that this kernel has; 0: none, or its package is not installed."""
    with suppress(ImportError):  # it is on Linux only
        import landlock

        ctypes.set_errno(0)  # the package takes the error of any earlier call for its own
        with suppress(landlock.LandlockError):
            return int(landlock.landlock_abi_version())
    return 0


def prepare() -> None:
    """Do in this process what is the same for all of its children; call it before each is forked."""
    if sys.platform == "linux":
        landlock_abi()
        _always_readable(len(sys.modules))
        system_calls.prepare()


def _see_only(readable: Sequence[str], writable: str) -> None:
    if not landlock_abi():
        return
    from landlock import FSAccess, Ruleset

    ctypes.set_errno(0)  # as above
    make = FSAccess.WRITE_FILE | FSAccess.MAKE_REG | FSAccess.REMOVE_FILE
    if FSAccess.TRUNCATE in FSAccess.all_file():
        make |= FSAccess.TRUNCATE
    folders, files = _always_readable(len(sys.modules))
    rules = Ruleset()
    rules.allow(*folders, rules=FSAccess.READ_FILE | FSAccess.READ_DIR)
    rules.allow(*files, rules=FSAccess.READ_FILE)
    for place in readable:
        with suppress(OSError, ValueError):  # there is no such file
            if stat.S_ISREG(os.lstat(place).st_mode):
                rules.allow(place, rules=FSAccess.READ_FILE)
    rules.allow(os.devnull, rules=FSAccess.READ_FILE | FSAccess.WRITE_FILE)
    rules.allow(writable, rules=FSAccess.READ_FILE | FSAccess.READ_DIR | make)
    rules.apply()
    os.close(rules._fd)  # which the package leaves open


@lru_cache(1)
def _always_readable(_modules: int) -> tuple[list[str], list[str]]:
    """Return folders and files: the system's, and those of the interpreter and its packages.

    A package that is imported may lie anywhere (``PYTHONPATH``, a checkout); more of it may be imported later.
    """
    places = {*_SYSTEM, *site.getsitepackages()}
    places |= {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    places |= {str(Path(prefix) / "lib") for prefix in (sys.prefix, sys.base_prefix)}
    if site.ENABLE_USER_SITE:
        places.add(site.getusersitepackages())
    tops = (module for name, module in list(sys.modules.items()) if "." not in name)
    places |= {str(folder) for top in tops for folder in getattr(top, "__path__", ())}
    there = {Path(place).resolve() for place in places if Path(place).exists()}
    outermost = [str(place) for place in sorted(there) if there.isdisjoint(place.parents)]
    return [place for place in outermost if Path(place).is_dir()], [p for p in outermost if not Path(p).is_dir()]
