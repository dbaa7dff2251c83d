"""What is measured of our store alone: durable small puts, the table, marking, peak memory."""

from __future__ import annotations

import os
import sqlite3
import statistics
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.runs.finding import address_of, filled
from benchmarks.store.measure import allocated_nbytes, peak_nbytes, timed
from benchmarks.store.workload import Scale, table, table_edits
from smalti import open_store
from smalti.digest import PREFIX
from smalti.errors import Refused
from smalti.store.objects.index import Index

_LOOKUPS = 20_000
_BATCHES = 5
_TOGETHER = 10  # times as many as are put one by one


@dataclass(frozen=True)
class SmallPuts:
    """Milliseconds, medians: one small array put, one of many put in one call, and the same bytes made durable by hand.

    By hand is: write, fsync, rename, fsync of the folder, with nothing else kept.
    """

    put_ms: float
    together_ms: float
    by_hand_ms: float


def small_puts(folder: Path, scale: Scale) -> SmallPuts:
    """Put arrays of 4 KB one by one, each beside the same number of bytes made durable by hand; then many at once."""
    store = open_store(folder / "store")
    random = np.random.default_rng(0)
    puts, by_hand = [], []
    for number in range(scale.small_puts + 1):
        array = random.random(1000, np.float32)
        puts.append(timed(lambda array=array: store.put(array))[0].wall_s)
        by_hand.append(timed(lambda array=array, n=number: _write_by_hand(folder, n, array.tobytes()))[0].wall_s)
    together = []
    for _ in range(_BATCHES):
        arrays = [random.random(1000, np.float32) for _ in range(_TOGETHER * scale.small_puts)]
        together.append(timed(lambda arrays=arrays: store.put_all(arrays))[0].wall_s / len(arrays))
    # The first put also makes the store.
    return SmallPuts(*(1e3 * statistics.median(some) for some in (puts[1:], together, by_hand[1:])))


def _write_by_hand(folder: Path, number: int, content: bytes) -> None:
    part, whole = folder / f"{number}.part", folder / f"{number}.bin"
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.rename(whole)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


@dataclass(frozen=True)
class TableGrowth:
    """Bytes on disk: of the first table, and what storing each edited table added."""

    first_nbytes: int
    added_nbytes: dict[str, int]


def table_growth(folder: Path, scale: Scale) -> TableGrowth | str:
    """Store a table and its edits, each edit into a store that holds the first table; or say why not."""
    first = table(scale.table_rows)
    store = open_store(folder)
    try:
        store.put(first)
    except Refused as error:
        return str(error)
    size = first_nbytes = allocated_nbytes(folder)
    added = {}
    for name, edited in table_edits(first).items():
        store.put(edited)
        previous, size = size, allocated_nbytes(folder)
        added[name] = size - previous
    return TableGrowth(first_nbytes, added)


def gc_mark_s(folder: Path, scale: Scale) -> float:
    """Return the seconds to find what nothing needs, once all addresses are listed.

    The index is filled beside its own interface: object by object would take longer than everything else here.
    """
    folder.mkdir()
    index = Index(folder / "index.sqlite")
    index.clear()
    count = scale.gc_objects
    random = np.random.default_rng(0)
    later = np.arange(1, count + 1)[:, None]  # each object needs three that come after it
    needs = np.hstack([later, later + 1 + (random.random((count, 3)) * (count - later)).astype("<i8")])
    addresses = [f"{PREFIX}{number:064x}" for number in range(count)]
    rows = ((i + 1, a, "x" * 150, needs[i, : 4 if i < count - 1 else 1].tobytes()) for i, a in enumerate(addresses))
    with closing(sqlite3.connect(folder / "index.sqlite")) as db, db:
        db.executemany("INSERT INTO object (id, address, stamp, needs) VALUES (?, ?, ?, ?)", rows)
    roots, present = set(addresses[: count // 10]), set(addresses)
    return timed(lambda: present - index.reachable(roots))[0].wall_s


@dataclass(frozen=True)
class RunLookup:
    """Microseconds to find the runs that used a value, given its address: the median, and what 99 of 100 stay below."""

    median_us: float
    p99_us: float


def runs_of(folder: Path, scale: Scale) -> RunLookup:
    """Look up the runs of values, each used by a few of many runs; the index is filled beside its own interface."""
    filled(folder, scale.runs)
    store = open_store(folder)
    times = []
    for value in np.random.default_rng(0).integers(0, scale.runs, _LOOKUPS).tolist():
        address = address_of(value)
        start = time.perf_counter()
        store.runs_of(address)
        times.append(1e6 * (time.perf_counter() - start))
    return RunLookup(*np.percentile(times, [50, 99]).tolist())


def put_large(folder: Path, scale: Scale) -> int:
    """Return the bytes of memory that putting one large array took beyond the array and the interpreter."""
    store = open_store(folder)
    store.put(np.zeros(1000), name="small")  # whatever is imported late is imported now
    array = np.random.default_rng(0).integers(0, 2**32, scale.large_nbytes // 4, np.uint32).reshape(-1, 65536)
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
