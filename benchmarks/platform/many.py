"""A thousand partitions: what recording and materializing each costs beyond the work itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg

from assets.tables import described_table, part_of
from benchmarks.line import Line, at_most
from jobs.ingest import Wanted, ingest, ingest_request
from resources import local
from resources.published import publish_output
from sensors.raw_files import raw_files
from smalti import open_store
from smalti.ingest.admit import staging_folder, value_of
from smalti.ingest.sandbox import Sandbox
from smalti.settings import Settings
from smalti.tabular.report.outputs import write_dataset_parts

GOAL_ms = 50.0
_FILES, _IN_ONE_RUN = 1000, 100
_PROJECT = Path(__file__).parents[2]


def measure() -> list[Line]:
    """Return the milliseconds that a partition takes in a run that ingests many, less those of the work itself."""
    with tempfile.TemporaryDirectory() as place:
        root, home = Path(place) / "root", Path(place) / "dagster"
        os.environ["SMALTI_ROOT"] = str(root)
        home.mkdir()
        _drop(root / "data" / "raw")
        with dg.DagsterInstance.from_config(str(home)) as instance:
            keys = _recorded(instance)
            shutil.copytree(root, root.with_name("other"))
            start = time.perf_counter()
            for first in range(0, _FILES, _IN_ONE_RUN):
                _ingested(instance, keys[first : first + _IN_ONE_RUN])
            ingested_s = time.perf_counter() - start
        os.environ["SMALTI_ROOT"] = str(root.with_name("other"))
        work_s = _work(root.with_name("other"), keys)
        run_s = _empty_run(root, home)
    each_ms, work_ms, run_ms = 1e3 * ingested_s / _FILES, 1e3 * work_s / _FILES, 1e3 * run_s / _IN_ONE_RUN
    what = f"{_FILES:,} small tables ingested, {_IN_ONE_RUN} in one run: each, beyond the work"
    return [
        at_most(GOAL_ms, what, each_ms + run_ms - work_ms, "{:.0f} ms"),
        Line("of it, its share of the process of such a run, from the command to its end", "", f"{run_ms:.0f} ms"),
        Line("the work: read in the sandbox, described, stored, shown as files", "", f"{work_ms:.0f} ms"),
    ]


def _drop(raw: Path) -> None:
    """Write small tables, each with other rows; no name says train, so nothing more is asked for."""
    raw.mkdir(parents=True)
    for number in range(_FILES):
        rows = "".join(f"{number},{row},{row % 3}\n" for row in range(20))
        path = raw / f"table-{number:04}.csv"
        path.write_text(f"table,row,label\n{rows}")
        os.utime(path, (0, 0))


def _recorded(instance: dg.DagsterInstance) -> list[str]:
    """Let the sensor validate and record all files; return their keys."""
    cursor, given = None, local()
    resources = {name: given[name] for name in ("store", "settings")}
    while True:
        with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
            found = raw_files(context)
        if isinstance(found, dg.SensorResult):
            cursor = found.cursor
        keys = instance.get_materialized_partitions(dg.AssetKey("raw_table"))
        if len(keys) == _FILES:
            return sorted(keys)


def _ingested(instance: dg.DagsterInstance, keys: list[str]) -> None:
    request = ingest_request([Wanted("table", key) for key in keys], "")
    done = ingest.execute_in_process(request.run_config, instance=instance, resources=local())
    assert done.success


def _work(root: Path, keys: list[str]) -> float:
    """Return the seconds that the same takes without a run, in a root where nothing was ingested."""
    store, log = open_store(root / "store"), dg.get_dagster_logger()
    start = time.perf_counter()
    with Sandbox(staging_folder(store)) as sandbox:
        for key in keys:
            value = value_of(store, store.resolve(f"raw_table/{key}"), sandbox)
            described_table(value)
            ref = store.put(value, name=f"table/{key}")
            publish_output(log, store, "table", key, ref)
            write_dataset_parts(Settings().outputs, key, [part_of(store, value, ref)])
    return time.perf_counter() - start


def _empty_run(root: Path, home: Path) -> float:
    """Return the seconds of a run, started as a process, that ingests nothing."""
    environment = {**os.environ, "SMALTI_ROOT": str(root), "DAGSTER_HOME": str(home), "PYTHONWARNINGS": "ignore"}
    config = home / "nothing.yaml"
    config.write_text("ops: {ingest_arrivals: {config: {arrivals: []}}}")
    command = ["dagster", "job", "execute", "-f", "definitions.py", "-j", ingest.name, "-c", str(config)]
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", *command], cwd=_PROJECT, env=environment, check=True, capture_output=True, timeout=120
    )
    return time.perf_counter() - start
