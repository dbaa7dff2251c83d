"""What a person launches: a job with a config of theirs, a backfill, and a run that is terminated and resumed."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from tests.ui.platform import Platform
from tests.ui.window import Window

_GONE_SECONDS = 10.0
_RUN_SECONDS = 120.0
_LOG = """query($run: ID!) { runOrError(runId: $run) { ... on Run { eventConnection { events {
  ... on LogMessageEvent { message } } } } } }"""
_TERMINATE = "mutation($run: String!) { terminateRun(runId: $run) { __typename } }"
_BACKFILLS = """{ partitionBackfillsOrError { ... on PartitionBackfills { results { status } } } }"""
_EPOCH = re.compile(r"\bepoch (\d+),")
_LONG = "ops:\n  ptycho_checkpoint:\n    config:\n      epochs: 100000\n"


def descendants(of: int) -> dict[int, str]:
    """Return the process ids and commands of all that a process started."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    found, parents = dict[int, str](), {of}
    while parents:
        children = {int(pid): " ".join(args) for pid, parent, *args in rows if int(parent) in parents}
        parents = children.keys() - found.keys()
        found |= children
    return found


def epochs_told(platform: Platform, run_id: str) -> list[int]:
    """Return the epochs that the log of a run has told of so far."""
    events = platform.ask(_LOG, run=run_id)["runOrError"]["eventConnection"]["events"]
    return [int(match[1]) for event in events if (match := _EPOCH.search(event.get("message") or ""))]


def launched(window: Window) -> str:
    """Launch the run of the launchpad, which opens its page; return its id."""
    window.button("Launch Run").click()
    window.page.wait_for_url("**/runs/*")
    return Path(window.page.url).name


def test_a_job_is_launched_with_a_config_that_the_launchpad_explains(window: Window, platform: Platform) -> None:
    window.open("/locations/smalti/jobs/train_network/playground")
    window.sees("epochs", "25", "gridsize", "supervised")
    window.page.get_by_text("epochs", exact=True).first.hover()
    window.sees("Passes over the training positions")
    window.screenshot("launchpad-defaults")
    window.choose_partition("star")
    window.write_config("ops:\n  ptycho_checkpoint:\n    config:\n      epochs: 2\n", in_place_of="epochs")
    window.sees("No errors")
    window.screenshot("launchpad-changed")
    run_id = launched(window)
    platform.wait(
        "the training that was launched", lambda: platform.run_of(run_id)["status"] == "SUCCESS", _RUN_SECONDS
    )
    assert "epochs: 2" in platform.run_of(run_id)["runConfigYaml"]
    assert epochs_told(platform, run_id)[-1] <= 2
    window.sees("Success")
    window.screenshot("launched-run")


def test_a_value_that_is_not_allowed_cannot_be_launched(window: Window, platform: Platform) -> None:
    before = len(platform.runs())
    window.open("/locations/smalti/jobs/reconstruct/playground")
    window.sees("loss", "probe_modes")
    window.choose_partition("star")
    window.write_config("ops:\n  reconstruction:\n    config:\n      loss: bogus\n", in_place_of="loss")
    window.sees("bogus", "not in enum type Loss")
    window.screenshot("launchpad-refused")
    assert window.button("Launch Run").is_disabled()
    assert len(platform.runs()) == before


def test_a_terminated_run_is_gone_with_its_child_processes_and_resumes(window: Window, platform: Platform) -> None:
    platform.wait_until_idle(_RUN_SECONDS)
    before = descendants(platform.process.pid)
    window.open("/locations/smalti/jobs/train_network/playground")
    window.choose_partition("photographs")
    window.write_config(_LONG, in_place_of="epochs")
    window.sees("No errors")
    run_id = launched(window)
    # Its turn may come after what new content asked for; a state is stored every 5 epochs.
    platform.wait("a state of the training", lambda: [e for e in epochs_told(platform, run_id) if e > 10], _RUN_SECONDS)
    window.sees("ptycho_checkpoint")
    window.screenshot("run-in-progress")
    started = descendants(platform.process.pid).keys() - before.keys()
    assert len(started) >= 2, "the run and the child that trains"

    window.button("Terminate").click()
    dialog = window.page.get_by_role("dialog")
    window.screenshot("terminate")
    window.button("Terminate 1 run", dialog).click()
    confirmed = time.monotonic()
    platform.wait(
        "the processes of the run are gone",
        lambda: not started & descendants(platform.process.pid).keys(),
        _GONE_SECONDS,
    )
    assert time.monotonic() - confirmed < _GONE_SECONDS
    window.sees("Canceled")
    window.screenshot("terminated")
    reached = epochs_told(platform, run_id)[-1]

    window.button("Re-execute all").click()
    window.page.wait_for_url(lambda url: "/runs/" in url and run_id not in url)
    again = Path(window.page.url).name
    try:
        first = platform.wait("the first epoch after it", lambda: epochs_told(platform, again), _RUN_SECONDS)[0]
        window.screenshot("resumed")
        assert first > 1, f"it had reached epoch {reached}"
    finally:
        platform.ask(_TERMINATE, run=again)
    platform.wait_until_idle(_RUN_SECONDS)


def test_a_backfill_of_two_partitions_is_launched_and_completes(window: Window, platform: Platform) -> None:
    platform.wait_until_idle(_RUN_SECONDS)
    before = {run["runId"] for run in platform.runs()}
    window.open("/assets/scan_split", view="partitions")
    window.sees("photographs", "star")
    window.button("Materialize").click()
    dialog = window.page.get_by_role("dialog")
    window.button("All", dialog).click()
    window.sees("2 partitions", within=dialog)
    window.screenshot("backfill-dialog")
    window.button("Launch backfill", dialog).click()

    def backfilled() -> set[str]:
        new = [run for run in platform.runs() if run["runId"] not in before and "dagster/backfill" in run["tags"]]
        return {run["tags"]["dagster/partition"] for run in new if run["status"] == "SUCCESS"}

    platform.wait("runs of both partitions", lambda: backfilled() == {"photographs", "star"}, _RUN_SECONDS)
    platform.wait(
        "the backfill itself is over",
        lambda: platform.ask(_BACKFILLS)["partitionBackfillsOrError"]["results"] == [{"status": "COMPLETED_SUCCESS"}],
        _RUN_SECONDS,
    )
    window.open("/runs")
    window.page.get_by_text("Backfills", exact=True).first.click()
    window.sees("scan_split", "2 partitions", "Success")
    window.screenshot("backfills")
