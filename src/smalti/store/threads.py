"""The threads that hash, compare and copy: one per core, shared by every store of this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the results in order, as they come; ``function`` must not call this itself."""
    return _pool().map(function, items)


@cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # it takes long to import, and small objects need none

    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="smalti")


# Threads do not survive a fork, and a pool without them would wait for ever.
os.register_at_fork(after_in_child=_pool.cache_clear)
