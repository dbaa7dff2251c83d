"""Laws of confined children: what they are kept from, how they end, and that nobody but themselves is touched."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smalti.compute.confinement import landlock_abi
from smalti.compute.fork_server import ForkServer, Outcome, plain_environment
from smalti.compute.limits import ChildLimits
from smalti.compute.system_calls import missing
from smalti.errors import Refused, Unavailable
from tests.sandboxed.child.escapes import ATTEMPTS
from tests.sandboxed.places import injected

LIMITS = ChildLimits(256 << 20, cpu_s=5, file_nbytes=1 << 20, wall_s=10)
CANARY = "canary-7f3a"


class Place:
    """A fork server, and around it what its children must not reach."""

    def __init__(self, root: Path, server: ForkServer) -> None:
        self.root, self.server, self._number = root, server, 0
        self.folder = root
        for name in ("home/.ssh/id_ed25519", "staging/input", "staging/sibling", "store/victim"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(f"{CANARY} {name}")

    def run(self, name: str, limits: ChildLimits = LIMITS, **request: Any) -> Outcome:
        self._number += 1
        self.folder = self.root / str(self._number)
        self.folder.mkdir()
        return self.server.call(
            f"smalti.escapes:{name}",
            {"folder": str(self.folder), **request},
            limits=limits,
            readable=[self.root / "staging" / "input"],
            writable=self.folder,
        )

    def result(self, name: str, limits: ChildLimits = LIMITS, **request: Any) -> dict[str, Any]:
        outcome = self.run(name, limits, **request)
        assert outcome.end == "answer", outcome
        result: dict[str, Any] = json.loads(outcome.answer)["result"]
        return result

    def targets(self, port: int = 9) -> dict[str, Any]:
        return {
            "secret": str(self.root / "home/.ssh/id_ed25519"),
            "sibling": str(self.root / "staging/sibling"),
            "victim": str(self.root / "store/victim"),
            "parent": os.getpid(),
            "port": port,
        }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", injected())
        patch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
        root = tmp_path_factory.mktemp("place")
        with ForkServer(root / "server") as server:
            yield Place(root, server)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def kept_by(attempt: str) -> None:
    """Skip where the kernel has not what keeps a process from that."""
    if attempt.startswith("files") and not landlock_abi():
        pytest.skip("this kernel has no Landlock")
    if attempt.startswith("calls") and missing():
        pytest.skip(missing())


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_confined_child_is_kept_from(attempt: str, place: Place, port: int) -> None:
    kept_by(attempt)
    assert not (found := place.result("attempt", attempt=attempt, **place.targets(port)))["done"], found
    assert (place.root / "store/victim").read_text() == f"{CANARY} store/victim"


def test_what_is_attempted_is_refused_by_nobody_else(tmp_path: Path, place: Place, port: int) -> None:
    code = (
        "import json, sys; from tests.sandboxed.child.escapes import ATTEMPTS, attempt\n"
        "request = json.loads(sys.argv[1])\n"
        "print(json.dumps({name: attempt({**request, 'attempt': name}) for name in ATTEMPTS}))"
    )
    request = json.dumps({**Place(tmp_path, place.server).targets(port), "folder": str(tmp_path)})
    run = subprocess.run([sys.executable, "-c", code, request], capture_output=True, text=True, check=True)
    refused = {name for name, found in json.loads(run.stdout).items() if not found["done"]}
    yama = Path("/proc/sys/kernel/yama/ptrace_scope")
    guarded = {"calls: look into another", "calls: trace another"} if yama.exists() else set()
    assert refused <= guarded


def test_a_child_has_nothing_of_the_environment_and_no_file_open(place: Place) -> None:
    state = place.result("state")
    assert CANARY not in json.dumps(state)
    assert state["environment"].keys() <= {*plain_environment(os.environ), "TMPDIR", "LC_CTYPE"}
    assert state["files"] == [0, 1, 2, 3, 4]
    assert state["folder"] == state["environment"]["TMPDIR"] == str(place.folder)


def test_an_environment_keeps_what_an_interpreter_needs() -> None:
    given = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "PYTHONPATH": "a",
        "HOME": "/root",
        "DATASET_API_KEY": "k",
        "LANGUAGE_KEY": "k",
    }
    kept = plain_environment(given)
    assert kept["PYTHONPATH"] == str(Path.cwd() / "a")
    assert {"PATH", "LC_ALL"} < kept.keys()
    assert not {"HOME", "DATASET_API_KEY", "LANGUAGE_KEY"} & kept.keys()


def test_a_child_reads_its_input_writes_in_its_folder_and_runs_threads(place: Place) -> None:
    assert place.result("read", path=str(place.root / "staging/input")) == {"text": f"{CANARY} staging/input"}
    place.result("write")
    assert (place.folder / "result").read_text() == "result"
    assert place.result("run_thread") == {"done": 1}


def test_a_link_is_no_input(place: Place, tmp_path: Path) -> None:
    kept_by("files")
    link = tmp_path / "link"
    link.symlink_to(place.root / "home/.ssh/id_ed25519")
    folder = tmp_path / "folder"
    folder.mkdir()
    request = {"attempt": "files: read a key", **place.targets(), "folder": str(folder)}
    outcome = place.server.call("smalti.escapes:attempt", request, limits=LIMITS, readable=[link], writable=folder)
    assert not json.loads(outcome.answer)["result"]["done"]


def test_limits_are_hard_and_grow_by_claims_as_far_as_they_may(place: Place) -> None:
    assert place.result("state")["limits"] == {
        "DATA": [256 << 20, 256 << 20], "CPU": [5, 6], "FSIZE": [1 << 20, 1 << 20], "NOFILE": [256, 256], "CORE": [0, 0]
    }  # fmt: skip
    generous = ChildLimits(256 << 20, 5, 1 << 20, 10, claimable_nbytes=1 << 30, claimable_cpu_s=7)
    limits = place.result("take", generous, nbytes=400 << 20, claimed=[1 << 29, 400 << 20])["limits"]
    assert limits["DATA"] == [656 << 20, 1280 << 20]  # of the last claim
    assert limits["CPU"] == [7, 13]  # of both
    assert limits["FSIZE"] == [401 << 20, 1025 << 20]
    limits = place.result("claim_all", generous)["limits"]
    assert (limits["DATA"], limits["CPU"]) == ([1280 << 20, 1280 << 20], [12, 13])


def test_this_process_and_the_server_keep_their_limits(place: Place) -> None:
    own = resource.getrlimit(resource.RLIMIT_DATA)
    first = place.result("state", ChildLimits(200 << 20, 2, 1 << 10, 10))
    assert first["limits"]["DATA"] == [200 << 20, 200 << 20]
    assert place.result("state")["limits"]["DATA"] == [256 << 20, 256 << 20]
    assert resource.getrlimit(resource.RLIMIT_DATA) == own


RAISING = """
import json, resource, sys
from smalti.compute.limits import ChildLimits
limits = ChildLimits(256 << 20, 5, 1 << 20, 10, claimable_nbytes=1 << 30, claimable_cpu_s=7)
limits.enforce()
for nbytes, cpu_s in json.loads(sys.argv[1]):
    limits.raise_own(nbytes, cpu_s)
