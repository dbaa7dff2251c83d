"""Arrays whose rows have sizes that are no multiple of a page, some not even of four bytes."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.line import Line, Section, at_most
from benchmarks.store.measure import in_fresh_process, timed, warm_memory
from benchmarks.store.setup import Setup, in_turns, removed_after, where
from smalti import open_store

# What it is -> dtype and shape of a row. The first is the plain case that the others stand beside.
ROWS: dict[str, tuple[np.dtype[np.generic], tuple[int, ...]]] = {
    "float32 (N, 4096), rows of 16,384 bytes": (np.dtype("<f4"), (4096,)),
    "uint8 (N, 1001, 3), rows of 3,003 bytes": (np.dtype("u1"), (1001, 3)),
    "records of 5 bytes (N,)": (np.dtype([("mask", "u1"), ("counts", "<u4")]), ()),
    "float64 (N, 7), rows of 56 bytes": (np.dtype("<f8"), (7,)),
}
_BEFORE = {  # of a first ingest and of the same again
    "float32 (N, 4096), rows of 16,384 bytes": ("1.2 ×", "0.42 ×"),
    "uint8 (N, 1001, 3), rows of 3,003 bytes": ("1.7 ×", "1.0 ×"),
    "records of 5 bytes (N,)": ("3.3 ×", "2.6 ×"),
    "float64 (N, 7), rows of 56 bytes": ("1.5 ×", "0.72 ×"),
}


def measure(setup: Setup) -> list[Line | Section]:
    """Return the lines of a first ingest and of the same again, of each kind of rows."""
    with setup.in_memory() as folder:
        table = f"Odd rows {where(folder)}, {setup.scale.odd_nbytes / 2**20:g} MiB of each"
        turns = in_fresh_process(None, passes, folder, setup.scale.odd_nbytes, setup.rounds)
    lines: list[Line | Section] = []
    for name, of_each in turns.items():
        first, again = (median(ratios) for ratios in zip(*of_each, strict=True))
        before = _BEFORE[name]
        lines.append(at_most(0.8, f"{name}: first / SHA-256", first, "{:.2f} ×", before=before[0], table=table))
        lines.append(at_most(0.3, f"{name}: again / SHA-256", again, "{:.2f} ×", before=before[1], table=table))
    return lines


def passes(folder: Path, nbytes: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return, of each kind of rows and round, a first put and the same again in passes of SHA-256."""
    content = np.random.default_rng(0).bytes(nbytes)
    actions = {name: partial(_turn, folder / "store", of_rows(content, *kind)) for name, kind in ROWS.items()}
    return in_turns(actions, rounds)


def of_rows(content: bytes, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Return as many rows as the bytes are enough for, as an array of its own."""
    count = len(content) // (dtype.itemsize * int(np.prod(shape)))
    return np.frombuffer(content, dtype, count * int(np.prod(shape))).reshape(count, *shape)


def _turn(folder: Path, array: NDArray[np.generic]) -> tuple[float, float]:
    sha256_s = timed(lambda: hashlib.sha256(array.view(np.uint8).data).digest())[0].wall_s
    warm_memory(array.nbytes)
    with removed_after(folder):
        first = timed(lambda: open_store(folder).put(array))[0].wall_s
        again = timed(lambda: open_store(folder).put(array))[0].wall_s
    return first / sha256_s, again / sha256_s
