"""The results of reading, in the order of the jobs, made by threads some jobs ahead of who takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

THREAD_NAME = "smalti-loader"


class ReadAhead(Generic[Job, Result]):
    """An iterator of ``read(job)``. A job is begun only when who takes the results asks for one and there is room.

    So nothing ever waits on a full queue, and ``close`` has only to wait for the jobs that are being read.
    """

    def __init__(
        self, read: Callable[[Job], Result], jobs: Iterator[Job], workers: int, has_room: Callable[[int], bool]
    ) -> None:
        """``has_room`` is asked with the number of results under way, 1 or more, whether one more may be begun."""
        self._read, self._jobs = read, jobs
        self._has_room = has_room
        self._pools: list[ThreadPoolExecutor] = []
        self._under_way: deque[Future[Result]] = deque()
        self._workers, self._closed = 0, False
        self.resize(workers, has_room)

    @property
    def workers(self) -> int:
        return self._workers

    def resize(self, workers: int, has_room: Callable[[int], bool]) -> None:
        """Go on with another number of workers; what is under way stays, and so does the order."""
        if workers != self._workers:
            for pool in self._pools:
                pool.shutdown(wait=False)
            if workers:
                self._pools.append(ThreadPoolExecutor(workers, THREAD_NAME))
        self._workers, self._has_room = workers, has_room

    def fill(self) -> None:
        """Begin jobs for as long as there is room."""
        while self._workers and not self._closed and (not self._under_way or self._has_room(len(self._under_way))):
            try:
                job = next(self._jobs)
            except StopIteration:
                return
            try:
                self._under_way.append(self._pools[-1].submit(self._read, job))
            except RuntimeError:  # closed by another thread meanwhile
                return

    def __iter__(self) -> Iterator[Result]:
        return self

    def __next__(self) -> Result:
        self.fill()
        if self._closed:
            raise StopIteration
        if not self._under_way:
            return self._read(next(self._jobs))
        try:
            return self._under_way.popleft().result()
        except CancelledError:
            raise StopIteration from None

    def close(self) -> None:
        """Drop what is under way and end the threads; from any thread, any number of times."""
        self._closed = True
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)
        self._under_way.clear()