print(json.dumps([resource.getrlimit(getattr(resource, f"RLIMIT_{kind}"))[0] for kind in ("DATA", "FSIZE", "CPU")]))
"""


@pytest.mark.parametrize(
    ("claims", "limits"),
    [
        ([(1 << 29, 1), (1 << 20, 1)], [257 << 20, 2 << 20, 7]),
        ([(1 << 62, 1 << 40)], [1280 << 20, 1025 << 20, 12]),
    ],
)
def test_a_process_raises_its_own_limits_as_far_as_it_may(claims: list[tuple[int, int]], limits: list[int]) -> None:
    command = [sys.executable, "-c", RAISING, json.dumps(claims)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == limits


def test_libraries_are_told_to_be_frugal(place: Place) -> None:
    environment = place.result("state")["environment"]
    assert (environment["OPENBLAS_NUM_THREADS"], environment["ARROW_DEFAULT_MEMORY_POOL"]) == ("1", "system")


@pytest.mark.parametrize(("name", "request_part"), [("take", {"nbytes": 1 << 30}), ("take_without_end", {})])
def test_too_much_memory_ends_a_child(place: Place, name: str, request_part: dict[str, int]) -> None:
    assert place.run(name, **request_part).end == "memory"


@pytest.mark.parametrize("stubborn", [False, True])
def test_too_much_computing_ends_a_child(place: Place, stubborn: bool) -> None:
    assert place.run("compute", ChildLimits(256 << 20, 1, 1 << 20, wall_s=20), stubborn=stubborn).end == "time"


def test_no_signal_that_is_ignored_keeps_a_child_beyond_its_time(place: Place) -> None:
    begin = time.monotonic()
    assert place.run("sleep", ChildLimits(256 << 20, 5, 1 << 20, wall_s=0.5)).end == "time"
    assert time.monotonic() - begin < 5
    assert wait_until_gone(int((place.folder / "pid").read_text()))


def test_no_file_grows_beyond_its_limit(place: Place) -> None:
    assert b"failure" in place.run("write_without_end").answer
    assert (place.folder / "endless").stat().st_size <= 1 << 20


@pytest.mark.parametrize(("name", "status"), [("crash", -signal.SIGSEGV), ("abort", -signal.SIGABRT), ("leave", 1)])
def test_a_crash_is_told_by_its_status(place: Place, name: str, status: int, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = place.run(name)
    assert (outcome.end, outcome.status) == ("crash", status)
    assert capfd.readouterr() == ("", "")


def test_a_mistake_of_ours_is_told_in_words(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert json.loads(place.run("fail").answer) == {"failure": "RuntimeError: the cause"}
    assert capfd.readouterr() == ("", "")


HUGE = struct.pack("<cQ", b"A", 1 << 62)
CLAIM = struct.pack("<cQQ", b"C", 1, 1)


@pytest.mark.parametrize(
    ("data", "again"),
    [
        (b"x", True),
        (b"\0" * 4096, True),
        (HUGE, True),
        (HUGE + b"x" * 100, False),
        (CLAIM * 64, True),
        (CLAIM[:5], True),
    ],
)
def test_an_endless_or_foreign_answer_is_none(place: Place, data: bytes, again: bool) -> None:
    outcome = place.run("say_raw", hex=data.hex(), again=again)
    assert (outcome.end, outcome.answer) == ("crash", b"")


def test_an_answer_that_never_ends_is_waited_for_no_longer_than_any(place: Place) -> None:
    half = struct.pack("<cQ", b"A", 100) + b"{"
    limits = ChildLimits(256 << 20, 5, 1 << 20, wall_s=0.5)
    assert place.run("say_raw", limits, hex=half.hex(), again=False).end == "time"


def test_a_child_that_closes_its_pipe_has_not_answered(place: Place) -> None:
    begin = time.monotonic()
    assert place.run("close_without_answer").end == "crash"
    assert time.monotonic() - begin < 5


def test_only_the_first_answer_counts_and_the_next_child_has_its_own(place: Place) -> None:
    assert place.result("answer_twice") == {"answer": 1}
    assert place.result("echo", number=7)["number"] == 7


def test_a_server_that_dies_is_started_again(place: Place) -> None:
    first = place.result("state")["environment"]
    process = place.server._process
    assert process is not None
    process.kill()
    process.wait()
    assert place.result("state")["environment"].keys() == first.keys()
    assert place.server._process is not process


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not running(pid)


def wait_for_pid(file: Path) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if file.exists() and (text := file.read_text()):
            return int(text)
        time.sleep(0.02)
    raise TimeoutError(file)


PARENT = """
import os, sys
from pathlib import Path
from smalti.compute.fork_server import ForkServer
from smalti.compute.limits import ChildLimits
root = Path(sys.argv[1])
with ForkServer(root / "server") as server:
    limits = ChildLimits(256 << 20, 5, 1 << 20, 60)
    server.call("smalti.escapes:sleep", {"folder": str(root)}, limits=limits, writable=root)
