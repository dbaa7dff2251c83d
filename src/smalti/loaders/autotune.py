"""The number of workers, chosen by trying: none, then twice as many each time, until more is not faster."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

_CANDIDATES = (0, 1, 2, 4, 8, 16)
_GROUP, _GROUPS = 16, 2  # batches whose mean time counts, and how often; the best is taken, against passing load
_WORTH = 0.9  # more workers have to bring the time of a batch below this part of it
_AHEAD_PER_READER = 2  # a reader is a worker, or the consumer

_chosen: dict[Hashable, int] = {}  # what was found out in this process, by dataset and batch size


def ahead_of(workers: int) -> int:
    """Return how many batches so many workers read ahead where nobody says."""
    return _AHEAD_PER_READER * (workers + 1) if workers else 0


@dataclass(slots=True)
class Tuning:
    """A trial of numbers of workers on batches that are used all the same; the order does not depend on it.

    Attributes:
        key: what the choice is kept by, for as long as this process lives.
        workers: the number that is tried, or was chosen.
        done: whether it was chosen.
    """

    key: Hashable
    workers: int = 0
    done: bool = False
    _seconds: list[float] = field(default_factory=list)
    _best: tuple[float, int] | None = None

    def __post_init__(self) -> None:
        if self.key in _chosen:
            self.workers, self.done = _chosen[self.key], True

    def note(self, batch_s: float) -> bool:
        """Take the time of one batch, the consumer's work included; tell whether ``workers`` has changed.

        The first batches of each trial, read ahead with the last number or filling the queue, do not count.
        """
        if self.done:
            return False
        self._seconds.append(batch_s)
        settling = 2 + 2 * ahead_of(self.workers)
        if len(self._seconds) < settling + _GROUP * _GROUPS:
            return False
        mean = min(sum(self._seconds[at : at + _GROUP]) for at in range(settling, len(self._seconds), _GROUP))
        self._seconds = []
        tried = self.workers
        if self._best is None or mean < _WORTH * self._best[0]:
            self._best = mean, tried
            more = [candidate for candidate in _CANDIDATES if candidate > tried]
            if more:
                self.workers = more[0]
                return True
        self.workers, self.done = self._best[1], True
        _chosen[self.key] = self.workers
        return self.workers != tried
