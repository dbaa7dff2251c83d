"""Laws of child processes: their answer or their error comes back, and none outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smalti.compute import ChildKilled, run_child
from smalti.compute.child import SECRETS
from smalti.errors import ContractBroken, NotFound, Refused, Unavailable

ERRANDS = """
import os, signal, sys, time
from smalti.errors import ContractBroken, NotFound

class Private(NotFound):
    pass

def double(request, report):
    return {"value": 2 * request["value"], "pid": os.getpid()}

def chatter(request, report):
    print("a stray line")
    os.write(1, b"another from below Python\\n")
    for i in range(3):
        report({"step": i})
    return {}

def break_contract(request, report):
    raise ContractBroken("the scan has no probe.")

def raise_private(request, report):
    raise Private("no such thing.")

def crash(request, report):
    raise RuntimeError("the cause is here")

def die(request, report):
    os.kill(os.getpid(), signal.SIGKILL)

def sleep(request, report):
    report({"pid": os.getpid()})
    time.sleep(60)

def blas_came_first(request, report):
    return {"mlx": "mlx.core" in sys.modules, "threads": os.environ.get("OPENBLAS_NUM_THREADS")}

def environment(request, report):
    return {"names": sorted(os.environ)}
"""


@pytest.fixture(autouse=True)
def errands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions for the child to run, as the module smalti.errands of a fresh interpreter."""
    (tmp_path / "errands.py").write_text(ERRANDS)
    (tmp_path / "sitecustomize.py").write_text(f"import smalti; smalti.__path__.append({str(tmp_path)!r})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


def test_the_result_comes_back_from_another_process() -> None:
    answer = run_child("smalti.errands:double", {"value": 21})
    assert answer["value"] == 42
    assert answer["pid"] != os.getpid()


def test_progress_arrives_in_order_and_prints_do_not_disturb_it(capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[dict[str, int]] = []
    assert run_child("smalti.errands:chatter", {}, seen.append) == {}
    assert seen == [{"step": 0}, {"step": 1}, {"step": 2}]
    out, err = capfd.readouterr()
    assert out == ""
    assert "a stray line" in err
    assert "another from below Python" in err


def test_the_blas_is_chosen_before_the_function_is_imported() -> None:
    assert run_child("smalti.errands:blas_came_first", {}) == {"mlx": False, "threads": "1"}


def test_an_error_of_the_library_keeps_its_class_and_message() -> None:
    with pytest.raises(ContractBroken, match=r"^the scan has no probe\.$"):
        run_child("smalti.errands:break_contract", {})
    with pytest.raises(NotFound, match="no such thing"):
        run_child("smalti.errands:raise_private", {})


def test_any_other_failure_says_its_status_and_last_words() -> None:
    with pytest.raises(Unavailable, match=r"(?s)errands:crash ended with status 1.*the cause is here") as ended:
        run_child("smalti.errands:crash", {})
    assert not isinstance(ended.value, ChildKilled)


def test_a_killed_child_says_by_which_signal() -> None:
    with pytest.raises(ChildKilled, match="errands:die was killed by SIGKILL; its last lines on stderr were"):
        run_child("smalti.errands:die", {})


@pytest.mark.parametrize("name", ["os:system", "smalti:x", "smalti.errands", "smalti.errands:_x", "smalti.a:b c"])
def test_only_functions_of_this_library_are_run(name: str) -> None:
    with pytest.raises(Refused, match=r"is not a function of this library; write 'smalti\.package"):
        run_child(name, {})


def test_an_exception_in_the_parent_ends_the_child() -> None:
    pids: list[int] = []

    def interrupt(progress: dict[str, int]) -> None:
        pids.append(progress["pid"])
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_child("smalti.errands:sleep", {}, interrupt)
    assert wait_until_gone(pids[0])
    assert time.monotonic() - start < 30  # it was ended, not waited for


def test_the_child_ends_when_its_parent_is_killed() -> None:
    code = (
        "from smalti.compute import run_child;"
        "run_child('smalti.errands:sleep', {}, lambda progress: print(progress['pid'], flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.send_signal(signal.SIGKILL)
    assert wait_until_gone(pid)


def test_a_child_has_the_environment_but_for_the_credentials_of_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SECRETS, "SMALTI_ROOT", "AWS_ACCESS_KEY_ID"):
        monkeypatch.setenv(name, "value")
    names = set(run_child("smalti.errands:environment", {})["names"])
    assert not names & set(SECRETS)
    assert names > {"SMALTI_ROOT", "AWS_ACCESS_KEY_ID"}
