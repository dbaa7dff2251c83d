"""A run that is terminated: how long until it is gone with its children, and where its next run goes on."""

from __future__ import annotations

import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from benchmarks.line import Line, at_most
from benchmarks.platform.served import Served, serving
from smalti.simulation import card_fields, simulate_scan, write_raw_npz
from tests.daemon.daemon import PROJECT, Daemon, eventually
from tests.daemon.platform import Platform

GOAL_s = 10.0
_EPOCH = re.compile(r"\bepoch (\d+), .*\bsteps\b")  # of training; the solver takes no steps
_LONG_s = 240.0
_RUNS = """{ runsOrError(filter: {pipelineName: "reconstruct"}) { ... on Runs { results {
  runId status stepStats { stepKey status } } } } }"""
_EVENTS = """query($run: ID!) { runOrError(runId: $run) { ... on Run { eventConnection(limit: 1000) { events {
  ... on MessageEvent { message } } } } } }"""
_TERMINATE = """mutation($run: String!) { terminateRun(runId: $run) { __typename ... on PythonError { message } } }"""
_AGAIN = """mutation($run: String!) { launchRunReexecution(reexecutionParams: {parentRunId: $run,
  strategy: FROM_FAILURE}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


def measure() -> list[Line]:
    """Return the seconds from the click to the last process gone, and the epoch at which its next run goes on."""
    with tempfile.TemporaryDirectory() as place:
        platform = Platform(Path(place) / "root")
        scan = simulate_scan("small", positions_per_side=24, window=64)
        (platform.raw / "small.npz.card.yaml").write_text(yaml.safe_dump(card_fields(scan)))
        write_raw_npz(scan, platform.raw / "small.npz")
        daemon = Daemon(platform.home, {"SMALTI_ROOT": str(platform.root)}, PROJECT / "definitions.py")
        try:
            daemon.start()
            with serving(daemon) as served:
                return _measured(platform, daemon, served)
        finally:
            daemon.stop()


def _measured(platform: Platform, daemon: Daemon, served: Served) -> list[Line]:
    run: dict[str, Any] = {}

    def has_stored_a_state() -> bool:
        run.update(next(iter(served.ask(_RUNS)["runsOrError"]["results"]), {}))
        states = ("training/", "solving/")
        return bool(run) and any(named.name.startswith(states) for named in platform.store.names())

    assert eventually(has_stored_a_state, _LONG_s, every=0.5), "nothing is trained for long enough to be stored"
    before = _epochs(served, run["runId"])
    workers = [process for process in daemon.processes() if _computes(process)]
    start = time.perf_counter()
    served.ask(_TERMINATE, run=run["runId"])

    def is_gone() -> bool:
        (status,) = [r["status"] for r in served.ask(_RUNS)["runsOrError"]["results"] if r["runId"] == run["runId"]]
        return status == "CANCELED" and not any(Path(f"/proc/{process}").exists() for process in workers)

    assert eventually(is_gone, 60, every=0.1), "the run does not end"
    seconds = time.perf_counter() - start
    again = served.ask(_AGAIN, run=run["runId"])["launchRunReexecution"]
    assert again["__typename"] == "LaunchRunSuccess", again
    assert eventually(lambda: bool(_epochs(served, again["run"]["runId"])), _LONG_s, every=0.5), "it does not go on"
    after = _epochs(served, again["run"]["runId"])
    return [
        at_most(GOAL_s, f"a terminated run is gone with its {len(workers)} processes", seconds, "{:.1f} s"),
        Line(
            "the run after it goes on where a state was stored, not at epoch 1",
            f"up to epoch {before[-1]}",
            f"epoch {after[0]}",
            1 < after[0] <= before[-1] + 1,
        ),
    ]


def _epochs(served: Served, run: str) -> list[int]:
    """Return the epochs that the log of a run speaks of."""
    events = served.ask(_EVENTS, run=run)["runOrError"].get("eventConnection", {"events": []})["events"]
    lines = [event.get("message", "") for event in events]
    return [int(match[1]) for line in lines if (match := _EPOCH.search(line))]


def _computes(process: int) -> bool:
    """Tell whether a process is a run's worker or a child that computes for it."""
    with suppress(OSError):
        words = Path(f"/proc/{process}/cmdline").read_bytes()
        return any(word in words for word in (b"multiprocessing.spawn", b"execute_run", b"smalti.compute"))
    return False
