"""Where the time of loading goes: counters of one loader, and the figures made of them."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_BATCHES_KEPT = 4096
_COPIED_NBYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class Profile:
    """Sums over batches; times in seconds.

    Attributes:
        read_s, collate_s, transform_s: of all workers together.
        to_mx_s: of making MLX arrays, in the consumer's thread.
        wait_s: in which the consumer waited for the loader, ``to_mx_s`` included.
        elapsed_s: from asking for a batch to asking for the next, the consumer's own work included.
        batch_s: ``elapsed_s`` of the last few thousand batches.
    """

    samples: int = 0
    batches: int = 0
    nbytes: int = 0
    read_s: float = 0.0
    collate_s: float = 0.0
    transform_s: float = 0.0
    to_mx_s: float = 0.0
    wait_s: float = 0.0
    elapsed_s: float = 0.0
    batch_s: deque[float] = field(default_factory=lambda: deque(maxlen=_BATCHES_KEPT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **one: float) -> None:
        """Add what one batch took to the sums of these names; from any thread."""
        with self._lock:
            for name, value in one.items():
                setattr(self, name, getattr(self, name) + value)

    def elapsed(self, batch_s: float) -> None:
        """Count a batch that the consumer has finished with."""
        self.batches += 1
        self.elapsed_s += batch_s
        self.batch_s.append(batch_s)

    def results(self, memcpy_nbytes_per_s: float) -> dict[str, float]:
        """Return the figures; see ``MLXDataLoader.get_profiling_results``."""
        elapsed, wait = max(self.elapsed_s, 1e-9), max(self.wait_s, 1e-9)
        return {
            "samples": self.samples,
            "batches": self.batches,
            "throughput_samples_per_sec": self.samples / elapsed,
            "avg_batch_time_ms": 1e3 * self.elapsed_s / max(1, self.batches),
            "p95_batch_time_ms": 1e3 * float(np.percentile(list(self.batch_s) or [0.0], 95)),
            "stall_fraction": min(1.0, self.wait_s / elapsed),
            "bytes_per_sec": self.nbytes / elapsed,
            "memcpy_ratio": self.nbytes / wait / memcpy_nbytes_per_s,
            "read_s": self.read_s,
            "collate_s": self.collate_s,
            "transform_s": self.transform_s,
            "to_mx_s": self.to_mx_s,
            "wait_s": self.wait_s,
        }


def memcpy_nbytes_per_s() -> float:
    """Return how fast this machine copies memory that is not in the cache, now; takes some ten milliseconds."""
    source, target = np.ones((2, _COPIED_NBYTES), np.uint8)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - start)
    return _COPIED_NBYTES / min(seconds)


def nbytes_of_batch(batch: dict[str, Any]) -> int:
    """Return the size of a batch's arrays."""
    return sum(int(value.nbytes) for value in batch.values() if hasattr(value, "nbytes"))
