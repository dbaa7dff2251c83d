"""The platform as `make ui` starts it, in a folder of its own on a free port, and what its GraphQL says of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

PROJECT = Path(__file__).parents[2]
_START_SECONDS = 120
_STOP_SECONDS = 30
_LOOK_EVERY_SECONDS = 0.5
_LINES_TOLD = 20
_RUNS = """query($limit: Int) { runsOrError(limit: $limit) { ... on Runs { results {
  runId jobName status startTime endTime runConfigYaml tags { key value } } } } }"""
_MATERIALIZED = """query($key: [String!]!) { assetOrError(assetKey: {path: $key}) { ... on Asset {
  assetMaterializations(limit: 100) { partition runId } } } }"""
_FAILURES = """query($run: ID!) { runOrError(runId: $run) { ... on Run { eventConnection { events {
  ... on ExecutionStepFailureEvent { stepKey error { message } } } } } } }"""
_LOADED = """{ workspaceOrError { ... on Workspace { locationEntries { loadStatus
  locationOrLoadError { ... on PythonError { message } } } } } }"""
T = TypeVar("T")


class Platform:
    """Webserver, daemon and code server over a fresh root; everything that it starts is in one session of processes."""

    def __init__(self, root: Path, python: Path) -> None:
        self.root, self.python = root, python
        home = root / ".dagster"
        home.mkdir(parents=True)
        shutil.copy(PROJECT / "deploy" / "local" / "dagster.yaml", home)
        self.raw = root / "data" / "raw"
        self.raw.mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SMALTI_", "DAGSTER_"))},
            "SMALTI_ROOT": str(root),
            "DAGSTER_HOME": str(home),
            "MLX_DISABLE_COMPILE": "1",  # g++ would take longer than these small runs
            "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]]),
        }
        self.log = root / "dagster.log"

    def __enter__(self) -> Platform:
        command = [self.python.with_name("dagster"), "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", self.port]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait("the UI answers and has loaded the definitions", self._is_loaded, _START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it as Ctrl-C does; whatever of its session is left after a while is killed."""
        self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def run_python(self, *arguments: object) -> str:
        """Run the platform's Python with these arguments, in its root; return what it prints."""
        command = [str(self.python), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, query: str, **variables: Any) -> Any:
        """Return the data of a GraphQL answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert not answer.get("errors"), answer["errors"]
        return answer["data"]

    def wait(self, what: str, found: Callable[[], T | None], seconds: float) -> T:
        """Return what is found in the end; after so many seconds, say what was waited for and what there is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the platform ended with {self.process.returncode}:\n{self._log_tail()}")
            if answer := found():
                return answer
            time.sleep(_LOOK_EVERY_SECONDS)
        raise AssertionError(f"not within {seconds:.0f} s: {what}.\n{self._told()}")

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs, the newest first, their tags as a dict."""
        found = self.ask(_RUNS, limit=200)["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def run_of(self, run_id: str) -> dict[str, Any]:
        """Return the run of this id."""
        return next(run for run in self.runs() if run["runId"] == run_id)

    def partitions_of(self, asset: str) -> set[str]:
        """Return the partitions of an asset that were materialized."""
        found = self.ask(_MATERIALIZED, key=[asset])["assetOrError"]
        return {made["partition"] for made in found.get("assetMaterializations", ())}

    def wait_until_idle(self, seconds: float) -> None:
        """Wait until no run waits or goes on."""
        over = {"SUCCESS", "FAILURE", "CANCELED"}
        self.wait("every run is over", lambda: all(run["status"] in over for run in self.runs()) or None, seconds)

    def failures_of(self, run_id: str) -> list[str]:
        """Return why the steps of a run failed."""
        events = self.ask(_FAILURES, run=run_id)["runOrError"].get("eventConnection", {"events": []})["events"]
        return [f"{event['stepKey']}: {event['error']['message']}" for event in events if event.get("error")]

    def _is_loaded(self) -> bool:
        try:
            entries = self.ask(_LOADED)["workspaceOrError"]["locationEntries"]
        except OSError:
            return False
        for entry in entries:
            if error := (entry["locationOrLoadError"] or {}).get("message"):
                raise AssertionError(f"the definitions cannot be loaded: {error}")
        return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)

    def _told(self) -> str:
        lines = []
        for run in self.runs():
            lines.append(f"{run['jobName']} {run['tags'].get('dagster/partition', '')} {run['status']}")
            lines += [f"    {why}" for why in self.failures_of(run["runId"])]
        return "\n".join(["the runs:", *lines])

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LINES_TOLD:])
