"""Batches of MLX arrays: in an order that can be resumed at any step, read ahead by threads, padded to few lengths.

Threads touch numpy only; MLX arrays are made in the consumer's thread, to which their streams belong. Making one copies
the batch once: MLX takes over no memory of numpy's.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused
from smalti.loaders.autotune import MOST_WORKERS, Tuning, ahead_of, usable_cores
from smalti.loaders.cache import AdaptiveCache
from smalti.loaders.collate import PAD_VALUES, SEQUENCE_KEYS, Batch, Padding, check_keys
from smalti.loaders.order import Order
from smalti.loaders.profile import Profile, memcpy_nbytes_per_s, nbytes_of_batch
from smalti.loaders.ranks import rank_and_world_size
from smalti.loaders.read_ahead import ReadAhead
from smalti.loaders.reading import BatchReader, NextBatch, Transform
from smalti.loaders.sources import source_of
from smalti.loaders.state import LoaderState
from smalti.loaders.to_mlx import to_mlx, warn_of_memory

Convert = Callable[[Batch], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class MLXLoaderConfig:
    """How an ``MLXDataLoader`` loads.

    Attributes:
        batch_size: samples of a batch; of one rank, where there are several.
        shuffle: another order every epoch, from (seed, epoch) alone; else the dataset's.
        seed: of the order, 0 or more.
        drop_last: leave out the samples at the end of an epoch that do not fill a batch (on every rank).
        num_workers: threads that read ahead, beside the consumer's, which reads too where it would wait; 0 to read
            when a batch is asked for. ``auto`` tries some numbers on the first batches (for arrays and tables not more
            than there are cores) and keeps the best for this dataset and batch size while the process lives.
        prefetch_size: batches read ahead at most; ``auto`` for two a worker and two more. Without workers nothing is.
            Of arrays and tables several batches are read at once, 32 or 2 MiB at most; each is a view, and one that is
            kept keeps the memory of all.
        gradient_accumulation_steps: micro batches that make one step; see ``accumulated``.
        padding, max_length, truncation, bucket_lengths, sequence_keys, pad_values: see ``Padding``.
        cache_mb: memory for what is slow to read: samples of a Python dataset, blocks of arrays in an S3 store. Of
            what does not fit a part is kept that is read again; see ``AdaptiveCache``. 0 for none.
        rank, world_size: this process among those that share the samples; by default what ``mlx.launch`` set up.
        use_unified_memory: MLX decides where arrays are; asked for where there is no unified memory, this warns.
        pin_memory: MLX has no pinned memory; asked for, this warns.
    """

    batch_size: int = 32
    shuffle: bool = True
    seed: int = 0
    drop_last: bool = False
    num_workers: int | Literal["auto"] = "auto"
    prefetch_size: int | Literal["auto"] = "auto"
    gradient_accumulation_steps: int = 1
    padding: Literal["longest", "max_length"] = "longest"
    max_length: int | None = None
    truncation: bool = False
    bucket_lengths: tuple[int, ...] | None = None
    sequence_keys: tuple[str, ...] = SEQUENCE_KEYS
    pad_values: Mapping[str, float] = field(default_factory=lambda: dict(PAD_VALUES))
    cache_mb: float = 0
    rank: int | None = None
    world_size: int | None = None
    use_unified_memory: bool = False
    pin_memory: bool = False

    def __post_init__(self) -> None:
        for name, least in (("num_workers", 0), ("prefetch_size", 1), ("gradient_accumulation_steps", 1)):
            value = getattr(self, name)
            if value != "auto" and (not isinstance(value, int) or value < least):
                raise Refused(f"{name}={value!r}; give {least} or more.")
        if self.cache_mb < 0:
            raise Refused(f"cache_mb={self.cache_mb}; give 0 or more.")
        self.padder()

    def padder(self) -> Padding:
        """Return what says how sequences are padded."""
        given = (self.padding, self.max_length, self.truncation, self.bucket_lengths)
        return Padding(*given, self.sequence_keys, self.pad_values)


class MLXDataLoader:
    """Batches of a dataset as mappings of ``mx.array`` (B, ...); what is no number comes as a list of B values.

    >>> import numpy as np
    >>> loader = MLXDataLoader({"x": np.arange(10)}, MLXLoaderConfig(batch_size=4, shuffle=False))
    >>> [batch["x"].tolist() for batch in loader]
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]

    Each iteration is an epoch, whether the one before was finished or broken off; after ``load_state_dict`` or ``seek``
    it is the rest of one. A loader has one iteration at a time. Leaving it in any way (the end, a break, an exception,
    Ctrl-C) ends its threads.
    """

    def __init__(
        self, dataset: Any, config: MLXLoaderConfig | None = None, *, transform: Transform | None = None
    ) -> None:
        """
        Args:
            dataset: arrays, a table, a file or a Python dataset; see :func:`smalti.loaders.sources.source_of`.
            transform: is given a batch of numpy arrays, once padded, and returns the batch to use; it may write to the
                arrays. Workers call it, several at a time.

        Raises:
            Refused: the dataset is none, or the configuration cannot be.
        """
        self.config = config = config or MLXLoaderConfig()
        cache = AdaptiveCache(int(config.cache_mb * 1e6)) if config.cache_mb else None
        self._source = source_of(dataset, config.sequence_keys, cache)
        rank, world_size = rank_and_world_size(config.rank, config.world_size, os.environ)
        self._order = Order(
            len(self._source), config.batch_size, config.shuffle, config.seed, config.drop_last, rank, world_size
        )
        self._reader = BatchReader(self._source, config.batch_size, config.padder(), transform)
        self._epoch, self._position = 0, 0
        self._begun = False  # whether the position belongs to an iteration, or waits for one
        self._iteration: object | None = None
        self._micro_batches = 0
        self._keys: frozenset[str] | None = None
        self._profile: Profile | None = None
        self._memcpy_nbytes_per_s = 0.0
        most = MOST_WORKERS if self._source.row_nbytes is None else usable_cores()
        self._tuning = Tuning((self._source.what, config.batch_size), most)
        self._said_bound = False
        warn_of_memory(config.use_unified_memory, config.pin_memory, stacklevel=2)
        if self._order.uneven_samples:
            warnings.warn(
                f"the last step of an epoch has {self._order.uneven_samples} samples for {world_size} ranks: some have "
                "no batch in it; set drop_last=True where ranks wait for each other.",
                stacklevel=2,
            )

    def __len__(self) -> int:
        """Return the number of batches of an epoch, on this rank."""
        return self._order.batches()

    @property
    def epoch(self) -> int:
        """The epoch of the batch that was given last; after the last one of an epoch, the next."""
        return self._epoch

    @property
    def ends_step(self) -> bool:
        """Whether the batch given last is the last micro batch of its step of ``gradient_accumulation_steps``."""
        return self._micro_batches % self.config.gradient_accumulation_steps == 0 or not self._order.batches(
            self._position
        )

    @property
    def num_workers(self) -> int:
        """How many threads read ahead: as configured, or with ``auto`` what is tried or was chosen."""
        if self._bound():
            return 0
        return self._tuning.workers if self.config.num_workers == "auto" else self.config.num_workers

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Return the batches of an epoch as MLX arrays."""
        return self._iterate(to_mlx)

    def numpy(self) -> Iterator[Batch]:
        """Return the batches of an epoch as numpy arrays, as they are before MLX arrays are made of them."""
        return self._iterate(None)

    def accumulated(self) -> Iterator[list[dict[str, Any]]]:
        """Return the steps of an epoch, each as a list of up to ``gradient_accumulation_steps`` micro batches."""
        micro_batches: list[dict[str, Any]] = []
        for batch in self:
            micro_batches.append(batch)
            if self.ends_step:
                yield micro_batches
                micro_batches = []

    def seek(self, epoch: int, step: int = 0) -> None:
        """Let the next iteration begin with batch ``step`` of an epoch.

        Raises:
            Refused: there is no such batch.
        """
        position = step * self._order.step_samples
        if epoch < 0 or step < 0 or (step and position > self._order.samples):
            raise Refused(f"there is no step {step} of epoch {epoch}: an epoch has {len(self)} steps.")
        self._place(epoch, position)

    def state_dict(self) -> dict[str, Any]:
        """Return, as JSON values, where the consumer is: after the batch it was given last, whatever is read ahead.

        It holds the digests of what is read, as far as they are known.
        """
        return self._state().to_json()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration go on where ``state_dict`` was called, to the same batches.

        Number of workers, batch size and number of ranks may be others: what all ranks have seen is in every case the
        first so many samples of the epoch's order, and those that are left are dealt out anew.

        Raises:
            Refused: the state is of other data or of another order.
        """
        found = LoaderState.from_json(state)
        found.check(self._state())
        self._place(found.epoch, found.position)

    def enable_profiling(self) -> None:
        """Begin to measure, from zero."""
        self._profile = self._reader.profile = Profile()
        self._memcpy_nbytes_per_s = memcpy_nbytes_per_s()

    def get_profiling_results(self) -> dict[str, float]:
        """Return figures of the batches since ``enable_profiling``.

        ``throughput_samples_per_sec``, ``bytes_per_sec``, ``avg_batch_time_ms`` and ``p95_batch_time_ms`` count the
        consumer's work in: they are what training gets. ``stall_fraction`` is the part of that time in which the
        consumer waited for the loader. ``memcpy_ratio`` is bytes per second of such waiting over what this machine
        copies in one: far above 1 where reading is hidden behind the consumer's work. ``read_s``, ``collate_s`` and
        ``transform_s`` add up the workers; ``to_mx_s`` and ``wait_s`` are the consumer's.

        Raises:
            Refused: profiling was not enabled.
        """
        if self._profile is None:
            raise Refused("nothing was measured; call enable_profiling() before iterating.")
        return self._profile.results(self._memcpy_nbytes_per_s)

    def _state(self) -> LoaderState:
        order = self._order
        place = (self._epoch, self._position)
        return LoaderState(*place, order.samples, order.shuffle, order.seed, dict(self._source.digests))

    def _place(self, epoch: int, position: int) -> None:
        self._epoch, self._position, self._begun = epoch, position, False
        self._micro_batches = position // self._order.step_samples
        self._iteration = None

    def _iterate(self, convert: Convert | None) -> Iterator[dict[str, Any]]:
        if self._begun:
            self._place(self._epoch + 1, 0)
        self._begun = True
        self._iteration = mine = object()
        return self._batches(mine, convert)

    def _batches(self, mine: object, convert: Convert | None) -> Iterator[dict[str, Any]]:
        order, epoch = self._order, self._epoch
        permutation = order.permutation(epoch)
        starts = order.starts(self._position)[: order.batches(self._position)]
        at_once = self._at_once()
        jobs = (order.rows_of(permutation, group) for group in _groups(starts, at_once))
        reads = ReadAhead(self._read, jobs, self.num_workers, self._has_room(at_once))
        tunes = self.config.num_workers == "auto"
        asked = time.perf_counter()
        try:
            for group in _groups(starts, at_once):
                self._check_is_current(mine)
                begun, take = asked, next(reads)
                for start in group:
                    self._check_is_current(mine)
                    batch = take()
                    if batch.keys() != self._keys:
                        self._keys = check_keys(batch, self._keys)
                    if self._profile is not None:
                        batch = self._measured(batch, len(order.rows(permutation, start)), convert, asked)
                    elif convert is not None:
                        batch = convert(batch)
                    self._position = order.after(start)
                    self._micro_batches += 1
                    try:
                        yield batch
                    finally:  # the consumer may stop here
                        elapsed_s, asked = time.perf_counter() - asked, time.perf_counter()
                        if self._profile is not None:
                            self._profile.elapsed(elapsed_s)
                    del batch  # so that its buffers are free once the consumer lets go of it
                del take
                if tunes and self._tuning.note(asked - begun):
                    reads.resize(self.num_workers, self._has_room(at_once))
            if self._iteration is mine:
                self._place(epoch + 1, 0)
        finally:
            reads.close()

    def _read(self, rows: NDArray[np.int64]) -> NextBatch:
        return self._reader.ahead(rows) if self.num_workers else self._reader.one_by_one(rows)

    def _measured(self, batch: Batch, samples: int, convert: Convert | None, asked: float) -> dict[str, Any]:
        assert self._profile is not None
        made = time.perf_counter()
        converted = batch if convert is None else convert(batch)
        given = time.perf_counter()
        self._profile.add(samples=samples, nbytes=nbytes_of_batch(batch), to_mx_s=given - made, wait_s=given - asked)
        return converted

    def _check_is_current(self, iteration: object) -> None:
        if self._iteration is not iteration:
            raise Refused("this loader was iterated anew or moved; go on with the new iteration.")

    def _at_once(self) -> int:
        """Return how many batches are read at once: so few that all threads have some of those read ahead."""
        at_once, ahead = self._reader.batches_at_once(), self.config.prefetch_size
        return at_once if ahead == "auto" else max(1, min(at_once, ahead // (self.num_workers + 1)))

    def _has_room(self, at_once: int) -> Callable[[int], bool]:
        ahead = self.config.prefetch_size
        most = max(1, ahead_of(self.num_workers)) if ahead == "auto" else ahead // at_once
        return lambda under_way: under_way < most

    def _bound(self) -> bool:
        if self.config.num_workers == 0 or not self._source.bound_to_thread:
            return False
        if not self._said_bound and self.config.num_workers != "auto":
            warnings.warn(
                f"num_workers={self.config.num_workers}: the samples hold arrays of MLX, which belong to the thread "
                "that made them, so they are read in this one; give lists or numpy arrays to have workers read.",
                stacklevel=4,
            )
        self._said_bound = True
        return True


def _groups(starts: range, at_once: int) -> Iterator[range]:
    return (starts[first : first + at_once] for first in range(0, len(starts), at_once))
