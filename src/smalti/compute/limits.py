"""What a child process may take of the machine: set by the child on itself before it imports anything foreign."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Literal

from smalti.errors import Refused

_OPEN_FILES = 256
Cause = Literal["memory", "time", "crash"]
_applied: list[ChildLimits] = []


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What one child may use; ``extend_limits`` raises memory and CPU time once a file has said what it needs.

    Memory is limited by ``RLIMIT_DATA``, which on Linux counts private writable pages: heap, arrays, stacks.
    ``RLIMIT_AS`` would also count libraries and mapped files, which cost nothing, and what allocators only
    reserve: with pyarrow loaded that is more than the data of most scans.

    Attributes:
        memory_nbytes: private writable memory, the interpreter's and the libraries' included.
        cpu_s: CPU time of all threads together.
        file_nbytes: size of any one file it writes.
        wall_s: from start to answer; the parent ends the child then.
    """

    memory_nbytes: int
    cpu_s: int
    file_nbytes: int
    wall_s: float

    def apply(self) -> None:
        """Limit this process, from here on."""
        _applied.append(self)
        _set_soft(resource.RLIMIT_DATA, self.memory_nbytes)
        _set_soft(resource.RLIMIT_CPU, self.cpu_s)
        _set_soft(resource.RLIMIT_FSIZE, self.file_nbytes)
        _set_soft(resource.RLIMIT_NOFILE, _OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class ChildStopped(Refused):
    """The child ended without an answer because of what it was given: ``cause`` is memory, time or a crash."""

    def __init__(self, message: str, cause: Cause) -> None:
        super().__init__(message)
        self.cause = cause


def extend_limits(memory_nbytes: int, cpu_s: int) -> None:
    """Make room in this process for a value of so many bytes, in place of the last one, and add CPU time.

    Does nothing in a process without limits.
    """
    if _applied:
        _set_soft(resource.RLIMIT_DATA, _applied[-1].memory_nbytes + memory_nbytes)
        _set_soft(resource.RLIMIT_CPU, resource.getrlimit(resource.RLIMIT_CPU)[0] + cpu_s)


def lift_memory_limit() -> None:
    """Let this process end in good order, once it has run out of memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _set_soft(kind: int, value: int) -> None:
    """Set a limit that may be raised again, and never one above the machine's own."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
