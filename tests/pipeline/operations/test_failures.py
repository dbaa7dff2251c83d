"""Laws of what is told of a failed run: one sentence, only when nothing repeats the run, to everybody who looks."""

import re
import sys
import threading
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType, EngineEventData
from dagster._core.storage.tags import RETRY_NUMBER_TAG, WILL_RETRY_TAG
from dagster_shared.error import SerializableErrorInfo
from hypothesis import given
from hypothesis import strategies as st

from sensors.failures import failures, notify, root_cause, sentence
from smalti.errors import Refused

ECHO = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["siemens"]))
def product() -> None:
    """Fails as a step of ours does."""
    try:
        raise KeyError("probe")
    except KeyError as error:
        raise Refused("the scan has no probe;\nadd one.") from error


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file into which the command of SMALTI_ON_FAILURE writes what it is given."""
    file = tmp_path / "a file; with $(everything)"
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    monkeypatch.setenv("SMALTI_ON_FAILURE", f'"{sys.executable}" -c "{ECHO}" "{tmp_path}/a file; with $(everything)"')
    return file


def a_failed_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    result = dg.materialize([product], partition_key="siemens", instance=instance, raise_on_error=False)
    return instance.get_run_by_id(result.run_id)


def tick(instance: dg.DagsterInstance, run: dg.DagsterRun, message: str = "Steps failed.") -> None:
    event = DagsterEvent(DagsterEventType.RUN_FAILURE.value, run.job_name, message=message)
    context = dg.build_run_status_sensor_context("failures", event, instance, run)
    failures(context.for_run_failure())


def observations(instance: dg.DagsterInstance) -> list[tuple[str | None, str | None]]:
    records = instance.fetch_observations(product.key, limit=9).records
    return [(record.partition_key, record.asset_observation.description) for record in records]


def test_the_asset_and_people_are_told_what_where_and_why_without_a_stack(told: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = a_failed_run(instance)
        tick(instance, run)
        expected = f"of siemens failed in product (run {run.run_id[:8]}): the scan has no probe; add one."
        assert told.read_text().endswith(f"{expected}\n")
        ((partition, description),) = observations(instance)
        assert partition == "siemens"
        assert description.endswith(expected)


def test_the_sensor_tells_every_run_that_fails_once(told: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:

        def ticked(cursor: str | None) -> tuple[str | None, int]:
            with dg.build_sensor_context(instance, cursor) as context:
                tick = failures.evaluate_tick(context)
            return tick.cursor, len(tick.dagster_run_reactions)

        cursor, reactions = ticked(None)
        assert reactions == 0
        run = a_failed_run(instance)
        cursor, reactions = ticked(cursor)
        assert reactions == 1
        assert f"(run {run.run_id[:8]})" in told.read_text()
        assert ticked(cursor)[1] == 0


@pytest.mark.parametrize(("will_retry", "is_told"), [("true", False), ("false", True)])
def test_only_the_last_attempt_is_told(told: Path, will_retry: str, is_told: bool) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = a_failed_run(instance)
        instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: will_retry, RETRY_NUMBER_TAG: "3"})
        tick(instance, instance.get_run_by_id(run.run_id))
        assert told.exists() == is_told
        assert [("after 4 attempts" in description) for _, description in observations(instance)] == [True] * is_told


def test_a_run_whose_repetition_is_decided_a_moment_later_is_not_told(told: Path, tmp_path: Path) -> None:
    with dg.instance_for_test(
        temp_dir=str(tmp_path), overrides={"run_retries": {"enabled": True, "max_retries": 1}}
    ) as instance:
        run = instance.create_run_for_job(dg.GraphDefinition("export").to_job())
        deciding = threading.Timer(0.3, instance.add_run_tags, (run.run_id, {WILL_RETRY_TAG: "true"}))
        deciding.start()
        tick(instance, run)
        deciding.join()
        assert not told.exists()


OUTSIDE = "This run has been marked as failed from outside the execution context."
DIED = "Run execution process for {run} was terminated by signal 9 (SIGKILL). This usually indicates much."
GONE = "Detected run worker status NOT_FOUND: 'its process 4711 is gone'. Marking run {run} as failed."


@pytest.mark.parametrize(
    ("message", "of_the_engine", "cause"),
    [
        (OUTSIDE, DIED, "Run execution process was terminated by signal 9 (SIGKILL)"),
        (OUTSIDE, "Launching.", OUTSIDE),
        (GONE, "Launching.", "its process 4711 is gone"),
    ],
)
def test_a_worker_that_died_is_told_with_how_it_ended(told: Path, message: str, of_the_engine: str, cause: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(dg.GraphDefinition("export").to_job())
        instance.report_engine_event(of_the_engine.format(run=run.run_id), run, EngineEventData())
        instance.report_engine_event("Said later.", run, EngineEventData())
        tick(instance, run, message.format(run=run.run_id))
        assert told.read_text() == f"export failed (run {run.run_id[:8]}): {cause}\n"


@given(
    st.lists(st.sampled_from(["KeyError: 'x'", "smalti.errors.Damaged: a leaf is damaged.", "OSError: 5"]), min_size=1)
)
def test_the_cause_is_our_first_sentence_or_else_the_last_error(messages: list[str]) -> None:
    error = None
    for message in reversed(messages):
        error = SerializableErrorInfo(message, [], None, cause=error)
    ours = any(message.startswith("smalti.") for message in messages)
    assert root_cause(error) == ("a leaf is damaged." if ours else messages[-1])


def test_a_run_over_a_range_of_partitions_names_both_ends() -> None:
    tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "f"}
    run = dg.DagsterRun("ingest", "0123456789", tags=tags)
    assert sentence(run, ["scan", "table"], "no.") == "ingest of a to f failed in scan, table (run 01234567): no."


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("/nowhere/mail", "told nobody: .*/nowhere/mail"),
        ('"unclosed', "told nobody: No closing quotation"),
        ('""', "told nobody: "),
        ("", "told nobody: "),
        (f'"{sys.executable}" -c "import sys; sys.exit(\'no server\')"', "ended with status 1 and said: no server$"),
    ],
)
def test_a_command_that_does_not_work_is_said_and_stops_nothing(command: str, problem: str) -> None:
    assert re.search(problem, notify(command, "a run failed"))
