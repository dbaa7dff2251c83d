"""Laws of the queue that deploy/local/dagster.yaml sets up: one run of a pool at a time, and others beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from dagster_smalti.launcher import LocalRunLauncher

SETTINGS = yaml.safe_load((Path(__file__).parents[3] / "deploy" / "local" / "dagster.yaml").read_text())
QUEUED, STARTING = dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING


@dg.op(pool="compute")
def solve() -> None:
    """Uses every core."""


@dg.op
def look() -> None:
    """Uses little."""


@dg.job
def reconstruct() -> None:
    """Its second step is in the pool."""
    look()
    solve()


@dg.job
def train() -> None:
    """In the pool, too."""
    solve()


@dg.job
def fsck() -> None:
    """In no pool."""
    look()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance with the settings of one machine, whose launcher launches nothing."""
    launcher = {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(SETTINGS | {"run_launcher": launcher}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def queued(instance: dg.DagsterInstance, *jobs: dg.JobDefinition) -> list[str]:
    location = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "jobs")
    origins = [(job, RemoteJobOrigin(location, job.name)) for job in jobs]
    return [
        instance.create_run_for_job(
            job, status=QUEUED, remote_job_origin=origin, job_code_origin=dg.reconstructable(job).get_python_origin()
        ).run_id
        for job, origin in origins
    ]


def dequeue(instance: dg.DagsterInstance) -> None:
    with create_test_daemon_workspace_context(EmptyWorkspaceTarget(), instance) as context:
        list(QueuedRunCoordinatorDaemon(interval_seconds=1).run_iteration(context))


def statuses(instance: dg.DagsterInstance, runs: list[str]) -> list[dg.DagsterRunStatus]:
    return [instance.get_run_by_id(run).status for run in runs]


def test_runs_of_one_pool_follow_one_another_and_hold_up_no_other(instance: dg.DagsterInstance) -> None:
    runs = queued(instance, reconstruct)
    dequeue(instance)
    runs += queued(instance, train, fsck, fsck)
    dequeue(instance)
    assert statuses(instance, runs) == [STARTING, QUEUED, STARTING, STARTING]
    dequeue(instance)
    assert statuses(instance, runs) == [STARTING, QUEUED, STARTING, STARTING]
    instance.report_run_canceled(instance.get_run_by_id(runs[0]))
    dequeue(instance)
    assert statuses(instance, runs)[1:] == [STARTING, STARTING, STARTING]


def test_so_many_runs_at_once_and_no_more(instance: dg.DagsterInstance) -> None:
    most = SETTINGS["concurrency"]["runs"]["max_concurrent_runs"]
    runs = queued(instance, *[fsck] * (most + 1))
    dequeue(instance)
    assert statuses(instance, runs) == [STARTING] * most + [QUEUED]


def test_dagster_takes_every_setting(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(SETTINGS))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.run_launcher, LocalRunLauncher)
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_poll_interval_seconds == 15
        assert instance.run_retries_max_retries == 3
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert not instance.telemetry_enabled
        assert instance.freshness_enabled
