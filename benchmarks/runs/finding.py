"""How long it takes to find runs by the data they used: from the index, after it was lost, and with MLflow."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.line import Line
from benchmarks.runs.peer import ask
from smalti import open_store
from smalti.digest import PREFIX
from smalti.store.backends.local.backend import LocalBackend
from smalti.store.manifests.local_index import LocalManifests
from smalti.store.manifests.manifest import KEPT, Manifest, dump

RUNS = 1_000_000
FILES = 100_000
MLFLOW_RUNS = 10_000
DEPTH = 10
FOUND_US, LINEAGE_MS, REBUILT_S = 30.0, 2.0, 60.0
_LOOKUPS = 20_000
_LINEAGES = 2_000
_SHARED = 7  # runs that read the same raw data


def measure(peers: Path | None, _: int) -> list[Line]:
    """Return the lines of look-ups among a million manifests, and of an index that is made from files."""
    with tempfile.TemporaryDirectory() as place:
        index = finding(Path(place))
    with tempfile.TemporaryDirectory() as place:
        files = rebuilding(Path(place))
    line = [
        Line(
            f"runs that used a value, {index.runs:,} manifests",
            f"{FOUND_US:g} us",
            f"{index.found:.0f} us (99 in 100: {index.found_p99:.0f})",
            index.found <= FOUND_US,
        ),
        Line(
            f"what a value was made from, {DEPTH} steps back, {index.hops:.0f} hops, {index.runs:,} manifests",
            f"{LINEAGE_MS:g} ms",
            f"{index.lineage / 1e3:.2f} ms (99 in 100: {index.lineage_p99 / 1e3:.2f})",
            index.lineage <= 1e3 * LINEAGE_MS,
        ),
        Line("opening the store and the first such look-up", "", f"{index.opened / 1e3:.2f} ms"),
        Line(
            f"the index of {files.files:,} manifests made anew",
            f"{REBUILT_S:g} s",
            f"{files.rebuilt_s:.1f} s",
            files.rebuilt_s <= REBUILT_S,
        ),
        Line(f"a look-up after another program put one among {files.files:,}", "", f"{files.behind_s:.2f} s"),
    ]
    peer = "not measured: no --peers"
    if peers:
        with tempfile.TemporaryDirectory() as place:
            peer = f"{ask(peers, 'mlflow_find', Path(place), MLFLOW_RUNS)['ms']:.1f} ms"
    return [*line, Line(f"runs with a tag, MLflow with SQLite, {MLFLOW_RUNS:,} runs", "", peer)]


@dataclass(frozen=True)
class Finding:
    """Microseconds from the index of ``runs`` manifests, medians and what 99 of 100 stay below.

    Attributes:
        found, found_p99: the runs that used one value, by its digest.
        lineage, lineage_p99: what a value was made from, ten steps back.
        hops: steps that this found, in the median.
        opened: a store, and the first look-up in it.
        index_nbytes: size of the file.
    """

    runs: int
    found: float
    found_p99: float
    lineage: float
    lineage_p99: float
    hops: float
    opened: float
    index_nbytes: int


def finding(folder: Path, runs: int = RUNS) -> Finding:
    """Look up the runs of values, and their lineage; the index is filled beside its own interface.

    Every run reads what the run before it in one of many chains wrote, and one of a few values that no run wrote.
    """
    manifests = filled(folder, runs)
    random = np.random.default_rng(1)
    some = random.integers(0, runs, _LOOKUPS).tolist()
    found = _times_us(lambda value: manifests.uses(address_of(value)), some)
    hops: list[int] = []

    def follow(value: int) -> None:
        hops.append(len(manifests.lineage(address_of(value), "upstream", DEPTH)))

    lineage = _times_us(follow, random.integers(0, runs, _LINEAGES).tolist())
    opened = []
    for value in some[:100]:
        start = time.perf_counter()
        open_store(folder).runs_of(address_of(value))
        opened.append(1e6 * (time.perf_counter() - start))
    nbytes = (folder / "index.sqlite").stat().st_size
    return Finding(
        runs, *_of(found, 50, 99), *_of(lineage, 50, 99), statistics.median(hops), statistics.median(opened), nbytes
    )


@dataclass(frozen=True)
class Rebuilding:
    """Seconds with ``files`` manifests in a folder: to make the index anew, and to find one that was put there since.

    ``behind`` is a look-up after another program has put one manifest into the folder, ``current`` the next one.
    """

    files: int
    rebuilt_s: float
    behind_s: float
    current_s: float


def rebuilding(folder: Path, files: int = FILES) -> Rebuilding:
    """Write manifests as files of their own, make the index from them, and put one more there past the store."""
    (folder / KEPT).mkdir(parents=True)
    for number in range(files):
        _write(folder, number)
    open_store(folder).init()
    manifests = LocalManifests(LocalBackend(folder))
    start = time.perf_counter()
    manifests.rebuild_index()
    rebuilt = time.perf_counter() - start
    times = []
    for number in range(files, files + 5):
        _write(folder, number)
        for _ in range(2):
            start = time.perf_counter()
            assert manifests.uses(address_of(number)), "what was just put there is found"
            times.append(time.perf_counter() - start)
    return Rebuilding(files, rebuilt, statistics.median(times[::2]), statistics.median(times[1::2]))


def _write(folder: Path, number: int) -> None:
    manifest = Manifest(
        f"run_{number:08x}",
        "2026-01-01T00:00:00.000+00:00",
        inputs={"data": address_of(number // 2), "config": address_of(number // 3)},
        outputs={"model": address_of(number)},
        parameters={"learning_rate": 1e-3, "epochs": 20, "seed": number},
        metrics={"loss": 0.1, "accuracy": 0.9},
        environment={"python": "3.11.7", "numpy": "2.4.6"},
    )
    (folder / manifest.key).write_bytes(dump(manifest))


def filled(folder: Path, runs: int) -> LocalManifests:
    """Return manifests whose index holds so many runs in chains of a hundred; value number n is what run n wrote."""
    open_store(folder).init()
    manifests = LocalManifests(LocalBackend(folder))
    manifests.add("first", outputs={"value": address_of(2 * runs)})  # makes folders
    manifests.uses(address_of(0))  # and tables
    order = np.random.default_rng(0).permutation(runs) + 10  # of what is written: digests are as good as random
    names = [f"run_{number:08x}" for number in range(runs)]
    chains = max(1, runs // 100)
    read = [np.arange(runs) - chains, runs + np.arange(runs) // _SHARED]  # the run before in the chain, and raw data
    with closing(sqlite3.connect(folder / "index.sqlite")) as db:
        db.execute("PRAGMA cache_size = -1000000")
        what = "2026-01-01T00:00:00.000+00:00', 1, '', '', '', '"
        db.executemany(f"INSERT INTO run SELECT ?, ?, '', 0, '{what}'", zip(order.tolist(), names, strict=True))
        values = sorted(
            (bytes.fromhex(address_of(n).removeprefix(PREFIX)), n + 10) for n in range(runs + runs // _SHARED + 1)
        )
        db.executemany("INSERT INTO value (digest, id) VALUES (?, ?)", values)
        used: list[tuple[int, int, int, int]] = []
        for number, run in enumerate(order.tolist()):
            used.append((number + 10, 1, run, 1))
            used += [(int(one[number]) + 10, 0, run, 1) for one in read if one[number] >= 0]
        db.executemany("INSERT OR IGNORE INTO used VALUES (?, ?, ?, ?)", sorted(used))
        did = sorted((run, step, role, value) for value, role, run, step in used)
        db.executemany("INSERT OR IGNORE INTO did VALUES (?, ?, ?, ?)", did)
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # as the last who leaves does
    return manifests


def address_of(number: int) -> str:
    """Return the address of value number ``number``, of digits as mixed as those of a digest."""
    return f"{PREFIX}{(number * 0x9E3779B97F4A7C15 + 1) % 2**64:016x}{number:048x}"


def _times_us(act: Callable[[int], object], values: Sequence[int]) -> list[float]:
    times = []
    for value in values:
        start = time.perf_counter()
        act(value)
        times.append(1e6 * (time.perf_counter() - start))
    return times


def _of(times: Sequence[float], median: float, nearly_all: float) -> tuple[float, float]:
    found = np.percentile(times, [median, nearly_all])
    return float(found[0]), float(found[1])
