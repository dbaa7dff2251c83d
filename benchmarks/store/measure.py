"""Clocks: the wall and CPU time of an action, bytes on disk, peak memory, and fresh processes to measure in."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import resource
import site
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
T = TypeVar("T")

PAGE_NBYTES = 4096


@dataclass(frozen=True)
class Cost:
    """What an action took; ``cpu_s`` is user and system time, threads and finished child processes included."""

    wall_s: float
    cpu_s: float


def timed(action: Callable[[], T]) -> tuple[Cost, T]:
    """Do ``action`` once and return what it took and what it gave."""
    wall, cpu = time.perf_counter(), _cpu_s()
    given = action()
    return Cost(time.perf_counter() - wall, _cpu_s() - cpu), given


def _cpu_s() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def in_fresh_process(packages: Path | None, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return ``action(...)`` from a new interpreter, which also finds the packages of the folder ``packages``."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=_also_find, initargs=(packages,)) as pool:
        return pool.submit(action, *args, **kwargs).result()


def _also_find(packages: Path | None) -> None:
    if packages:
        site.addsitedir(str(packages))


def touch(arrays: Iterable[NDArray[np.generic]]) -> int:
    """Read one byte of every page, so that a mapped array is really there."""
    return sum(int(array.reshape(-1).view(np.uint8)[::PAGE_NBYTES].sum()) for array in arrays)


def warm_memory(nbytes: int) -> None:
    """Touch fresh memory and give it back, so that the next to need some pays for no more than the system's part.

    A virtual machine that returns free memory to its host pays seven times as much for the first touch.
    """
    with mmap.mmap(-1, nbytes) as memory:
        np.frombuffer(memory, np.uint8)[::PAGE_NBYTES].fill(1)


def allocated_nbytes(folder: Path) -> int:
    """Return the disk space that everything in ``folder`` takes; a file with several names counts once."""
    found = {}
    for parent, _, names in os.walk(folder):
        for path in (parent, *(os.path.join(parent, name) for name in names)):  # noqa: PTH118, 100 000 files
            status = os.lstat(path)
            found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def peak_nbytes() -> int:
    """Return the most memory this process has held resident."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
