"""The sensors evaluated in turn in this process, and what they request executed, until they find nothing more."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
from rich.console import Console

from assets.arrival import STILL_VALIDATING
from resources import local

RUN_KEY_TAG, SENSOR_TAG = (
    "dagster/run_key",
    "dagster/sensor_name",
)  # the daemon's own, so that neither repeats the other
SENSORS = ("raw_files", "ingested_scans", "ingested_tables", "run_manifests")


@dataclass
class Outcome:
    """What a round of the sensors led to: whether anything was found, and a sentence for each run that failed."""

    found: bool = False
    failures: list[str] = field(default_factory=list)


def run_sensors(instance: dg.DagsterInstance, console: Console) -> Outcome:
    """Evaluate the sensors as long as they find anything and execute what they request.

    A run that fails is told of and passed over: it keeps nothing else back, here or in a later call.
    """
    outcome = Outcome()
    while True:
        again = [_evaluate(name, instance, console, outcome) for name in SENSORS]
        if not any(again):
            return outcome


def _evaluate(name: str, instance: dg.DagsterInstance, console: Console, outcome: Outcome) -> bool:
    """Evaluate a sensor, move its cursor on and execute what it requests; tell whether to evaluate it again."""
    from definitions import defs

    sensor = next(sensor for sensor in defs.sensors or () if sensor.name == name)
    cursor_file = Path(instance.root_directory) / f"{name}.cursor"
    cursor = cursor_file.read_text() if cursor_file.is_file() else None
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=local()) as context:
        found = sensor(context)
    if not isinstance(found, dg.SensorResult):
        return isinstance(found, dg.SkipReason) and (found.skip_message or "").startswith(STILL_VALIDATING)
    outcome.found = outcome.found or bool(found.run_requests)
    for request in found.run_requests or ():
        _execute(sensor, request, instance, console, outcome)
    cursor_file.write_text(found.cursor or "")
    return True


def _execute(
    sensor: dg.SensorDefinition,
    request: dg.RunRequest,
    instance: dg.DagsterInstance,
    console: Console,
    outcome: Outcome,
) -> None:
    from definitions import defs

    job = request.job_name or sensor.job_name
    what = request.partition_key or job
    tags = {RUN_KEY_TAG: str(request.run_key), SENSOR_TAG: sensor.name}
    done = dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS])
    if instance.get_runs_count(done):
        console.print(f"{what}: done before with the same bytes", highlight=False)
        return
    start = time.monotonic()
    run = defs.resolve_job_def(job).execute_in_process(
        run_config={"loggers": {"console": {}}, **request.run_config},
        instance=instance,
        partition_key=request.partition_key,
        tags=tags,
        raise_on_error=False,
    )
    for event in run.get_step_failure_events() if not run.success else ():
        cause = event.step_failure_data.error
        while cause and cause.cause:
            cause = cause.cause
        if cause and cause.cls_name == dg.DagsterExecutionInterruptedError.__name__:
            raise KeyboardInterrupt
        outcome.failures.append(f"{what} stopped at {event.step_key}: {cause.message.strip() if cause else ''}")
        console.print(outcome.failures[-1], style="red", highlight=False)
    if run.success:
        console.print(f"{what}: finished in {time.monotonic() - start:.0f} s", highlight=False)
