"""The results of reading, in the order of the jobs, made by threads some jobs ahead of who takes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

THREAD_NAME = "smalti-loader"


class _Slot(Generic[Job, Result]):
    """One job that is under way, and its result once it is done."""

    __slots__ = ("cancelled", "done", "error", "finished", "job", "result")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.result: Result | None = None
        self.error: BaseException | None = None
        self.done = self.cancelled = False
        self.finished = threading.Lock()  # held until the job is done: cheaper than a Future, which has a condition
        self.finished.acquire()

    def end(self) -> None:
        self.done = True
        self.finished.release()


class ReadAhead(Generic[Job, Result]):
    """An iterator of ``read(job)``. A job is begun only when who takes the results asks for one and there is room.

    So nothing ever waits on a full queue, and ``close`` has only to wait for the jobs that are being read. Where the
    next result is not ready, who takes them reads another job meanwhile instead of sleeping: waking a thread takes as
    long as reading a small batch.
    """

    def __init__(
        self, read: Callable[[Job], Result], jobs: Iterator[Job], workers: int, has_room: Callable[[int], bool]
    ) -> None:
        """``has_room`` is asked with the number of results under way, 1 or more, whether one more may be begun."""
        self._read, self._jobs = read, jobs
        self._has_room = has_room
        self._pools: list[ThreadPoolExecutor] = []
        self._under_way: deque[_Slot[Job, Result]] = deque()
        self._waiting: deque[_Slot[Job, Result]] = deque()  # those of them that nobody has begun
        self._busy = 0  # threads that look for waiting jobs
        self._lock = threading.Lock()  # of the two above and of closed
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
                slot: _Slot[Job, Result] = _Slot(next(self._jobs))
            except StopIteration:
                return
            with self._lock:
                if self._closed:  # by another thread meanwhile
                    return
                self._under_way.append(slot)
                self._waiting.append(slot)
                if self._busy < self._workers:
                    self._pools[-1].submit(self._work)
                    self._busy += 1

    def __iter__(self) -> Iterator[Result]:
        return self

    def __next__(self) -> Result:
        if self._workers:
            self.fill()
        if self._closed:
            raise StopIteration
        if not self._under_way:
            return self._read(next(self._jobs))
        slot = self._under_way.popleft()
        while not slot.done and (other := self._next_waiting()) is not None:
            self._run(other)
            if other.error is not None and not isinstance(other.error, Exception):
                raise other.error  # Ctrl-C came while this thread was reading
            del other
        slot.finished.acquire()
        if slot.cancelled:
            raise StopIteration
        if slot.error is not None:
            try:
                raise slot.error
            finally:
                del slot  # else the error would hold itself, and the buffers, through its traceback
        return slot.result  # type: ignore[return-value]  # it is done and there was no error

    def close(self) -> None:
        """Drop what is under way and end the threads; from any thread, any number of times."""
        with self._lock:
            self._closed = True
            dropped = list(self._waiting)
            self._waiting.clear()
        for slot in dropped:
            slot.cancelled = True
            slot.end()
        for pool in self._pools:
            pool.shutdown(wait=True)
        self._under_way.clear()

    def _work(self) -> None:
        """Read what waits until nothing does: in a worker."""
        while (slot := self._next_waiting(in_worker=True)) is not None:
            self._run(slot)
            del slot  # the buffers of what it read are free once the consumer lets go of them

    def _next_waiting(self, in_worker: bool = False) -> _Slot[Job, Result] | None:
        with self._lock:
            if self._waiting and not (in_worker and self._busy > self._workers):
                return self._waiting.popleft()
            if in_worker:
                self._busy -= 1
            return None

    def _run(self, slot: _Slot[Job, Result]) -> None:
        try:
            slot.result = self._read(slot.job)
        except BaseException as error:  # raised where the result is due, by who takes it
            slot.error = error
        slot.end()
