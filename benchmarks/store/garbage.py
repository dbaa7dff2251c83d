"""Collecting garbage among many small objects: listing and planning, and then removing."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.line import Line, Section, at_least, at_most
from benchmarks.store.measure import in_fresh_process, timed
from benchmarks.store.setup import Setup, where
from smalti import open_store

_PER_TREE = 1000
_GOAL_S, _GOAL_OBJECTS = 10, 1_000_000
_FILES_PER_OBJECT = 4  # with folders, at most


@dataclass(frozen=True)
class Collected:
    """What a collection took, in seconds; ``removed`` objects of ``objects``."""

    objects: int
    removed: int
    put_s: float
    plan_s: float
    remove_s: float


def measure(setup: Setup) -> list[Line | Section]:
    """Return the lines of a collection in memory, where there is room for so many files, and on the disk."""
    objects = setup.scale.gc_objects
    lines: list[Line | Section] = []
    if os.statvfs(setup.memory).f_favail > _FILES_PER_OBJECT * objects:
        with setup.in_memory() as folder:
            lines += _lines(objects, in_fresh_process(None, collect, folder / "store", objects), folder)
    with setup.on_disk() as folder:
        lines += _lines(objects, in_fresh_process(None, collect, folder / "store", objects), folder)
    return lines


def _lines(objects: int, found: Collected, folder: Path) -> list[Line | Section]:
    """Return the lines of one collection; the goal is in proportion to how many objects there are."""
    table = f"Garbage {where(folder)}"
    limit = _GOAL_S * found.objects / _GOAL_OBJECTS
    note = f"({1e6 * found.plan_s / found.objects:.0f} µs an object)"
    plan = f"gc, {found.objects:,} objects: listing, planning and confirming, half of them unneeded"
    rate = found.removed / found.remove_s
    put = f"putting {objects:,} small values in calls of {2 * _PER_TREE:,}, each"
    return [
        Line(put, "", f"{1e3 * found.put_s / objects:.3f} ms", table=table),
        at_most(limit, plan, found.plan_s, "{:.2f} s", note=note, before="50 µs an object", table=table),
        at_least(10_000, "gc: objects removed a second", rate, "{:,.0f}", before="1,000 to 2,000", table=table),
    ]


def collect(folder: Path, objects: int) -> Collected:
    """Fill a store and collect: half of the values hang in named trees of a thousand, half hang nowhere."""
    store = open_store(folder)
    start = time.perf_counter()
    for tree in range(max(1, objects // (2 * _PER_TREE))):
        many = min(_PER_TREE, objects // 2)
        first = 2 * tree * _PER_TREE
        values = [np.array([number]) for number in range(first, first + 2 * many)]
        refs = store.put_all(values)
        kept = refs[:many]
        store.put({str(number): ref for number, ref in enumerate(kept)}, name=f"tree-{tree}", just_put=kept)
    put_s = time.perf_counter() - start
    planned, report = timed(lambda: open_store(folder).gc(dry_run=True, grace_seconds=0))
    unneeded = len(report.unneeded)
    if unneeded != report.objects - report.needed or unneeded < objects // 2:
        raise RuntimeError(f"{unneeded} of {report.objects} objects are said not to be needed")
    for _ in range(3):  # the first only condemns, where that is the way
        took, report = timed(lambda: open_store(folder).gc(dry_run=False, grace_seconds=0))
        removed = sum(item.state == "removed" for item in report.unneeded)
        if removed:
            break
    if removed != unneeded:
        raise RuntimeError(f"{removed} objects were removed, not {unneeded}")
    remove_s = max(took.wall_s - planned.wall_s, 1e-9)
    return Collected(report.objects, removed, put_s, planned.wall_s, remove_s)
