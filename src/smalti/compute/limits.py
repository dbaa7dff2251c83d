"""What a child process may take of the machine, and how it asks for more once a file has said what it needs."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass

_OPEN_FILES = 256
Claim = Callable[[int, int], None]
_claims: list[Claim] = []


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What one child may use: at first, and at most, once it has claimed more.

    Memory is limited by ``RLIMIT_DATA``, which on Linux counts private writable pages: heap, arrays, stacks.
    ``RLIMIT_AS`` would also count libraries and mapped files, which cost nothing, and what allocators only
    reserve: with pyarrow loaded that is more than the data of most scans.

    Attributes:
        memory_nbytes: private writable memory, the interpreter's and the libraries' included.
        cpu_s: CPU time of all threads together.
        file_nbytes: size of any one file it writes.
        wall_s: from start to answer; the parent ends the child then.
        claimable_nbytes: how much memory, and size of a file, a claim may add.
        claimable_cpu_s: how much CPU time all claims together may add.
    """

    memory_nbytes: int
    cpu_s: int
    file_nbytes: int
    wall_s: float
    claimable_nbytes: int = 0
    claimable_cpu_s: int = 0

    def enforce(self) -> None:
        """Limit this process for good: the kernel lets no limit of it rise above what it may claim.

        A process of root could raise its hard limits as well; it has to be confined after this.
        """
        _set_hard(resource.RLIMIT_DATA, self.memory_nbytes, self.claimable_nbytes)
        _set_hard(resource.RLIMIT_CPU, self.cpu_s, self.claimable_cpu_s + 1)  # the last second ends in SIGKILL
        _set_hard(resource.RLIMIT_FSIZE, self.file_nbytes, self.claimable_nbytes)
        _set_hard(resource.RLIMIT_NOFILE, _OPEN_FILES, 0)
        _set_hard(resource.RLIMIT_CORE, 0, 0)

    def grant(self, pid: int, memory_nbytes: int, cpu_s: int) -> None:
        """Raise the limits of another process, which ``enforce`` has set, as far as it may claim.

        Memory and file size follow the last claim; CPU time adds up.
        """
        now_cpu_s, most_cpu_s = resource.prlimit(pid, resource.RLIMIT_CPU)
        _raise(pid, resource.RLIMIT_DATA, self.memory_nbytes + memory_nbytes)
        _raise(pid, resource.RLIMIT_FSIZE, self.file_nbytes + memory_nbytes)
        _raise(pid, resource.RLIMIT_CPU, min(now_cpu_s + cpu_s, most_cpu_s - 1))

    def raise_own(self, memory_nbytes: int, cpu_s: int) -> None:
        """Raise the limits of this process, which ``enforce`` has set, where no other process can (macOS)."""
        now_cpu_s, most_cpu_s = resource.getrlimit(resource.RLIMIT_CPU)
        _raise_own(resource.RLIMIT_DATA, self.memory_nbytes + memory_nbytes)
        _raise_own(resource.RLIMIT_FSIZE, self.file_nbytes + memory_nbytes)
        _raise_own(resource.RLIMIT_CPU, min(now_cpu_s + cpu_s, most_cpu_s - 1))


def claim_through(claim: Claim) -> None:
    """Let ``claim(memory_nbytes, cpu_s)`` be what ``extend_limits`` calls in this process."""
    _claims[:] = [claim]


def extend_limits(memory_nbytes: int, cpu_s: int) -> None:
    """Claim room in this process for a value of so many bytes, in place of the last one, and more CPU time.

    Does nothing in a process without limits.
    """
    for claim in _claims:
        claim(memory_nbytes, cpu_s)


def _set_hard(kind: int, value: int, claimable: int) -> None:
    """Set a limit and how far it may be raised, never above the machine's own."""
    _, hard = resource.getrlimit(kind)
    most = value + claimable if hard == resource.RLIM_INFINITY else min(value + claimable, hard)
    resource.setrlimit(kind, (min(value, most), most))


def _raise(pid: int, kind: int, value: int) -> None:
    _, most = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (min(value, most), most))


def _raise_own(kind: int, value: int) -> None:
    _, most = resource.getrlimit(kind)
    resource.setrlimit(kind, (min(value, most), most))
