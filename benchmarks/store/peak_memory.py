"""How much memory a large array takes beyond itself, put and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.line import Line, Section, at_most
from benchmarks.store.measure import in_fresh_process, peak_nbytes
from benchmarks.store.setup import Setup
from smalti import open_store


def measure(setup: Setup) -> list[Line | Section]:
    """Return the peak memory of a put and of a verified read, each in a fresh process."""
    nbytes = setup.scale.large_nbytes
    with setup.in_memory() as folder:
        put = in_fresh_process(None, put_large, folder / "store", nbytes)
        read = in_fresh_process(None, read_large, folder / "store")
    what = f"of {nbytes / 2**30:g} GiB beyond the array"
    return [
        at_most(128, f"peak memory {name} {what}", taken / 2**20, "{:.0f} MiB", before="2 MiB", table="Memory")
        for name, taken in (("of a put", put), ("of a verified read", read))
    ]


def put_large(folder: Path, nbytes: int) -> int:
    """Return the bytes of memory that putting one large array took beyond the array and the interpreter."""
    store = open_store(folder)
    store.put(np.zeros(1000), name="small")  # whatever is imported late is imported now
    array = np.random.default_rng(0).integers(0, 2**32, nbytes // 4, np.uint32).reshape(-1, 65536)
    before = peak_nbytes()
    store.put(array, name="large")
    return peak_nbytes() - before


def read_large(folder: Path) -> int:
    """Return the bytes of memory that a verified read of that array took beyond the array and the interpreter."""
    store = open_store(folder)
    store.get("small")
    before = peak_nbytes()
    array = store.get("large")
    return max(0, peak_nbytes() - before - array.nbytes)
