"""Importing pandera changes nothing for the rest of the process."""

from __future__ import annotations

import os
import subprocess
import sys


def test_validating_a_table_leaves_the_time_zones_of_pyarrow_alone() -> None:
    program = """
import datetime as dt, os
import pyarrow as pa
from smalti.contracts import TABLE
TABLE.check(pa.table({"a": [1]}))
from smalti.contracts.builtin.titanic import TITANIC_TEST
TITANIC_TEST.check(pa.table({"Age": [1.0]}))
import sys
assert "pandera" in sys.modules
moment = dt.datetime(2024, 7, 5, 10, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
print(pa.array([moment], pa.timestamp("s", "UTC")).cast(pa.timestamp("s"))[0])
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYARROW_IGNORE_TIMEZONE"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "2024-07-05 08:30:00"
