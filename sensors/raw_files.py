"""New files in ``data/raw/``: judged once each, recorded, and what is accepted is reconstructed."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from assets.arrival import record
from assets.raw import SCANS
from jobs import reconstruct
from resources import StoreResource
from smalti.compute import run_child
from smalti.contracts.card import SUFFIX
from smalti.settings import Settings

_SETTLED_AFTER_SECONDS = 2.0
_FILES_PER_TICK = 20

Seen = Mapping[str, list[int]]  # file name -> [size, modification time in ns] as it was when it was judged


def settled_files(folder: Path, seen: Seen, now: float) -> list[Path]:
    """Return the files to judge now: new or changed since they were judged, and no longer being written.

    What was seen is remembered per file: a late file with an earlier name or an old date is not missed.
    """
    if not folder.is_dir():
        return []
    files = [f for f in sorted(folder.iterdir()) if f.is_file() and _is_data(f.name)]
    return [
        file
        for file in files
        if seen.get(file.name) != _identity(file) and now - file.stat().st_mtime > _SETTLED_AFTER_SECONDS
    ]


def _is_data(name: str) -> bool:
    return not name.startswith((".", "_")) and not name.endswith((SUFFIX, ".part", ".tmp", ".md", ".txt"))


def _identity(file: Path) -> list[int]:
    """A changed card makes a file worth judging again, so it counts as part of it."""
    card = file.with_name(file.name + SUFFIX)
    both = [f.stat() for f in (file, card) if f.is_file()]
    return [number for stat in both for number in (stat.st_size, stat.st_mtime_ns)]


@dg.sensor(
    target=reconstruct,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Judges every new file in data/raw/ by its contract and reconstructs what is accepted.",
)
def raw_files(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult | dg.SkipReason:
    seen: dict[str, list[int]] = json.loads(context.cursor) if context.cursor else {}
    waiting = settled_files(Settings().raw, seen, time.time())
    if not waiting:
        return dg.SkipReason(f"nothing new in {Settings().raw}")
    verdicts = []
    for file in waiting[:_FILES_PER_TICK]:
        identity = _identity(file)
        request = {"path": str(file), "store": store.place}
        verdicts.append(run_child("smalti.datasets.arrival:admit", request) | {"file": file.name})
        seen[file.name] = identity
    record(context.instance, verdicts)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{verdict['key']}:{verdict['digest']}", partition_key=verdict["key"])
            for verdict in verdicts
            if verdict["accepted"]
        ],
        dynamic_partitions_requests=[SCANS.build_add_request(sorted({verdict["key"] for verdict in verdicts}))],
        cursor=json.dumps(seen),
    )
