"""From rows to batches: read, put together and transformed; small batches several at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from smalti.loaders.buffers import Buffers
from smalti.loaders.collate import Batch, Padding, Ragged, collate, columns_of
from smalti.loaders.profile import Profile
from smalti.loaders.sources import Source
from smalti.loaders.sources.blocks import cut_columns

Transform = Callable[[Batch], Batch]
NextBatch = Callable[[], Batch]  # gives the batches that were read at once, one after another, or raises what was wrong

_AT_ONCE_NBYTES = 2 * 1024 * 1024  # one huge page; calls cost little beside copying so much
_MOST_AT_ONCE = 32


class BatchReader:
    """Makes batches of rows of a source, in any number of threads at once.

    Where the source says how long its rows are, the rows of several batches are read at once, up to 2 MiB or 32
    batches, and each is a view of its part.

    Attributes:
        profile: what is told how long reading, collating and transforming take; None to measure nothing.
    """

    def __init__(self, source: Source, batch_size: int, padding: Padding, transform: Transform | None) -> None:
        self.profile: Profile | None = None
        self._source, self._batch_size, self._padding, self._transform = source, batch_size, padding, transform
        self._buffers = Buffers()

    def batches_at_once(self) -> int:
        """Return how many batches are worth reading at once."""
        row_nbytes = self._source.row_nbytes
        if row_nbytes is None:
            return 1
        return max(1, min(_MOST_AT_ONCE, _AT_ONCE_NBYTES // max(1, row_nbytes * self._batch_size)))

    def one_by_one(self, rows: NDArray[np.int64]) -> NextBatch:
        """Return what reads when the first batch of these rows is asked for, and transforms each when it is."""
        return self._batches(rows).__next__

    def ahead(self, rows: NDArray[np.int64]) -> NextBatch:
        """Make all batches of these rows now; those before an error are given, then it is raised."""
        made: list[Batch] = []
        failed: list[Exception] = []
        try:
            for batch in self._batches(rows):
                made.append(batch)
                del batch
        except Exception as error:
            failed.append(error)
        made.reverse()

        def give() -> Batch:
            if made or not failed:
                return made.pop()  # so that nothing here holds its buffer
            raise failed.pop()

        return give

    def _batches(self, rows: NDArray[np.int64]) -> Iterator[Batch]:
        clock = time.perf_counter if self.profile else float  # float() is 0.0, and asking for the time is not free
        start = clock()
        single = len(rows) <= self._batch_size
        try:
            block = self._source.read(rows, self._buffers)
        except Exception:
            if single:
                raise
            for part in self._parts(rows):  # those that can be read are given
                yield from self._batches(rows[part])
            return
        have_read = clock()
        columns = columns_of(block, rows.tolist(), self._padding.sequence_keys) if isinstance(block, list) else block
        del block
        each_apart = not single and any(isinstance(column, Ragged) for column in columns.values())
        if not each_apart:
            columns = collate(columns, self._padding)
        if self.profile is not None:
            self.profile.add(read_s=have_read - start, collate_s=clock() - have_read)
        if single:
            yield self._transformed(columns)
            return
        for part in self._parts(rows):
            batch = cut_columns(columns, part.start, part.stop)
            yield self._transformed(self._collated(batch) if each_apart else batch)

    def _parts(self, rows: NDArray[np.int64]) -> Iterator[slice]:
        return (slice(at, at + self._batch_size) for at in range(0, len(rows), self._batch_size))

    def _collated(self, columns: Batch) -> Batch:
        start = time.perf_counter()
        batch = collate(columns, self._padding)
        if self.profile is not None:
            self.profile.add(collate_s=time.perf_counter() - start)
        return batch

    def _transformed(self, batch: Batch) -> Batch:
        if self._transform is None:
            return batch
        if self.profile is None:
            return self._transform(batch)
        start = time.perf_counter()
        batch = self._transform(batch)
        self.profile.add(transform_s=time.perf_counter() - start)
        return batch
