"""A run launcher for one machine that knows whether the process of a run lives.

Dagster's own default launcher cannot say, so that after a hard stop a run stays STARTED, keeps its place in the queue,
and terminating it waits for a code server that is gone (https://github.com/dagster-io/dagster/issues/4319).

The process is known from the run's own log, where it writes its number before anything else. It is found by that number
and by its start; both are kept in a hidden tag of the run, so that a process which is given the number later is not
taken for it. A code server that dies leaves the processes of its runs behind: they live, go on, and end their runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from dagster import DagsterEventType, DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, LaunchRunContext, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG, RETRY_NUMBER_TAG, RUN_WORKER_ID_TAG
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import ConfigurableClassData, deserialize_value

from dagster_smalti.processes import Process, Processes, ProcessesHere

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SERVER_ANSWERS_S = 3
_CLOCKS_DIFFER_S = 1.0  # Linux says the time of its start in whole seconds


@dataclass(frozen=True, slots=True)
class Reported:
    """What a worker wrote into the log of its run when it began: its number, and when, in seconds since 1970."""

    pid: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Alive:
    """The worker lives."""

    process: Process


@dataclass(frozen=True, slots=True)
class Gone:
    """The worker has ended, however it did."""

    pid: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """No worker has written its number yet."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The worker is on another machine, whose processes cannot be seen from here."""

    host: str


Worker = Alive | Gone | Unknown | Elsewhere


def worker_of(tags: Mapping[str, str], run_id: str, reported: Reported | None, processes: Processes) -> Worker:
    """Return what is known of the worker of a run.

    Args:
        tags: the run's; a run that repeats another has the tag of the other's worker until it has its own.
        reported: what the worker wrote into the run's log, if it did.
    """
    server = json.loads(tags.get(GRPC_INFO_TAG, "{}"))
    if not server.get("socket") and server.get("host", _LOOPBACK[0]) not in _LOOPBACK:
        return Elsewhere(server["host"])
    if recorded := _recorded(tags, run_id):
        return Alive(recorded) if recorded.is_same(processes.find(recorded.pid)) else Gone(recorded.pid)
    if reported is None:
        return Unknown()
    found = processes.find(reported.pid)
    # A process that was given the number later began after the worker wrote.
    return Alive(found) if found and found.start_s <= reported.at_s + _CLOCKS_DIFFER_S else Gone(reported.pid)


def tag_of(run_id: str, process: Process) -> dict[str, str]:
    """Return the tag that keeps the worker of a run."""
    return {RUN_WORKER_ID_TAG: json.dumps({"run": run_id, **asdict(process)})}


def _recorded(tags: Mapping[str, str], run_id: str) -> Process | None:
    kept: dict[str, Any] = json.loads(tags.get(RUN_WORKER_ID_TAG, "{}"))
    return Process(**kept) if kept.pop("run", None) == run_id else None


class LocalRunLauncher(DefaultRunLauncher):
    """Launches runs in processes of this machine, knows which of them live, and ends them without their code server."""

    def __init__(self, inst_data: ConfigurableClassData | None = None, processes: Processes | None = None) -> None:
        super().__init__(inst_data)
        self._processes = processes or ProcessesHere()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run, but not to repeat one that was terminated, even if its worker died before it could obey."""
        run = context.dagster_run
        if RETRY_NUMBER_TAG in run.tags and run.parent_run_id and self._was_terminated(run.parent_run_id):
            self._instance.report_run_canceled(run, "Canceled; the run that this one repeats had been terminated.")
        else:
            super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Say RUNNING unless the worker is known to be gone: a run that may go on must not begin a second time."""
        match self._worker(run):
            case Gone(pid):
                return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"its process {pid} is gone")
            case Alive(process):
                return CheckRunHealthResult(WorkerStatus.RUNNING, run_worker_id=str(process.pid))
            case Elsewhere(host):
                return CheckRunHealthResult(WorkerStatus.RUNNING, f"on {host}, which is not asked")
            case _:
                return CheckRunHealthResult(WorkerStatus.RUNNING, "its process has not written its number yet")

    def terminate(self, run_id: str) -> bool:
        """Interrupt the worker of a run; where none lives, the run ends here and now as canceled.

        Returns:
            Whether the run is ending, or has ended by this.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        worker = self._worker(run)
        if isinstance(worker, Elsewhere) or (isinstance(worker, Unknown) and self._is_starting(run_id)):
            return bool(super().terminate(run_id))
        self._instance.report_run_canceling(run)
        if not isinstance(worker, Alive) or not self._processes.interrupt(worker.process):
            gone = f", process {worker.pid}," if isinstance(worker, Gone) else ""
            self._instance.report_run_canceled(run, f"Canceled; the worker of this run{gone} had ended before.")
        return True

    def _worker(self, run: DagsterRun) -> Worker:
        """Look for the worker of a run, and keep what tells it from others as soon as that is seen."""
        recorded = _recorded(run.tags, run.run_id)
        worker = worker_of(run.tags, run.run_id, None if recorded else self._reported(run.run_id), self._processes)
        if isinstance(worker, Alive) and not recorded:
            self._instance.add_run_tags(run.run_id, tag_of(run.run_id, worker.process))
        return worker

    def _reported(self, run_id: str) -> Reported | None:
        events = self._instance.get_records_for_run(run_id, of_type=DagsterEventType.ENGINE_EVENT, ascending=True)
        for record in events.records:
            entry = record.event_log_entry
            pid = entry.dagster_event.engine_event_data.metadata.get("pid") if entry.dagster_event else None
            if pid is not None:
                return Reported(int(str(pid.value)), entry.timestamp)
        return None

    def _was_terminated(self, run_id: str) -> bool:
        asked = self._instance.get_records_for_run(run_id, of_type=DagsterEventType.RUN_CANCELING, limit=1)
        return bool(asked.records)

    def _is_starting(self, run_id: str) -> bool:
        """Ask the code server whether it has the run; one that does not answer has none."""
        client = self._get_grpc_client_for_termination(run_id)
        with suppress(DagsterUserCodeUnreachableError):
            if client:
                answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), _SERVER_ANSWERS_S)
                return bool(deserialize_value(answer, CanCancelExecutionResult).can_cancel)
        return False
