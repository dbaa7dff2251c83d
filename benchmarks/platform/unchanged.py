"""A tick of the sensor over a folder of many files of which none is new."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median

import dagster as dg

from assets.arrival import ledger_path
from benchmarks.line import Line, at_most
from resources import StoreResource
from sensors.arrivals import evaluate
from smalti import open_store
from smalti.ingest.ledger import Ledger
from smalti.ingest.source import Folder

GOAL_s = 1.0
_FILES = 10_000


def measure(rounds: int) -> list[Line]:
    """Return the seconds of a tick over files that were all validated and recorded before."""
    with tempfile.TemporaryDirectory() as place:
        root, home = Path(place) / "root", Path(place) / "dagster"
        home.mkdir()
        raw, store = root / "data" / "raw", StoreResource(place=str(root / "store"))
        raw.mkdir(parents=True)
        open_store(root / "store")
        os.environ["SMALTI_ROOT"] = str(root)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            _validated(instance, Folder(raw), _FILES)
            seconds = [_tick(instance, Folder(raw), store) for _ in range(rounds + 1)]
    what = f"a tick over an unchanged folder of {_FILES:,} files"
    return [at_most(GOAL_s, what, median(seconds[1:]), "{:.2f} s", note=f"(the first {seconds[0]:.2f} s)")]


def _validated(instance: dg.DagsterInstance, source: Folder, files: int) -> None:
    """Write files, and in the ledger that each was accepted and recorded: validating them is not measured here."""
    for number in range(files):
        path = source.folder / f"scan-{number:05}.npz"
        path.write_bytes(b"%d" % number)
        os.utime(path, (0, 0))
    ledger = Ledger(ledger_path(instance))
    for waiting in ledger.look(source.id, source.look().files, lambda _: None, files):
        report = {"accepted": True, "kind": "scan", "content": waiting.name, "reason": "", "violations": []}
        ledger.validated(source.id, waiting, report)
    while arrivals := ledger.claim(source.id, files):
        ledger.reported(arrivals)
    last = ledger.after(0)[-1].number
    (source.folder.parent / "cursor").write_text(f"{ledger.id}:{last}")
    ledger.close()


def _tick(instance: dg.DagsterInstance, source: Folder, store: StoreResource) -> float:
    cursor = (source.folder.parent / "cursor").read_text()
    start = time.perf_counter()
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources={"store": store}) as context:
        found = evaluate(context, source, store.place)
    assert isinstance(found, dg.SkipReason), found
    assert "nothing new" in str(found.skip_message), found
    return time.perf_counter() - start
