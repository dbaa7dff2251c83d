"""Children with limits: one that takes too much, crashes or hangs ends alone, and how it ended is told."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import Any

import pytest

import smalti
from smalti.compute import ChildLimits, ChildStopped, run_child
from smalti.errors import ContractBroken, NotFound
from smalti.ingest.sandbox import in_sandbox, limits_for

ERRANDS = """
import ctypes, os, resource, signal, sys, threading, time
from smalti.compute import extend_limits
from smalti.errors import NotFound

def limits(request, report):
    kinds = ("DATA", "CPU", "FSIZE", "NOFILE", "CORE")
    return {kind: resource.getrlimit(getattr(resource, f"RLIMIT_{kind}"))[0] for kind in kinds}

def take(request, report):
    if "declared" in request:
        extend_limits(request["declared"], 0)
    return {"took": len(bytearray(request["nbytes"]))}

def take_twice(request, report):
    for declared in request["declared"]:
        extend_limits(declared, 1)
    return limits(request, report)

def compute(request, report):
    while True:
        pass

def sleep(request, report):
    time.sleep(60)

def write(request, report):
    with open(request["path"], "wb") as file:
        file.write(bytes(8 << 20))
    return {}

def segfault(request, report):
    ctypes.string_at(0)

def abort(request, report):
    os.abort()

def raise_error(request, report):
    print("noise on stderr", file=sys.stderr)
    raise RuntimeError("the cause")

def find_nothing(request, report):
    raise NotFound("there is no file x.")

def environment(request, report):
    return {name: os.environ.get(name) for name in ("OPENBLAS_NUM_THREADS", "ARROW_DEFAULT_MEMORY_POOL")}
"""
TIGHT = ChildLimits(memory_nbytes=128 << 20, cpu_s=1, file_nbytes=1 << 20, wall_s=5)


@pytest.fixture(autouse=True)
def errands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "errands.py").write_text(ERRANDS)
    (tmp_path / "sitecustomize.py").write_text(f"import smalti; smalti.__path__.append({str(tmp_path)!r})")
    library = Path(smalti.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(library))))


def run(name: str, limits: ChildLimits = TIGHT, **request: Any) -> dict[str, Any]:
    return run_child(f"smalti.errands:{name}", request, limits=limits)


def test_the_child_has_the_limits_before_it_imports_the_function() -> None:
    found = run("limits")
    assert found == {"DATA": 128 << 20, "CPU": 1, "FSIZE": 1 << 20, "NOFILE": 256, "CORE": 0}


def test_this_process_keeps_its_own_limits() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    run("limits")
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_too_much_memory_ends_it_and_what_was_declared_does_not() -> None:
    with pytest.raises(ChildStopped, match="more memory than the 128 MB") as stopped:
        run("take", nbytes=400 << 20)
    assert stopped.value.cause == "memory"
    assert run("take", nbytes=400 << 20, declared=400 << 20) == {"took": 400 << 20}


def test_room_for_a_value_is_not_added_to_the_room_for_the_last_and_time_is() -> None:
    found = run("take_twice", declared=[1 << 30, 1 << 20])
    assert (found["DATA"], found["CPU"]) == ((128 << 20) + (1 << 20), 3)


def test_too_much_computing_ends_it() -> None:
    with pytest.raises(ChildStopped, match="more than 1 s of computing") as stopped:
        run("compute")
    assert stopped.value.cause == "time"


def test_waiting_too_long_ends_it() -> None:
    begin = time.monotonic()
    with pytest.raises(ChildStopped, match=r"0\.5 s in all") as stopped:
        run("sleep", ChildLimits(128 << 20, 5, 1 << 20, wall_s=0.5))
    assert stopped.value.cause == "time"
    assert time.monotonic() - begin < 5


def test_no_larger_file_is_written(tmp_path: Path) -> None:
    with pytest.raises(ChildStopped):
        run("write", path=str(tmp_path / "large"))
    assert (tmp_path / "large").stat().st_size <= 1 << 20


@pytest.mark.parametrize(
    ("errand", "says"),
    [("segfault", "was killed by SIGSEGV"), ("abort", "was killed by SIGABRT"), ("raise_error", "ended with status 1")],
)
def test_a_crash_is_a_verdict_and_leaves_the_terminal_alone(
    errand: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ChildStopped, match=says) as stopped:
        run(errand)
    assert stopped.value.cause == "crash"
    assert capfd.readouterr() == ("", "")


def test_an_error_of_the_library_comes_through() -> None:
    with pytest.raises(NotFound, match="there is no file x"):
        run("find_nothing")


def test_libraries_are_told_to_be_frugal() -> None:
    assert run("environment") == {"OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}


@pytest.mark.parametrize(
    ("cause", "code"),
    [("memory", "file.too_much_memory"), ("time", "file.too_slow"), ("crash", "file.crashed_the_reader")],
)
def test_the_end_of_a_sandbox_is_a_violation(tmp_path: Path, cause: Any, code: str) -> None:
    def stop(function: str, request: Any, limits: ChildLimits) -> dict[str, Any]:
        raise ChildStopped("it stopped.", cause)

    with pytest.raises(ContractBroken, match=r"^scan\.npz: the file: found a file that cannot be read: it stopped, "):
        in_sandbox("smalti.x:y", tmp_path / "scan.npz", {}, stop)
    with pytest.raises(ContractBroken) as refusal:
        in_sandbox("smalti.x:y", tmp_path / "scan.npz", {}, stop)
    assert [violation.code for violation in refusal.value.violations] == [code]


def test_a_larger_file_may_compute_longer_and_starts_with_the_same_memory(tmp_path: Path) -> None:
    small, large = limits_for(0), limits_for(1 << 30)
    assert small.memory_nbytes == large.memory_nbytes == 384 << 20
    assert small.cpu_s <= 5 < large.cpu_s
    asked: list[ChildLimits] = []

    def note(function: str, request: Any, limits: ChildLimits) -> dict[str, Any]:
        asked.append(limits)
        return {}

    (tmp_path / "scan.npz").touch()
    os.truncate(tmp_path / "scan.npz", 1 << 30)
    in_sandbox("smalti.x:y", tmp_path / "scan.npz", {}, note)
    in_sandbox("smalti.x:y", tmp_path / "absent.npz", {}, note)
    assert asked == [large, small]
