"""The windows in which a stream is read: ranges in order, or ranges drawn from everywhere and shuffled together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused, SmaltiError
from smalti.loaders.buffers import Buffers
from smalti.loaders.sources import Source
from smalti.loaders.sources.blocks import joined, permuted
from smalti.loaders.sources.source import Block


@dataclass(frozen=True, slots=True)
class Window:
    """What is read at once.

    Attributes:
        number: of the window in the epoch.
        ranges: (start, stop) of rows; none where samples are drawn from an iterator.
        count: samples, at most.
    """

    number: int
    ranges: tuple[tuple[int, int], ...]
    count: int


@dataclass(frozen=True, slots=True)
class Shuffling:
    """An order of windows and of the samples in each; None of it depends on how many threads read.

    The ranges of ``chunk`` rows come in an order drawn from (seed, epoch); as many as make ``window`` samples are
    shuffled among each other, by (seed, epoch, number of the window).
    """

    seed: int
    window: int

    def ranges(self, cuts: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        """Return the numbers of the ranges in the order in which they are read."""
        return np.random.default_rng([self.seed, epoch]).permutation(len(cuts) - 1)

    def order(self, epoch: int, number: int, count: int) -> NDArray[np.int64]:
        """Return the order of the samples of a window."""
        return np.random.default_rng([self.seed, epoch, number]).permutation(count)


class SourceWindows:
    """Windows of a source of which rows are read by number."""

    def __init__(self, source: Source, chunk: int, shuffling: Shuffling | None) -> None:
        self._source, self._shuffling = source, shuffling
        self._cuts = np.array(source.cuts(chunk), np.int64)
        self._buffers = Buffers()

    @property
    def samples(self) -> int:
        return len(self._source)

    @property
    def digests(self) -> Mapping[str, str]:
        return self._source.digests

    @property
    def most_workers(self) -> int | None:
        """How many threads may read; None for any number."""
        return 0 if self._source.bound_to_thread else None

    @property
    def count(self) -> int:
        """The samples of the largest window."""
        longest = int(np.diff(self._cuts).max(initial=1))
        return longest if self._shuffling is None else longest + self._shuffling.window - 1

    def windows(self, epoch: int, position: int) -> Iterator[tuple[Window, int]]:
        """Yield the windows left after ``position`` samples, each with how many of its samples are done."""
        before = 0
        for window in self._all(epoch):
            if before + window.count > position:
                yield window, max(0, position - before)
            before += window.count

    def read(self, epoch: int, window: Window) -> Block:
        """Return the samples of a window."""
        block = joined([self._source.read_range(start, stop, self._buffers) for start, stop in window.ranges])
        if self._shuffling is None:
            return block
        return permuted(block, self._shuffling.order(epoch, window.number, window.count))

    def _all(self, epoch: int) -> Iterator[Window]:
        shuffling = self._shuffling
        pairs = list(zip(self._cuts[:-1].tolist(), self._cuts[1:].tolist(), strict=True))
        order = range(len(pairs)) if shuffling is None else shuffling.ranges(self._cuts, epoch).tolist()
        ranges: list[tuple[int, int]] = []
        number = count = 0
        for place in order:
            ranges.append(pairs[place])
            count += pairs[place][1] - pairs[place][0]
            if shuffling is None or count >= shuffling.window:
                yield Window(number, tuple(ranges), count)
                number, count, ranges = number + 1, 0, []
        if ranges:
            yield Window(number, tuple(ranges), count)


class IteratorWindows:
    """Windows of samples that can only be iterated: one thread draws them, and going on means to draw anew and skip."""

    samples = None
    digests: Mapping[str, str] = {}

    def __init__(
        self, samples: Iterable[Any], chunk: int, shuffling: Shuffling | None, bound: Callable[[Any], bool]
    ) -> None:
        self._iterable, self._shuffling = samples, shuffling
        self.count = chunk if shuffling is None else max(chunk, shuffling.window)
        self._bound = bound
        self._iterator: Iterator[Any] | None = None
        self._first: list[Any] = []
        self._drawn = 0
        self._lock = threading.Lock()

    @property
    def most_workers(self) -> int | None:
        """One thread may draw, or none but the consumer's where samples hold arrays of MLX; the first one is drawn."""
        if not self._first:
            self._first = list(islice(self._open(), 1))
        return 0 if self._first and self._bound(self._first[0]) else 1

    def windows(self, epoch: int, position: int) -> Iterator[tuple[Window, int]]:
        """Yield windows without end, the first with how many samples of it are done; an empty one says that it ends."""
        number, done = divmod(position, self.count)
        yield Window(number, (), self.count), done
        while True:
            number += 1
            yield Window(number, (), self.count), 0

    def read(self, epoch: int, window: Window) -> Block:
        """Return the next samples; those of windows before this one are drawn and dropped."""
        with self._lock:
            try:
                while True:
                    samples = self._first[:]
                    self._first = []
                    samples += islice(self._open(), self.count - len(samples))
                    drawn, self._drawn = self._drawn, self._drawn + 1
                    if drawn == window.number or not samples:
                        break
            except SmaltiError:
                raise
            except Exception as error:
                raise Refused(
                    f"a sample after the first {window.number * self.count} cannot be read: "
                    f"{type(error).__name__}: {error}"
                ) from error
            odd = next((sample for sample in samples if not isinstance(sample, Mapping)), None)
            if odd is not None:
                raise Refused(f"the iterator gave a {type(odd).__name__}; a sample is a mapping.")
        if self._shuffling is None:
            return samples
        return permuted(samples, self._shuffling.order(epoch, window.number, len(samples)))

    def rewind(self) -> None:
        """Let the next window be the first again.

        Raises:
            Refused: the samples can be iterated once only, and were.
        """
        if self._iterator is not None and iter(self._iterable) is self._iterable:
            if self._drawn:
                raise Refused("this iterator was read already; give what can be iterated anew, or an iterator anew.")
            return
        self._iterator, self._first, self._drawn = None, [], 0

    def _open(self) -> Iterator[Any]:
        if self._iterator is None:
            self._iterator = iter(self._iterable)
        return self._iterator
