"""Laws of runs that nobody ends: they end with their process, as it ended, and a killed one leaves them running."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from smalti import open_store
from smalti.store import Manifest

BEGIN = """
import os, signal, sys
from smalti.runs import FlexibleDataStore
store = FlexibleDataStore(root=sys.argv[1])
run = store.create_run("dev_001", project="p")
store.add_run_output(run, "y", [1, 2])
"""


def ended(folder: Path, then: str) -> tuple[int, Manifest]:
    """Run a program that begins a run and then does something; return how it exited and the manifest."""
    done = subprocess.run([sys.executable, "-c", BEGIN + then, folder], capture_output=True, text=True, check=False)
    return done.returncode, open_store(folder).manifest("dev_001")


@pytest.mark.parametrize(
    ("then", "status", "error"),
    [
        ("", "finished", ""),
        ("sys.exit(3)", "finished", ""),
        ("raise ValueError('no beam')", "failed", "ValueError: no beam"),
        ("store.finish_run(run, 'stopped')\nraise ValueError('after')", "stopped", ""),
        ("os.fork() or sys.exit()\nos.wait()", "finished", ""),
    ],
)
def test_a_run_ends_as_its_process_does_unless_it_ended_before(
    tmp_path: Path, then: str, status: str, error: str
) -> None:
    code, manifest = ended(tmp_path / "store", then)
    assert code in {0, 1, 3}
    assert (manifest.status, manifest.error) == (status, error)
    assert manifest.ended_at > manifest.started_at


def test_a_forked_process_that_ends_leaves_the_run_of_the_first_alone(tmp_path: Path) -> None:
    then = "os.fork() or sys.exit()\nos.wait()\nassert store.get_run('dev_001').status == 'running'"
    code, manifest = ended(tmp_path / "store", then)
    assert (code, manifest.status) == (0, "finished")


def test_a_killed_process_leaves_its_run_running(tmp_path: Path) -> None:
    code, manifest = ended(tmp_path / "store", "os.kill(os.getpid(), signal.SIGKILL)")
    assert (code, manifest.status) == (-signal.SIGKILL, "running")


def test_a_store_that_is_gone_at_the_end_is_no_error_and_one_that_is_damaged_a_warning(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for then, told in (
        (
            "manifest = path / 'manifests' / 'dev_001.json'; manifest.chmod(0o644); manifest.write_text('{}')",
            True,
        ),
        ("import shutil; shutil.rmtree(path)", False),
    ):
        program = f"{BEGIN}from pathlib import Path; path = Path(sys.argv[1])\n{then}"
        done = subprocess.run([sys.executable, "-c", program, store], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert ("the end of the run 'dev_001' could not be recorded" in done.stderr) == told
        store = tmp_path / "other"
