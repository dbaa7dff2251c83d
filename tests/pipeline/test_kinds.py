"""A kind of file that a user declares is an asset of its own, accepted and rejected by its own contract."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
MINE = """\
from smalti.contracts import ColumnSpec, TableContract
from smalti.ingest.kinds import Kind

LOG = TableContract(name="log", version=1, summary="A log.", columns=(
    ColumnSpec(key="start_s", meaning="Start.", type="number", unit="s", minimum=0),))
LOGS = Kind("log", "A log.", LOG, lambda outline: outline.is_table and "start_s" in outline.names, "log")
"""
ASK = """\
import os, time
from pathlib import Path
import dagster as dg
from definitions import defs
from smalti.settings import Settings
from resources import local
raw = Settings().raw
raw.mkdir(parents=True)
for name, text in (("good.csv", "start_s\\n1.5\\n"), ("bad.csv", "start_s\\n-1\\n"), ("other.csv", "a\\n1\\n")):
    (raw / name).write_text(text)
    os.utime(raw / name, (0, 0))
sensor = defs.get_sensor_def("raw_files")
with dg.instance_for_test() as instance:
    while True:
        with dg.build_sensor_context(instance=instance, resources=local()) as context:
            if isinstance(found := sensor(context), dg.SensorResult):
                break
    keys = {name: sorted(instance.get_dynamic_partitions(name)) for name in ("log", "dataset")}
    raw = instance.get_latest_materialization_event(dg.AssetKey("raw_log")).asset_materialization
    rejected = instance.get_latest_materialization_event(dg.AssetKey("rejected_files")).asset_materialization
    (row,) = rejected.metadata["files"].records
    print(keys, raw.metadata["contract"].value, row.data["reason"].partition(";")[0])
"""


def test_a_kind_of_yours_arrives_as_its_own_asset_and_is_rejected_by_its_own_contract(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    environment = {
        **os.environ,
        "SMALTI_CONTRACTS": str(tmp_path / "mine.py"),
        "SMALTI_ROOT": str(tmp_path / "root"),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH")))),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "{'log': ['good'], 'dataset': ['other']} log/1 bad.csv: start_s: found 1 of 1 rows out of range "
        "(first at row 0: -1), wanted values of at least 0"
    )
