"""Samples of what is larger than memory, one after another or in batches, read ahead into a buffer of bounded size."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from smalti.errors import Refused
from smalti.loaders.collate import Batch, Padding, check_keys, collate, columns_of, is_mlx
from smalti.loaders.read_ahead import ReadAhead
from smalti.loaders.sources import source_of
from smalti.loaders.sources.blocks import count, cut, joined, nbytes, samples_of
from smalti.loaders.sources.source import Block, Sample
from smalti.loaders.sources.windows import IteratorWindows, Shuffling, SourceWindows, Window
from smalti.loaders.state import LoaderState
from smalti.loaders.to_mlx import to_mlx

_JUDGED_AFTER_S = 2.0


@dataclass(frozen=True, slots=True)
class StreamingConfig:
    """How a ``StreamingPipeline`` reads.

    Attributes:
        buffer_size: samples held at most, those being read and those being given out together; but never less than
            what is read at once (``chunk_size`` samples, one row group of a Parquet file).
        buffer_mb: megabytes that these may take; where what is read at once takes more, it is refused.
        chunk_size: samples that one thread reads at once. A stored table lies in batches of 2,048 to 16,384 rows: where
            it is fetched from a bucket, chunks that are much smaller fetch the same batch again and again.
        num_workers: threads that read, 0 to read when a sample is asked for. An iterator is read by one.
        target_throughput: samples per second; where the stream stays below, a warning says what holds it up. It slows
            nothing down.
        shuffle: give out another order every epoch, from (seed, epoch) alone: chunks from everywhere, their samples
            shuffled half a buffer at a time. Otherwise the order is the dataset's.
        padding: of the sequences in ``stream_batches``.
    """

    buffer_size: int = 1024
    chunk_size: int = 256
    num_workers: int = 2
    target_throughput: float | None = None
    buffer_mb: float = 256
    shuffle: bool = False
    seed: int = 0
    padding: Padding = field(default_factory=Padding)

    def __post_init__(self) -> None:
        if self.chunk_size < 1 or self.buffer_size < self.chunk_size:
            raise Refused(
                f"buffer_size={self.buffer_size} and chunk_size={self.chunk_size}; a buffer holds at least one chunk, "
                "and a chunk one sample."
            )
        if self.num_workers < 0 or self.seed < 0 or self.buffer_mb <= 0:
            raise Refused("num_workers and seed are 0 or more, buffer_mb is above 0.")
        if self.target_throughput is not None and self.target_throughput <= 0:
            raise Refused(f"target_throughput={self.target_throughput}; give samples per second, or None.")


class StreamingPipeline:
    """Every sample of a dataset exactly once, while no more than a buffer of it is in memory.

    The dataset may be what an ``MLXDataLoader`` takes (of arrays and tables in a store, of Parquet files and of JSON
    lines only a range is read at a time), or any iterable of mappings.

    Iterating begins the reading if ``start`` has not; each iteration is an epoch, or after ``load_state_dict`` the rest
    of one. ``stop``, from any thread, ends the iteration and the threads; so does leaving it by a break or an error.
    """

    def __init__(self, dataset: Any, config: StreamingConfig | None = None) -> None:
        """
        Raises:
            Refused: the dataset is none.
        """
        self.config = config = config or StreamingConfig()
        window = max(config.chunk_size, config.buffer_size // 2)
        shuffling = Shuffling(config.seed, window) if config.shuffle else None
        self._windows: SourceWindows | IteratorWindows
        if _only_iterates(dataset):
            self._windows = IteratorWindows(dataset, config.chunk_size, shuffling, _holds_mlx)
        else:
            source = source_of(dataset, config.padding.sequence_keys)
            self._windows = SourceWindows(source, config.chunk_size, shuffling)
        self._epoch = self._position = 0
        self._run: _Run | None = None
        self._begun = False
        self._figures = _Figures()
        self._keys: frozenset[str] | None = None
        self._warned = False

    def __enter__(self) -> StreamingPipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to read ahead, before anything is asked for."""
        if self._run is None or self._run.taken:
            self._begin().reads.fill()

    def stop(self) -> None:
        """End the iteration and its threads; the state stays after the last sample that was given."""
        if self._run is not None:
            self._run.stop()

    def __iter__(self) -> Iterator[Sample]:
        """Return the samples: of a Python dataset as they are, else as mappings of rows (views) and values."""
        return self._samples(self._take())

    def stream_batches(self, batch_size: int, *, drop_last: bool = False, numpy: bool = False) -> Iterator[Batch]:
        """Return the samples in batches of ``mx.array`` (B, ...), or of numpy arrays, as an ``MLXDataLoader`` does.

        Args:
            drop_last: leave out the samples at the end that fill no batch.
        """
        if batch_size < 1:
            raise Refused(f"batch_size={batch_size}; give 1 or more.")
        return self._batches(self._take(), batch_size, drop_last, numpy)

    @property
    def stats(self) -> dict[str, float]:
        """Figures of all iterations so far.

        ``samples``; ``bytes`` read; ``elapsed_s``, the consumer's work included; ``samples_per_sec``;
        ``stall_fraction``, the part of that time in which the consumer waited; ``peak_buffer_bytes`` and
        ``peak_buffer_samples``, the most that was held at once.
        """
        figures = self._figures
        elapsed_s = max(figures.elapsed_s, 1e-9)
        return {
            "samples": figures.samples,
            "bytes": figures.read_nbytes,
            "elapsed_s": figures.elapsed_s,
            "samples_per_sec": figures.samples / elapsed_s,
            "stall_fraction": min(1.0, figures.waited_s / elapsed_s),
            "peak_buffer_bytes": figures.peak_nbytes,
            "peak_buffer_samples": figures.peak_samples,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return, as JSON values, where the consumer is: after the sample or batch it was given last."""
        return self._state().to_json()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration go on where ``state_dict`` was called, with any number of workers.

        Raises:
            Refused: the state is of other data, or of another order: when shuffling, that is another seed, chunk or
                buffer size too.
        """
        found = LoaderState.from_json(state)
        found.check(self._state())
        self.stop()
        self._run, self._begun = None, False
        self._epoch, self._position = found.epoch, found.position

    def _state(self) -> LoaderState:
        config, windows = self.config, self._windows
        window = (config.buffer_size, config.chunk_size) if config.shuffle else None
        digests = dict(windows.digests)
        return LoaderState(self._epoch, self._position, windows.samples, config.shuffle, config.seed, digests, window)

    def _begin(self) -> _Run:
        if self._run is not None:
            self._run.stop()
        if self._begun:
            self._epoch, self._position = self._epoch + 1, 0
        if isinstance(self._windows, IteratorWindows):
            self._windows.rewind()
        self._begun = True
        self._run = _Run(self._windows, self.config, self._epoch, self._position, self._figures)
        return self._run

    def _take(self) -> _Run:
        run = self._run if self._run is not None and not self._run.taken else self._begin()
        run.taken = True
        return run

    def _samples(self, run: _Run) -> Iterator[Sample]:
        for block in self._blocks(run):
            for sample in samples_of(block):
                if run.stopped:
                    return self._finish(run)
                self._position += 1
                self._figures.samples += 1
                yield sample
        return self._finish(run)

    def _batches(self, run: _Run, batch_size: int, drop_last: bool, numpy: bool) -> Iterator[Batch]:
        parts: list[Block] = []
        missing = batch_size
        for block in self._blocks(run):
            at, size = 0, count(block)
            while at < size:
                stop = min(size, at + missing)
                parts.append(cut(block, at, stop))
                at, missing = stop, missing - (stop - at)
                if not missing:
                    if run.stopped:
                        return self._finish(run)
                    yield self._batch(parts, numpy)
                    parts, missing = [], batch_size
        if parts and not drop_last and not run.stopped:
            yield self._batch(parts, numpy)
        return self._finish(run)

    def _batch(self, parts: list[Block], numpy: bool) -> Batch:
        block, first = joined(parts), self._position
        size = count(block)
        padding = self.config.padding
        if isinstance(block, list):
            numbers = [f"{number} of the stream" for number in range(first, first + size)]
            block = columns_of(block, numbers, padding.sequence_keys)
        batch = collate(block, padding)
        self._keys = check_keys(batch, self._keys)
        self._position += size
        self._figures.samples += size
        return batch if numpy else to_mlx(batch)

    def _blocks(self, run: _Run) -> Iterator[Block]:
        """Yield what is read, and end the threads whatever happens."""
        last = time.perf_counter()
        try:
            for block in run.blocks():
                yield block
                self._figures.elapsed_s += time.perf_counter() - last
                last = time.perf_counter()
                if self._figures.elapsed_s > _JUDGED_AFTER_S:
                    self._judge()
        finally:
            run.reads.close()

    def _finish(self, run: _Run) -> None:
        """Note that an epoch came to its end, unless it was stopped.

        Raises:
            Refused: another iteration took its place: to end without a word would look like the end of the data.
        """
        if self._run is not run:
            raise Refused("this stream was iterated anew or moved; go on with the new iteration.")
        if not run.stopped:
            self._judge()
            self._epoch, self._position, self._begun, self._run = self._epoch + 1, 0, False, None

    def _judge(self) -> None:
        figures, target = self._figures, self.config.target_throughput
        words = shortfall(figures.samples, figures.elapsed_s, figures.waited_s, target) if target else None
        if words and not self._warned:
            self._warned = True
            warnings.warn(words, stacklevel=5)


def shortfall(samples: int, elapsed_s: float, waited_s: float, target: float) -> str | None:
    """Return what holds up a stream that gave so many samples, or None where it reaches ``target`` a second."""
    rate = samples / max(elapsed_s, 1e-9)
    if rate >= target:
        return None
    part = waited_s / max(elapsed_s, 1e-9)
    if part > 0.5:
        cause = f"reading: the consumer waited {part:.0%} of the time; more num_workers or a larger chunk_size may help"
    else:
        cause = f"the consumer: it waited for samples only {part:.0%} of the time"
    return f"the stream gives {rate:.0f} samples/s, below target_throughput={target:g}; it is held up by {cause}."


@dataclass(slots=True)
class _Figures:
    samples: int = 0
    read_nbytes: int = 0
    elapsed_s: float = 0.0
    waited_s: float = 0.0
    peak_nbytes: int = 0
    peak_samples: int = 0


@dataclass(frozen=True, slots=True)
class _Held:
    """A window that was read and is in memory."""

    block: Block
    samples: int
    nbytes: int
    done: int


class _Run:
    """One iteration: windows read ahead, as many as the buffer has room for."""

    def __init__(
        self,
        windows: SourceWindows | IteratorWindows,
        config: StreamingConfig,
        epoch: int,
        position: int,
        figures: _Figures,
    ) -> None:
        self.taken = self.stopped = False
        self._windows, self._config, self._epoch, self._figures = windows, config, epoch, figures
        self._held_nbytes = self._held_samples = self._largest_nbytes = 0
        self._lock = threading.Lock()
        most = windows.most_workers
        workers = config.num_workers if most is None else min(most, config.num_workers)
        self.reads = ReadAhead(self._read, windows.windows(epoch, position), workers, self._has_room)

    def stop(self) -> None:
        self.stopped = True
        self.reads.close()

    def blocks(self) -> Iterator[Block]:
        """Yield blocks until the end or until the run is stopped."""
        while True:
            asked = time.perf_counter()
            held = next(self.reads, None)
            self._figures.waited_s += time.perf_counter() - asked
            if held is None or self.stopped or not held.samples:
                return
            if held.samples > held.done:
                yield cut(held.block, held.done, held.samples) if held.done else held.block
            self._let_go(held)

    def _read(self, job: tuple[Window, int]) -> _Held:
        window, done = job
        block = self._windows.read(self._epoch, window)
        held = _Held(block, count(block), nbytes(block), done)
        if held.nbytes > self._config.buffer_mb * 1e6:
            raise Refused(
                f"{held.samples} samples, which are read at once, take {held.nbytes / 1e6:.2f} MB, more than "
                f"buffer_mb={self._config.buffer_mb:g}; {self._remedy(window)}, or a larger buffer_mb."
            )
        with self._lock:
            self._held_nbytes += held.nbytes
            self._held_samples += held.samples
            self._largest_nbytes = max(self._largest_nbytes, held.nbytes)
            figures = self._figures
            figures.read_nbytes += held.nbytes
            figures.peak_nbytes = max(figures.peak_nbytes, self._held_nbytes)
            figures.peak_samples = max(figures.peak_samples, self._held_samples)
        return held

    def _remedy(self, window: Window) -> str:
        if window.count > max(self._config.chunk_size, self._config.buffer_size):
            return "write the Parquet file with smaller row groups"
        return "give a smaller " + ("buffer_size" if self._config.shuffle else "chunk_size")

    def _let_go(self, held: _Held) -> None:
        with self._lock:
            self._held_nbytes -= held.nbytes
            self._held_samples -= held.samples

    def _has_room(self, under_way: int) -> bool:
        """Tell whether one more window fits, beside the one that is being given out and those under way."""
        if not self._largest_nbytes:  # nobody knows yet how much memory one takes
            return False
        fitting = min(
            self._config.buffer_size // self._windows.count, int(self._config.buffer_mb * 1e6) // self._largest_nbytes
        )
        return under_way + 2 <= fitting


def _only_iterates(dataset: Any) -> bool:
    """Tell whether samples can only be drawn one after another."""
    kind = type(dataset)
    by_number = any(hasattr(kind, name) for name in ("__getitem__", "__getitems__", "get_batch"))
    return not isinstance(dataset, str) and hasattr(kind, "__iter__") and not by_number


def _holds_mlx(sample: Any) -> bool:
    return isinstance(sample, Mapping) and any(is_mlx(value) for value in sample.values())
