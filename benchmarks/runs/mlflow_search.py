"""How long MLflow takes to find the runs with a tag; run by the Python of an environment that has MLflow.

``python -m benchmarks.runs.mlflow_search FOLDER RUNS`` prints milliseconds per search, as JSON.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path

_SEARCHES = 50
_SHARED = 3  # runs that have the same tag


def search(folder: Path, runs: int) -> list[float]:
    """Search runs by a tag that holds a digest, in SQLite; the tables are filled beside MLflow's own interface."""
    from mlflow.tracking import MlflowClient

    file = folder / "mlflow.db"
    client = MlflowClient(tracking_uri=f"sqlite:///{file}")
    experiment = client.create_experiment("finding", artifact_location=str(folder / "artifacts"))
    first = client.create_run(experiment, tags={"data": _digest(0)}).info.run_id
    with closing(sqlite3.connect(file)) as db, db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(runs)")]
        row = dict(zip(columns, db.execute("SELECT * FROM runs WHERE run_uuid = ?", (first,)).fetchone(), strict=True))
        marks = ", ".join(f":{name}" for name in columns)
        names = [uuid.UUID(int=number + 1).hex for number in range(1, runs)]
        db.executemany(f"INSERT INTO runs VALUES ({marks})", ({**row, "run_uuid": name} for name in names))
        tags = ((_digest(number // _SHARED), name) for number, name in enumerate(names, 1))
        db.executemany("INSERT INTO tags (key, value, run_uuid) VALUES ('data', ?, ?)", tags)
    times = []
    for number in random.Random(0).sample(range(runs // _SHARED), _SEARCHES):
        start = time.perf_counter()
        found = client.search_runs([experiment], f"tags.data = '{_digest(number)}'")
        times.append(1e3 * (time.perf_counter() - start))
        assert len(found) == _SHARED, "every run with the tag is found"
    return times


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"


if __name__ == "__main__":
    print(json.dumps(search(Path(sys.argv[1]), int(sys.argv[2]))))
