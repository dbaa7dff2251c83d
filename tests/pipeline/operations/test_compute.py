"""Laws of a step whose child process dies: a killed child is tried again, a refusal is not."""

import os
import signal
from pathlib import Path

import dagster as dg
import pytest

from resources import Compute, StoreResource

ERRANDS = """
import os, signal, time
from pathlib import Path
from smalti.errors import Refused

def die(request, report):
    attempts = Path(request["attempts"])
    attempts.write_text(attempts.read_text() + ".")
    if len(attempts.read_text()) <= request["deaths"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return {}

def refuse(request, report):
    Path(request["attempts"]).write_text(".")
    raise Refused("the scan has no probe.")

def go_on(request, report):
    attempts = Path(request["attempts"])
    attempts.write_text(attempts.read_text() + ".")
    report({})
    time.sleep(60)

def crash(request, report):
    Path(request["attempts"]).write_text(".")
    raise RuntimeError("a mistake of ours")
"""


@pytest.fixture(autouse=True)
def errands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions for the child to run, as the module smalti.errands of a fresh interpreter."""
    (tmp_path / "errands.py").write_text(ERRANDS)
    (tmp_path / "sitecustomize.py").write_text(f"import smalti; smalti.__path__.append({str(tmp_path)!r})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")


def test_a_child_that_is_killed_is_tried_again_and_the_run_succeeds(tmp_path: Path) -> None:
    result, attempts = run(tmp_path, "die", deaths=2)
    assert result.success
    assert attempts == 3
    retried = [e for e in result.all_events if e.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY]
    assert len(retried) == 2


def test_a_child_that_is_always_killed_fails_with_the_signal_as_the_cause(tmp_path: Path) -> None:
    result, attempts = run(tmp_path, "die", deaths=9)
    assert not result.success
    assert attempts == 3
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert "was killed by SIGKILL" in failure.step_failure_data.error.cause.message


@pytest.mark.parametrize(("function", "cause"), [("refuse", "no probe"), ("crash", "ended with status 1")])
def test_what_would_fail_again_is_not_tried_again(tmp_path: Path, function: str, cause: str) -> None:
    result, attempts = run(tmp_path, function)
    assert not result.success
    assert attempts == 1
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert cause in failure.step_failure_data.error.cause.message


def test_a_step_that_is_interrupted_as_a_person_terminates_it_is_not_tried_again(tmp_path: Path) -> None:
    result, attempts = run(tmp_path, "go_on", interrupted=True)
    assert not result.success
    assert attempts == 1


def run(
    folder: Path, function: str, deaths: int = 0, interrupted: bool = False
) -> tuple[dg.ExecuteInProcessResult, int]:
    """Return how an asset ended that runs that function in a child, and how often the child began."""
    attempts = folder / "attempts"
    attempts.write_text("")

    @dg.asset
    def computed(context: dg.AssetExecutionContext, compute: Compute) -> None:
        on_progress = (lambda _: os.kill(os.getpid(), signal.SIGINT)) if interrupted else (lambda _: None)
        request = {"attempts": str(attempts), "deaths": deaths}
        compute.run(context.log, f"smalti.errands:{function}", on_progress=on_progress, **request)

    compute = Compute(store=StoreResource(place=str(folder / "store")), first_retry_s=0.01)
    result = dg.materialize([computed], resources={"compute": compute}, raise_on_error=False)
    return result, len(attempts.read_text())
