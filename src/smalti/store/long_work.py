"""Work on many objects: a few at a time, results in order, and how far it has come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

_WAITING_PER_THREAD = 4  # so that one slow item does not leave the other threads idle
_AT_ONCE_NBYTES = 16 * 1024 * 1024  # more is done one by one: large objects use every core, or connection, themselves

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a check or a transfer has come.

    Attributes:
        objects: objects that are done.
        of_objects: objects there are to do.
        nbytes: content of those that are done.
        of_nbytes: content of all; None while that is not known.
    """

    objects: int
    of_objects: int
    nbytes: int
    of_nbytes: int | None = None


OnProgress = Callable[[Progress], None]


def in_order(
    act: Callable[[Item], Result],
    items: Iterable[Item],
    at_once: int,
    nbytes_of: Callable[[Item], int] = lambda _: 0,
) -> Iterator[Result]:
    """Yield ``act(item)`` for every item, in order, done by ``at_once`` threads in bounded memory.

    Nothing further is begun once an act has raised or the caller has stopped; what is under way is waited for.
    """
    if at_once == 1:
        yield from map(act, items)
        return
    from concurrent.futures import ThreadPoolExecutor  # it takes long to import

    under_way: deque[tuple[Future[Result], int]] = deque()
    nbytes = 0
    pool = ThreadPoolExecutor(at_once)
    try:
        for item in items:
            size = nbytes_of(item)
            while under_way and (len(under_way) >= _WAITING_PER_THREAD * at_once or nbytes + size > _AT_ONCE_NBYTES):
                future, done_nbytes = under_way.popleft()
                yield future.result()
                nbytes -= done_nbytes
            under_way.append((pool.submit(act, item), size))
            nbytes += size
        while under_way:
            yield under_way.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)
