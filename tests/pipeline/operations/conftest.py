"""A small Dagster of its own, as real processes: a daemon, a code server, and runs that go on until they may end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import pytest
import yaml

PROJECT = Path(__file__).parents[3]
PATIENCE_S = 90

CODE = """
import os, time
from pathlib import Path
import dagster as dg
from smalti.compute import run_child

HERE = Path(__file__).parent

@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def slow(context):
    key = context.partition_key
    with (HERE / f"{key}.begun").open("a") as file:
        file.write(f"{os.getpid()} {os.getppid()}\\n")
    if key == "b":
        run_child("smalti.errands:sleep", {}, lambda told: (HERE / "b.child").write_text(str(told["pid"])))
    while not (HERE / f"{key}.may_end").exists():
        time.sleep(0.05)
    with (HERE / f"{key}.ended").open("a") as file:
        file.write("once\\n")

job = dg.define_asset_job("job", [slow])

@dg.sensor(job=job, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def asking(context):
    return [dg.RunRequest(run_key=key, partition_key=key) for key in ("a", "b") if (HERE / f"{key}.wanted").exists()]

defs = dg.Definitions([slow], jobs=[job], sensors=[asking], executor=dg.in_process_executor)
"""
CHILD = """
import os, time

def sleep(request, report):
    report({"pid": os.getpid()})
    time.sleep(600)
"""


class Platform:
    """A folder with a code location, and the daemon that works on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "slow_runs.py").write_text(CODE)
        (folder / "errands.py").write_text(CHILD)
        (folder / "sitecustomize.py").write_text(f"import smalti; smalti.__path__.append({str(folder)!r})")
        (folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"python_file": "slow_runs.py"}]}))
        settings = yaml.safe_load((PROJECT / "deploy" / "local" / "dagster.yaml").read_text())
        settings["run_monitoring"]["poll_interval_seconds"] = 1
        (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
        self.instance = dg.DagsterInstance.from_config(str(folder))

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        """A daemon with its code server and runs in a process group of their own, all of which end with it."""
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(self.folder),
            "PYTHONPATH": os.pathsep.join(map(str, (self.folder, PROJECT / "src"))),
            "DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS": "1",
        }
        command = [sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml"]
        with (self.folder / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield process
        finally:
            end_group(process)

    def pids(self, key: str) -> tuple[int, int]:
        """The worker of the last run over that partition, and its code server."""
        worker, server = self.lines(f"{key}.begun")[-1].split()
        return int(worker), int(server)

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def want(self, key: str) -> None:
        (self.folder / f"{key}.wanted").touch()

    def let_end(self, key: str) -> None:
        (self.folder / f"{key}.may_end").touch()

    def statuses(self, key: str) -> list[dg.DagsterRunStatus]:
        """How the runs over that partition stand, first to last."""
        return [run.status for run in self.instance.get_runs(self.of(key), ascending=True)]

    def of(self, key: str) -> dg.RunsFilter:
        return dg.RunsFilter(tags={"dagster/partition": key})

    def wait(self, until: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not until():
            if time.monotonic() > deadline:
                pytest.fail((self.folder / "daemon.log").read_text()[-4000:])
            time.sleep(0.1)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """A platform that nothing works on yet."""
    made = Platform(tmp_path)
    yield made
    made.instance.dispose()
