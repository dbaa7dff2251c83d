"""The threads that hash, compare and copy: one per core, shared by every store of this process."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # for each core, so that none waits for whoever takes the results


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the results in order, as they come; only some more are begun than were taken.

    ``function`` must not call this itself.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(threads().submit(function, item))
            if len(waiting) > _AHEAD * (os.cpu_count() or 1):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@cache
def threads() -> ThreadPoolExecutor:
    """Return the threads."""
    from concurrent.futures import ThreadPoolExecutor  # it takes long to import, and small objects need none

    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="smalti")


# Threads do not survive a fork, and a pool without them would wait for ever.
os.register_at_fork(after_in_child=threads.cache_clear)
