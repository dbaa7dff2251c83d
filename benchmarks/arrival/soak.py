"""Many files dropped at once, validated by the real sensor on a Dagster instance of its own, tick by tick."""

from __future__ import annotations

import os
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np

from assets.arrival import ledger_path
from assets.raw import RAW
from assets.rejected import rejected_files
from jobs.ingest import keys_in
from resources import SettingsResource, StoreResource
from sensors.arrivals import is_busy
from sensors.raw_files import raw_files
from smalti.ingest.ledger import Ledger
from smalti.ingest.quarantine import Quarantine
from smalti.ingest.source import Folder

LIMIT_S = 60.0  # after which Dagster ends a tick
_PATTERNS, _SIDE = 6, 16


@dataclass(frozen=True)
class Tick:
    """One evaluation of the sensor: how long it took, what the process held afterwards, what it asked for."""

    wall_s: float
    resident_nbytes: int
    runs_asked: int
    scans_asked: int
    cursor_nbytes: int


@dataclass(frozen=True)
class Soak:
    """What came of it; every count is of different files."""

    good: int
    bad: int
    ticks: tuple[Tick, ...]
    idle_s: float
    validated: int
    validated_twice: int
    rejected: int
    materialized: int
    materialized_twice: int
    scans_asked: int
    scans_asked_twice: int
    quarantined: int
    left_in_raw: int
    child_peak_nbytes: int
    ledger_nbytes: int

    @property
    def runs_asked(self) -> int:
        """Runs of all ticks; one ingests many scans."""
        return sum(tick.runs_asked for tick in self.ticks)

    @property
    def wall_s(self) -> float:
        """All ticks together."""
        return sum(tick.wall_s for tick in self.ticks)

    @property
    def faults(self) -> list[str]:
        """Return what is not as it must be, in words; empty when every file was validated and recorded exactly once."""
        wanted = {
            "validated": self.good + self.bad,
            "validated_twice": 0,
            "rejected": self.bad,
            "materialized": self.good,
            "materialized_twice": 0,
            "scans_asked": self.good,
            "scans_asked_twice": 0,
            "quarantined": self.bad,
            "left_in_raw": self.good,
        }
        return [f"{name} is {getattr(self, name)}, not {n}" for name, n in wanted.items() if getattr(self, name) != n]


def drop(raw: Path, good: int, bad: int) -> None:
    """Write tiny scans, each with other bytes; the bad ones, spread among them, are broken in four ways."""
    raw.mkdir(parents=True)
    row, column = np.mgrid[:_SIDE, :_SIDE] - _SIDE // 2
    counts = np.rint(900 * np.exp(-(row**2 + column**2) / 8))
    patterns = np.sqrt(np.stack([counts + i % 2 for i in range(_PATTERNS)])).astype(np.float32)
    total = good + bad
    broken = {round((i + 0.5) * total / bad) for i in range(bad)} if bad else set()
    for number in range(total):
        path = raw / f"scan-{number:05}.npz"
        at = np.arange(_PATTERNS) + number / 8
        arrays = {"diffraction": patterns, "xcoords": at, "ycoords": at[::-1].copy()}
        if number in broken:
            _write_broken(path, arrays, number)
        else:
            np.savez(path, **arrays)
        os.utime(path, (0, 0))


def _write_broken(path: Path, arrays: dict[str, np.ndarray], number: int) -> None:
    match number % 4:
        case 0:
            del arrays["xcoords"]
        case 1:
            arrays["ycoords"] = arrays["ycoords"][:-1]
        case 2:
            arrays["diffraction"] = np.where(arrays["diffraction"] > 29, np.nan, arrays["diffraction"])
    np.savez(path, **arrays)
    if number % 4 == 3:
        path.write_bytes(path.read_bytes()[: -40 - number % 50])


def soak(
    root: Path, instance: dg.DagsterInstance, say: Callable[[str], None] = lambda _: None
) -> tuple[tuple[Tick, ...], float]:
    """Evaluate the sensor until it finds nothing new; return its ticks, and the seconds of the one that found nothing.

    ``SMALTI_ROOT`` must be ``root``.
    """
    cursor, ticks = None, []
    resources = {"store": StoreResource(place=str(root / "store")), "settings": SettingsResource()}
    while True:
        start = time.monotonic()
        with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
            found = raw_files(context)
        wall_s = time.monotonic() - start
        runs, scans = 0, 0
        if isinstance(found, dg.SensorResult):
            cursor = found.cursor
            runs, scans = len(found.run_requests or ()), _note_scans(root, found)
        elif not is_busy(instance, Folder(root / "data" / "raw")):
            return tuple(ticks), wall_s
        ticks.append(Tick(wall_s, _resident_nbytes(), runs, scans, len(cursor or "")))
        say(f"tick {len(ticks)}: {wall_s:.1f} s, cursor {cursor}, {runs} runs of {scans} scans asked for")


def _note_scans(root: Path, found: dg.SensorResult) -> int:
    """Keep what was asked for outside of this process's memory, which is measured."""
    keys = keys_in(found.run_requests or ())
    with (root / "asked").open("a") as file:
        file.writelines(f"{key}\n" for key in keys)
    return len(keys)


def counted(
    root: Path, instance: dg.DagsterInstance, good: int, bad: int, ticks: tuple[Tick, ...], idle_s: float
) -> Soak:
    """Count what the ledger, Dagster, the quarantine and the folder hold now."""
    ledger = Ledger(ledger_path(instance))
    validated = Counter(arrival.name for arrival in ledger.after(0))
    table = instance.get_latest_materialization_event(rejected_files.key)
    rejected = table.asset_materialization.metadata["rejected"].value if table and table.asset_materialization else 0
    materialized: Counter[str | None] = Counter()
    page = instance.fetch_materializations(RAW["scan"].key, limit=1000)
    while page.records:
        materialized.update(record.partition_key for record in page.records)
        if not page.has_more:
            break
        page = instance.fetch_materializations(RAW["scan"].key, limit=1000, cursor=page.cursor)
    asked = Counter((root / "asked").read_text().splitlines())
    raw = root / "data" / "raw"
    return Soak(
        good=good,
        bad=bad,
        ticks=ticks,
        idle_s=idle_s,
        validated=len(validated),
        validated_twice=_more_than_once(validated),
        rejected=int(str(rejected)),
        materialized=len(materialized),
        materialized_twice=_more_than_once(materialized),
        scans_asked=len(asked),
        scans_asked_twice=_more_than_once(asked),
        quarantined=len(Quarantine(root / "data" / "quarantine").entries()),
        left_in_raw=sum(1 for _ in raw.iterdir()),
        child_peak_nbytes=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        ledger_nbytes=ledger.path.stat().st_size,
    )


def _more_than_once(counts: Counter[str] | Counter[str | None]) -> int:
    return sum(1 for count in counts.values() if count > 1)


def _resident_nbytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
