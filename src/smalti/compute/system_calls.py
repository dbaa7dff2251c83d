"""Which system calls a process that parses foreign bytes may make, as a seccomp filter; every other does not exist.

The list is of what an interpreter, numpy, HDF5 and Arrow do with files that are open to them: it holds none that makes
a socket or a process, starts a program, signals or looks into another process, changes the mode, owner or times of a
file, or raises a limit. ``ENOSYS`` and not ``EPERM``, since C libraries know how to go on without a call that a kernel
does not have (``clone3``, whose flags cannot be seen here, becomes ``clone``).
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from typing import Any

_UNKNOWN = -1
_LIBRARY = "libseccomp.so.2"
_PLAIN = """
    access close close_range dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate fdatasync flock fstat fstatfs fsync
    ftruncate getcwd getdents getdents64 lseek lstat newfstatat open openat pipe pipe2 pread64 preadv pwrite64 pwritev
    read readlink readlinkat readv stat statfs statx unlink unlinkat write writev

    brk get_mempolicy madvise mbind membarrier mincore mprotect mremap msync munmap

    clock_getres clock_gettime clock_nanosleep epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 futex
    futex_waitv gettimeofday nanosleep poll ppoll pselect6 restart_syscall sched_yield select time

    arch_prctl exit exit_group getcpu getegid geteuid getgid getpid getppid getrandom getrlimit getrusage gettid getuid
    rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity set_robust_list set_tid_address sigaltstack sysinfo
    uname
"""
# name -> which argument, and the values it may have
_FCNTL, _IOCTL, _PRCTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030), (0x5401, 0x5413, 0x541B, 0x5450, 0x5451), (15, 16)
_EXACTLY: dict[str, tuple[int, tuple[int, ...]]] = {
    "fcntl": (1, _FCNTL),  # copies, flags and locks; not who gets a signal when a file can be read
    "ioctl": (1, _IOCTL),  # is it a terminal, how much can be read, close on exec
    "prctl": (0, _PRCTL),  # the name of a thread
    "prlimit64": (2, (0,)),  # what a limit is; not what it shall be
}
_CLONE_THREAD = 0x10000
# Shared memory without a file, and stacks that grow, are not counted against the limit on memory.
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_GROWSDOWN = 0x01, 0x20, 0x100
_TO_ITSELF = ("kill", "tgkill")  # so that abort() ends a process as it should


@cache
def missing() -> str:
    """Return why system calls cannot be filtered here, as a sentence; empty where they can."""
    if sys.platform != "linux":
        return "only Linux has seccomp"
    try:
        ctypes.CDLL(_LIBRARY)
        import pyseccomp  # noqa: F401
    except OSError:
        return f"{_LIBRARY} is not installed; install libseccomp2 (Debian, Ubuntu) or libseccomp"
    except (ImportError, RuntimeError) as error:
        return f"pyseccomp cannot be used ({error}); install pyseccomp"
    with open("/proc/self/status") as file:  # noqa: PTH123
        if not any(line.startswith("Seccomp:") for line in file):
            return "this kernel was built without seccomp"
    return ""


@cache
def _rules() -> Any:
    """Return the filter but for what depends on the process; a fork copies it."""
    import pyseccomp as seccomp

    made = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
    for name in _PLAIN.split():
        if seccomp.resolve_syscall(seccomp.system_arch(), name) != _UNKNOWN:
            made.add_rule(seccomp.ALLOW, name)
    for name, (place, values) in _EXACTLY.items():
        for value in values:
            made.add_rule(seccomp.ALLOW, name, seccomp.Arg(place, seccomp.EQ, value))
    made.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_THREAD, _CLONE_THREAD))
    uncounted = _MAP_SHARED | _MAP_ANONYMOUS | _MAP_GROWSDOWN
    for flags in (0, _MAP_SHARED, _MAP_ANONYMOUS):
        made.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(3, seccomp.MASKED_EQ, uncounted, flags))
    return made


def prepare() -> None:
    """Make the filter, where there is seccomp, so that the children of this process need not."""
    if not missing():
        _rules()


def allow_few() -> None:
    """Take every other system call from this process, which must have one thread, for good.

    Raises:
        OSError: the kernel refuses the filter.
    """
    if missing():
        return
    import pyseccomp as seccomp

    made = _rules()
    for name in _TO_ITSELF:
        made.add_rule(seccomp.ALLOW, name, seccomp.Arg(0, seccomp.EQ, os.getpid()))
    made.load()
