"""Laws of a hard stop: what ran is repeated without a person, exactly once; an orphan is not run beside itself."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from dagster import DagsterRunStatus
from dagster._core.storage.tags import RUN_WORKER_ID_TAG

from dagster_smalti.processes import ProcessesHere

EVERY_STOP = pytest.mark.skipif("SMALTI_TEST_STOPS" not in os.environ, reason="make test-faults stops in every way")


@pytest.mark.parametrize("stop", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=EVERY_STOP)])
def test_a_run_that_was_stopped_with_everything_is_repeated_once(platform: Any, stop: signal.Signals) -> None:
    platform.want("a")
    with platform.daemon() as daemon:
        platform.wait(lambda: platform.lines("a.begun"))
        os.killpg(daemon.pid, stop)
        daemon.wait()
    platform.let_end("a")
    with platform.daemon():
        platform.wait(lambda: DagsterRunStatus.SUCCESS in platform.statuses("a"))
    assert platform.statuses("a") == [DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS]
    assert platform.lines("a.ended") == ["once"]


@EVERY_STOP
def test_orphans_are_waited_for_or_terminated_but_never_run_twice(platform: Any) -> None:
    for key in "ab":
        platform.want(key)
    with platform.daemon() as daemon:
        platform.wait(lambda: platform.lines("a.begun") and platform.lines("b.child"))
        (worker_a, server), (worker_b, _) = platform.pids("a"), platform.pids("b")
        child = int(platform.lines("b.child")[0])
        for pid in (daemon.pid, server):
            os.kill(pid, signal.SIGKILL)
        daemon.wait()

        (run_b,) = platform.instance.get_runs(platform.of("b"))
        assert platform.instance.run_launcher.terminate(run_b.run_id)
        platform.wait(lambda: not any(map(ProcessesHere().find, (worker_b, child))))

        with platform.daemon():
            (run_a,) = platform.instance.get_runs(platform.of("a"))
            platform.wait(lambda: RUN_WORKER_ID_TAG in platform.instance.get_run_by_id(run_a.run_id).tags)
            assert ProcessesHere().find(worker_a)
            platform.let_end("a")
            platform.wait(lambda: platform.statuses("a") == [DagsterRunStatus.SUCCESS])
            platform.wait(lambda: platform.statuses("b") == [DagsterRunStatus.CANCELED])
    assert platform.lines("a.ended") == ["once"]
    assert [len(platform.lines(f"{key}.begun")) for key in "ab"] == [1, 1]
