"""A run launcher for one machine that knows whether the process of a run still lives.

Dagster's default launcher cannot tell, so after a hard stop a run stays STARTED, holds its place in the queue, and
terminating it hangs (dagster#4319). With this one, run monitoring ends the record of a run whose process is gone, and
run retries start it again.
"""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from dagster import DagsterEventType, DagsterInstance, DagsterRun
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._serdes import ConfigurableClassData

from dagster_smalti.processes import started_at

_SLACK_S = 2.0  # how exactly the system says when a process started
_ANSWERS_WITHIN_S = 3


@dataclass(frozen=True, slots=True)
class Worker:
    """The process that executes a run, as the run's own events tell.

    Attributes:
        pid: its process id.
        seen_at: when it recorded the start of the run, in seconds since the epoch.
    """

    pid: int
    seen_at: float

    def is_alive(self, process_started_at: float | None) -> bool:
        """Tell whether the process that has this id now, and started then, is this worker.

        Another process can have got the id only after the worker ended, so it started after the worker was seen.
        """
        return process_started_at is not None and process_started_at <= self.seen_at + _SLACK_S


class LocalRunLauncher(DefaultRunLauncher):
    """Launches each run as a process of the code server, as the default launcher does, and checks that it lives.

    A worker whose code server is gone goes on by itself; its run counts as running and is not started again.
    """

    def __init__(
        self,
        inst_data: ConfigurableClassData | None = None,
        started_at: Callable[[int], float | None] = started_at,
    ) -> None:
        super().__init__(inst_data)
        self._started_at = started_at

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """Return the launcher that ``dagster.yaml`` names; it has no options."""
        return cls(inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring may ask: yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run that was started still lives."""
        worker = worker_of(self._instance, run.run_id)
        if worker is None:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the run recorded no process that executes it")
        if worker.is_alive(self._started_at(worker.pid)):
            return CheckRunHealthResult(WorkerStatus.RUNNING, run_worker_id=str(worker.pid))
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"its process {worker.pid} is gone")

    def terminate(self, run_id: str) -> bool:
        """End a run: through its code server, else by a signal to its process; the record alone where that is gone."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if self._server_has(run_id):
            return bool(super().terminate(run_id))
        self._instance.report_run_canceling(run)
        worker = worker_of(self._instance, run_id)
        if worker is None or not worker.is_alive(self._started_at(worker.pid)):
            self._instance.report_run_canceled(run, "The process of the run was gone already.")
            return True
        os.kill(worker.pid, signal.SIGINT)  # what the code server's own thread in the worker would do
        return True

    def _server_has(self, run_id: str) -> bool:
        """Tell whether the code server that launched a run answers and still executes it."""
        from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
        from dagster._serdes import deserialize_value

        client = self._get_grpc_client_for_termination(run_id)
        if client is None:
            return False
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=_ANSWERS_WITHIN_S)
        except Exception:  # whatever gRPC raises where nobody listens
            return False
        return deserialize_value(answer, CanCancelExecutionResult).can_cancel


def worker_of(instance: DagsterInstance, run_id: str) -> Worker | None:
    """Return the process that started to execute a run last; None where none has."""
    found = instance.get_records_for_run(run_id, of_type=DagsterEventType.RUN_START, limit=1, ascending=False).records
    event = found[0].event_log_entry.dagster_event if found else None
    return Worker(event.pid, found[0].event_log_entry.timestamp) if event and event.pid else None
