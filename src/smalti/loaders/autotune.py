"""The number of workers, chosen by trying: none, one, then twice as many each time, until more is not faster."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass, field

_CANDIDATES = (0, 1, 2, 4, 8, 16)
_GROUPS = 2  # times that a mean is taken; the best counts, against passing load
_SHORTEST_GROUP = 16
_WORTH = 0.9  # more workers have to bring the time of a batch below this part of it
_AHEAD_PER_READER = 2  # a reader is a worker, or the consumer

MOST_WORKERS = _CANDIDATES[-1]

_chosen: dict[Hashable, int] = {}  # what was found out in this process, by dataset and batch size


def ahead_of(workers: int) -> int:
    """Return how often so many workers read ahead where nobody says: batches, or several that are read at once."""
    return _AHEAD_PER_READER * (workers + 1) if workers else 0


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(slots=True)
class Tuning:
    """A trial of numbers of workers on batches that are used all the same; the order does not depend on it.

    Attributes:
        key: what the choice is kept by, for as long as this process lives.
        most: the largest number that is tried.
        workers: the number that is tried, or was chosen.
        done: whether it was chosen.
    """

    key: Hashable
    most: int = MOST_WORKERS
    workers: int = 0
    done: bool = False
    _seconds: list[float] = field(default_factory=list)
    _best: tuple[float, int] | None = None

    def __post_init__(self) -> None:
        if self.key in _chosen:
            self.workers, self.done = _chosen[self.key], True

    def note(self, seconds: float) -> bool:
        """Take the time of what was read at once, the consumer's work included; tell whether ``workers`` has changed.

        The first of each trial, read ahead with the last number or filling the queue, do not count. A mean is taken
        over four times as many as are read ahead, so that what was ready before it began does not decide.
        """
        if self.done:
            return False
        self._seconds.append(seconds)
        settling = 2 + 2 * ahead_of(self.workers)
        group = max(_SHORTEST_GROUP, 4 * ahead_of(self.workers))
        if len(self._seconds) < settling + group * _GROUPS:
            return False
        mean = min(sum(self._seconds[at : at + group]) for at in range(settling, len(self._seconds), group)) / group
        self._seconds = []
        tried = self.workers
        if self._best is None or mean < _WORTH * self._best[0]:
            self._best = mean, tried
            more = [candidate for candidate in _CANDIDATES if tried < candidate <= self.most]
            if more:
                self.workers = more[0]
                return True
        self.workers, self.done = self._best[1], True
        _chosen[self.key] = self.workers
        return self.workers != tried