"""


@pytest.mark.parametrize("victim", ["parent", "server"])
def test_a_child_ends_with_the_processes_that_it_is_for(tmp_path: Path, victim: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], env={**os.environ, "PYTHONPATH": injected()}
    )
    child = wait_for_pid(tmp_path / "pid")
    server = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    (tmp_path / "pid").unlink()
    os.kill(parent.pid if victim == "parent" else server, signal.SIGKILL)
    assert wait_until_gone(child)
    assert wait_until_gone(server)
    parent.kill()
    parent.wait()


def test_an_interrupted_call_leaves_nothing_behind_and_the_next_one_has_its_own_answer(place: Place) -> None:
    def interrupt() -> None:
        wait_for_pid(place.folder / "pid")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.2, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        place.run("sleep")
    assert wait_until_gone(int((place.folder / "pid").read_text()))
    assert place.result("echo", number=8)["number"] == 8


@pytest.mark.parametrize("name", ["os:system", "smalti:x", "smalti.escapes", "smalti.escapes:_x", "smalti.a:b c"])
def test_only_functions_of_this_library_are_run(place: Place, name: str) -> None:
    with pytest.raises(Refused, match=r"is not a function of this library; write 'smalti\.package"):
        place.server.call(name, {}, limits=LIMITS, writable=place.root)


def test_a_server_that_cannot_run_it_says_why(place: Place) -> None:
    with pytest.raises(Unavailable, match=r"No module named 'smalti\.absent'"):
        place.server.call("smalti.absent:x", {}, limits=LIMITS, writable=place.root)


def test_what_cannot_be_confined_is_not_run(place: Place) -> None:
    outcome = place.server.call("smalti.escapes:echo", {}, limits=LIMITS, writable=place.root / "absent")
    assert (outcome.end, outcome.answer) == ("unconfined", b"")
    assert outcome.cause.startswith("FileNotFoundError: ")
    assert "absent" in outcome.cause


@pytest.mark.parametrize("status", [77, 78])
def test_no_file_can_say_that_it_was_not_confined(place: Place, status: int) -> None:
    outcome = place.run("leave_with", status=status)
    assert outcome.end == ("memory" if status == 77 else "crash")
    outcome = place.run("say_raw", hex=b"U: the machine".hex(), again=False)
    assert (outcome.end, outcome.cause) == ("crash", "")
