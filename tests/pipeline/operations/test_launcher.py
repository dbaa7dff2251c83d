"""Laws of the launcher's decisions: a worker is known by number and start, and nothing else is ever interrupted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterInvariantViolationError
from dagster._core.events import EngineEventData
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG, RETRY_NUMBER_TAG
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from hypothesis import given
from hypothesis import strategies as st

from dagster_smalti.launcher import (
    Alive,
    Elsewhere,
    Gone,
    LocalRunLauncher,
    Reported,
    Unknown,
    tag_of,
    worker_of,
)
from dagster_smalti.processes import Process, ProcessesHere, from_proc, from_ps

RUN = "a-run"
WORKER = Process(pid=4711, boot="this boot", start="1000", start_s=100.0)
LATER = replace(WORKER, start="9000", start_s=180.0)  # was given the same number
REPORTED = Reported(pid=4711, at_s=102.0)


@dataclass
class Table:
    """Processes that a test makes up."""

    processes: list[Process]
    interrupted: list[Process] = field(default_factory=list)

    def find(self, pid: int) -> Process | None:
        return next((process for process in self.processes if process.pid == pid), None)

    def interrupt(self, process: Process) -> bool:
        self.interrupted += [process] if process in self.processes else []
        return process in self.processes


@pytest.mark.parametrize(
    ("tags", "reported", "processes", "expected"),
    [
        ({}, None, [], Unknown()),
        ({}, REPORTED, [WORKER], Alive(WORKER)),
        ({}, REPORTED, [], Gone(4711)),
        ({}, REPORTED, [LATER], Gone(4711)),
        (tag_of(RUN, WORKER), REPORTED, [WORKER], Alive(WORKER)),
        (tag_of(RUN, WORKER), None, [WORKER], Alive(WORKER)),
        (tag_of(RUN, WORKER), REPORTED, [], Gone(4711)),
        (tag_of(RUN, WORKER), REPORTED, [LATER], Gone(4711)),
        (tag_of(RUN, WORKER), REPORTED, [replace(WORKER, boot="another boot")], Gone(4711)),
        (tag_of("the run that this one repeats", LATER), REPORTED, [WORKER], Alive(WORKER)),
        (tag_of("the run that this one repeats", WORKER), None, [WORKER], Unknown()),
        ({GRPC_INFO_TAG: '{"host": "localhost", "socket": "/tmp/socket"}'}, REPORTED, [WORKER], Alive(WORKER)),
        ({GRPC_INFO_TAG: '{"host": "127.0.0.1", "port": 4000}'}, REPORTED, [], Gone(4711)),
        ({GRPC_INFO_TAG: '{"host": "code.beamline", "port": 4000}'}, REPORTED, [], Elsewhere("code.beamline")),
    ],
)
def test_a_worker_is_known_by_its_number_and_its_start(tags, reported, processes, expected) -> None:
    assert worker_of(tags, RUN, reported, Table(processes)) == expected


@given(st.floats(-1e9, 1e9))
def test_a_clock_that_is_set_does_not_change_who_a_recorded_worker_is(set_by_s: float) -> None:
    now = replace(WORKER, start_s=WORKER.start_s + set_by_s)
    assert worker_of(tag_of(RUN, WORKER), RUN, REPORTED, Table([now])) == Alive(WORKER)


@pytest.fixture(params=["proc", "ps"])
def find(request: pytest.FixtureRequest):
    """Both ways to look a process up; ``/proc`` is on Linux only."""
    if request.param == "proc" and not Path("/proc/self/stat").exists():
        pytest.skip("there is no /proc here")
    return {"proc": from_proc, "ps": from_ps}[request.param]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[str]]:
    """A process that says when Ctrl-C reached it."""
    program = "import time\ntry: print(flush=True); time.sleep(60)\nexcept KeyboardInterrupt: print('interrupted')"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "\n"
        yield process
        process.kill()


def test_a_process_is_found_as_long_as_it_lives_and_not_as_a_zombie(find, sleeper: subprocess.Popen[str]) -> None:
    found = find(sleeper.pid)
    assert found.is_same(find(sleeper.pid))
    assert find(os.getpid()).start_s <= found.start_s <= time.time() + 1  # Linux says its start in whole seconds
    assert not found.is_same(find(os.getpid()))
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert find(sleeper.pid) is None
    sleeper.wait()
    assert find(sleeper.pid) is None


def test_that_process_and_no_later_one_of_its_number_is_interrupted(sleeper: subprocess.Popen[str]) -> None:
    here = ProcessesHere()
    found = here.find(sleeper.pid)
    assert not here.interrupt(replace(found, start="1"))
    assert not here.interrupt(replace(found, boot="another boot"))
    assert sleeper.poll() is None
    assert here.interrupt(found)
    assert sleeper.communicate(timeout=30)[0] == "interrupted\n"
    assert not here.interrupt(found)


def test_the_log_of_a_run_that_died_says_so_and_the_run_is_over(tmp_path: Path) -> None:
    with an_instance(tmp_path) as instance:
        run = started(instance, pid=dead_pid())
        monitor(instance)
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
        assert any("process" in m and "is gone'. Marking run" in m for m in messages(instance, run))


def test_a_run_that_may_live_is_left_alone(tmp_path: Path) -> None:
    with an_instance(tmp_path) as instance:
        runs = [
            started(instance, pid=os.getpid()),  # an orphan: no code server knows it
            started(instance, pid=None),
            started(instance, pid=dead_pid(), tags={GRPC_INFO_TAG: json.dumps({"host": "code.beamline", "port": 1})}),
        ]
        monitor(instance)
        assert {instance.get_run_by_id(run.run_id).status for run in runs} == {dg.DagsterRunStatus.STARTED}


def test_a_worker_that_was_seen_is_known_when_its_number_is_given_to_another(tmp_path: Path) -> None:
    with an_instance(tmp_path) as instance:
        run = started(instance, pid=4711)
        table = Table([Process(4711, "this boot", "1000", time.time() - 10)])
        launcher = LocalRunLauncher(processes=table)
        launcher.register_instance(instance)
        assert health(launcher, instance, run) == WorkerStatus.RUNNING
        table.processes = [replace(table.processes[0], start="1001")]  # younger, though not by the clock
        assert health(launcher, instance, run) == WorkerStatus.NOT_FOUND


@pytest.mark.parametrize("tags", [{}, {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": "/nowhere"})}])
@pytest.mark.parametrize("reported", [True, False])
def test_terminating_a_run_without_a_worker_ends_it(tmp_path: Path, tags: dict[str, str], reported: bool) -> None:
    with an_instance(tmp_path) as instance:
        run = started(instance, pid=dead_pid() if reported else None, tags=tags)
        assert instance.run_launcher.terminate(run.run_id)
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.CANCELED
        assert not instance.run_launcher.terminate(run.run_id)


def test_terminating_an_orphan_interrupts_its_process_alone(tmp_path: Path) -> None:
    with an_instance(tmp_path) as instance:
        run = started(instance, pid=4711)
        worker = Process(4711, "this boot", "1000", time.time() - 10)
        table = Table([worker])
        launcher = LocalRunLauncher(processes=table)
        launcher.register_instance(instance)
        assert launcher.terminate(run.run_id)
        assert table.interrupted == [worker]
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.CANCELING


@pytest.mark.parametrize("terminated", [True, False])
def test_what_a_person_terminated_is_not_repeated_even_if_its_worker_died(tmp_path: Path, terminated: bool) -> None:
    with an_instance(tmp_path) as instance:
        run = started(instance, pid=4711)
        if terminated:
            instance.report_run_canceling(run)
        instance.report_run_failed(run)
        kin = {"parent_run_id": run.run_id, "root_run_id": run.run_id}
        repeated = instance.create_run_for_job(a_job, tags={RETRY_NUMBER_TAG: "1"}, **kin)
        context = LaunchRunContext(repeated, workspace=None)
        if terminated:
            instance.run_launcher.launch_run(context)
            assert instance.get_run_by_id(repeated.run_id).status == dg.DagsterRunStatus.CANCELED
        else:
            with pytest.raises(DagsterInvariantViolationError, match="requires a workspace"):  # it is launched
                instance.run_launcher.launch_run(context)


def an_instance(folder: Path):
    """An instance of Dagster with this launcher, as dagster.yaml names it."""
    return dg.instance_for_test(
        temp_dir=str(folder),
        overrides={
            "run_launcher": {"module": "dagster_smalti.launcher", "class": "LocalRunLauncher"},
            "run_monitoring": {"enabled": True},
        },
    )


def started(instance: dg.DagsterInstance, pid: int | None, tags: dict[str, str] | None = None) -> dg.DagsterRun:
    """A run that goes on, whose worker wrote that number."""
    run = instance.create_run_for_job(a_job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    if pid is not None:
        instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
    return run


@dg.job
def a_job() -> None:
    """Does nothing."""


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def monitor(instance: dg.DagsterInstance) -> None:
    with create_test_daemon_workspace_context(EmptyWorkspaceTarget(), instance) as context:
        errors = list(execute_run_monitoring_iteration(context, dg.get_dagster_logger()))
    assert not any(errors)


def health(launcher: LocalRunLauncher, instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    return launcher.check_run_worker_health(instance.get_run_by_id(run.run_id)).status


def messages(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    return [entry.message for entry in instance.all_logs(run.run_id)]
