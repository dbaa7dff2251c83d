"""A few rows of a huge array, which should cost what those rows cost and not what the array would."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.line import Line, Section, at_most
from benchmarks.store.measure import in_fresh_process, timed
from benchmarks.store.setup import Setup, where
from benchmarks.store.sparse import ROW_NBYTES, write_sparse_array
from smalti import open_store

_SLICES = 11


def measure(setup: Setup) -> list[Line | Section]:
    """Return the line of one row out of an array that is a hole in a file."""
    nbytes = setup.scale.sparse_nbytes
    with setup.on_disk() as folder:
        address = write_sparse_array(folder / "store", nbytes)
        first, later = in_fresh_process(None, row_ms, folder / "store", address, nbytes // ROW_NBYTES)
        table = f"A slice of a huge array {where(folder)}"
    what = f"one row of {ROW_NBYTES:,} bytes of a sparse array of {nbytes / 2**30:g} GiB, verified"
    return [
        at_most(
            3, what, later, "{:.1f} ms", note=f"(the first of a process {first:.1f} ms)", before="62 ms", table=table
        )
    ]


def row_ms(folder: Path, address: str, rows: int) -> tuple[float, float]:
    """Return milliseconds to open the store and the array and read a row: the first time, and the median later."""
    store = open_store(folder)
    store.open(store.put(np.zeros((2, 1000))))[:1]  # whatever is imported late is imported now

    def read(row: int) -> float:
        cost, found = timed(lambda: np.array(open_store(folder).open(address)[row : row + 1]))
        if found.shape != (1, ROW_NBYTES) or found.any():
            raise RuntimeError("the row that came back is not the one that was stored")
        return 1e3 * cost.wall_s

    first, *later = (read(row) for row in np.linspace(0, rows - 1, _SLICES).astype(int).tolist())
    return first, median(later)
