"""Small values that have to be durable, beside a file made durable by hand, and names that have to be found."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.line import Line, Section, at_most
from benchmarks.store.measure import in_fresh_process, timed
from benchmarks.store.setup import Setup, in_turns, where
from smalti import open_store

_VALUES = 1000  # float32: 4,000 bytes
_BATCHES = 5
_LOOKUPS = 50
_BY_HAND = "by hand"
_PUTS = {"a new version of a name": (2.0, "4 ×"), "a new name": (2.0, "4 ×"), "no name": (None, "3 ×")}


def measure(setup: Setup) -> list[Line | Section]:
    """Return the lines of puts of 4,000 bytes on the disk, and of looking a name up."""
    scale = setup.scale
    with setup.on_disk() as folder:
        table = f"Small values {where(folder)}, durable"
        one, together = in_fresh_process(None, puts_ms, folder, scale.small_puts, scale.put_together)
    with setup.in_memory() as folder:
        found = in_fresh_process(None, lookups_ms, folder / "store", scale.names)
    hand = one.pop(_BY_HAND)
    lines: list[Line | Section] = [
        at_most(
            limit,
            f"a put of 4,000 bytes, {what} / a file made durable by hand",
            one[what] / hand,
            "{:.1f} ×",
            note=f"({one[what]:.2f} ms / {hand:.2f} ms)",
            before=before,
            table=table,
        )
        for what, (limit, before) in _PUTS.items()
    ]
    what = f"{scale.put_together:,} of them in one call, each"
    lines.append(at_most(0.1, what, together, "{:.3f} ms", before="0.34 ms", table=table))
    befores = ("0.1 ms", "36 ms")
    for (what, ms), before in zip(found.items(), befores, strict=True):
        lines.append(at_most(1, what, ms, "{:.2f} ms", before=before, table="Names"))
    return lines


def puts_ms(folder: Path, puts: int, together: int) -> tuple[dict[str, float], float]:
    """Return milliseconds, medians: of one put of each kind and of a file by hand in turns, and of each of many.

    Before anything is timed everything is done once: the first put also makes the store. Nothing is removed, for a
    file system may be slow to make files where some were removed a moment ago.
    """
    store = open_store(folder / "store")
    by_hand = folder / _BY_HAND
    by_hand.mkdir()
    random, number = np.random.default_rng(0), count()

    def put(name: Callable[[], str | None]) -> float:
        array = random.random(_VALUES, np.float32)
        return timed(lambda: store.put(array, name=name()))[0].wall_s

    def write() -> float:
        content, file = random.random(_VALUES, np.float32).tobytes(), by_hand / f"{next(number)}.bin"
        return timed(lambda: write_by_hand(file, content))[0].wall_s

    names: dict[str, Callable[[], str | None]] = {
        "a new version of a name": lambda: "same",
        "a new name": lambda: f"name-{next(number)}",
        "no name": lambda: None,
    }
    turns = in_turns({_BY_HAND: write} | {what: partial(put, name) for what, name in names.items()}, puts + 1)
    of_each = []
    for _ in range(_BATCHES):
        arrays = [random.random(_VALUES, np.float32) for _ in range(together)]
        of_each.append(timed(lambda arrays=arrays: store.put_all(arrays))[0].wall_s / together)
    return {what: 1e3 * statistics.median(s[1:]) for what, s in turns.items()}, 1e3 * statistics.median(of_each)


def write_by_hand(path: Path, content: bytes) -> None:
    """Make a file durable: write, fsync, rename, fsync of the folder, with nothing else kept."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def lookups_ms(folder: Path, names: int) -> dict[str, float]:
    """Return milliseconds, medians, to find what a name stands for in a store just opened."""
    store = open_store(folder)
    given = {name: store.put({"number": number % 100}, name=name).digest for number, name in enumerate(_names(names))}

    def look(name: str) -> float:
        cost, found = timed(lambda: open_store(folder).resolve(name))
        if found != given[name]:
            raise RuntimeError(f"{name} stands for something else than it was given to")
        return 1e3 * cost.wall_s

    asked = np.random.default_rng(0).integers(0, names, _LOOKUPS).tolist()
    return {
        f"looking up one name among {names:,}": statistics.median(look(f"scan/{number:06}") for number in asked),
        f"looking up the name that {names:,} others begin with": statistics.median(look("scan") for _ in asked),
    }


def _names(count: int) -> list[str]:
    return ["scan", *(f"scan/{number:06}" for number in range(count))]
