"""Every run that failed for good is told in one sentence, what and where and why: on its asset, and to people."""

import re
import shlex
import subprocess
import time
from collections.abc import Collection, Iterator

import dagster as dg
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.stats import StepEventStatus
from dagster._core.storage.tags import RETRY_NUMBER_TAG, WILL_RETRY_TAG
from dagster_shared.error import SerializableErrorInfo

from smalti.settings import Settings

_SHOWN = 400  # characters of a cause
_NOTIFYING_S = 20  # Dagster gives a sensor 60 s
_DECIDING_S = 5.0
_GONE = re.compile(
    r"Detected run worker status \w+: '(.*?)'"
)  # in these words run monitoring and the code server speak
_ENDED = "Run execution process"
_SAYS_NOTHING = "marked as failed from outside"
_INTERRUPTED = "DagsterExecutionInterruptedError"


@dg.run_failure_sensor(
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Says in one sentence which run failed, where and why: in the log of its tick, among the events of the "
    "asset that was not made, and to the command that SMALTI_ON_FAILURE names. A run that is repeated by itself is "
    "not told of, only the last attempt.",
)
def failures(context: dg.RunFailureSensorContext) -> None:
    run = _decided(context.instance, context.dagster_run)
    if run.tags.get(WILL_RETRY_TAG) == "true":
        return
    steps = _steps(context.instance, run.run_id)
    text = sentence(run, sorted(steps), _cause(context))
    context.log.error(text)
    for asset, partition in _not_made(context.instance, run.run_id, steps):
        told = dg.AssetObservation(asset, text, {"run": dg.MetadataValue.dagster_run(run.run_id)}, partition)
        context.instance.report_runless_asset_event(told)
    if (command := Settings().on_failure) and (problem := notify(command, text)):
        context.log.error(problem)


def sentence(run: dg.DagsterRun, steps: list[str], cause: str) -> str:
    """Return what failed, of which partition, in which steps, how often it was tried, which run it was, and why."""
    what = run.job_name
    if what.startswith("__"):  # Dagster's own job of whatever assets a person selected
        what = f"making {', '.join(sorted(key.to_user_string() for key in run.asset_selection or ()))}"
    start, end = (run.tags.get(f"dagster/asset_partition_range_{edge}") for edge in ("start", "end"))
    partition = run.tags.get("dagster/partition") or (f"{start} to {end}" if start else "")
    attempts = int(run.tags.get(RETRY_NUMBER_TAG, 0)) + 1
    of = f" of {partition}" if partition else ""
    where = f" in {', '.join(steps)}" if steps else ""
    after = f" after {attempts} attempts" if attempts > 1 else ""
    return f"{what}{of} failed{where}{after} (run {run.run_id[:8]}): {_short(cause)}"


def root_cause(error: SerializableErrorInfo) -> str:
    """Return the message that says most: the first sentence of ours in the chain of causes, else the last."""
    chain = [error]
    while chain[-1].cause:
        chain.append(chain[-1].cause)
    ours = next((link for link in chain if link.message.startswith("smalti.")), None)
    return ours.message.partition(": ")[2] if ours else chain[-1].message


def notify(command: str, text: str) -> str:
    """Give a text to a command on its standard input; return what went wrong, or nothing.

    Args:
        command: a program and its arguments, in the quoting of a shell; no shell sees it.
    """
    try:
        done = subprocess.run(
            shlex.split(command),
            input=text + "\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_NOTIFYING_S,
            check=False,
        )
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        return f"the command in SMALTI_ON_FAILURE told nobody: {error}"
    if done.returncode == 0:
        return ""
    said = _short(done.stdout) or "nothing"
    return f"the command in SMALTI_ON_FAILURE ended with status {done.returncode} and said: {said}" * bool(
        done.returncode
    )


def _decided(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    """Return the run once it says whether it is repeated: Dagster decides a moment after it wrote the failure."""
    deadline = time.monotonic() + _DECIDING_S
    while instance.run_retries_enabled and WILL_RETRY_TAG not in run.tags and time.monotonic() < deadline:
        time.sleep(0.2)
        run = instance.get_run_by_id(run.run_id) or run
    return run


def _steps(instance: dg.DagsterInstance, run_id: str) -> set[str]:
    """Return the steps that failed; where none says so, those that were going on when the worker died."""
    ended = {step.step_key: step.status for step in instance.get_run_step_stats(run_id)}
    failed = {step for step, status in ended.items() if status == StepEventStatus.FAILURE}
    return failed or {step for step, status in ended.items() if status == StepEventStatus.IN_PROGRESS}


def _cause(context: dg.RunFailureSensorContext) -> str:
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return data.user_failure_data.description
        if data.error and data.error.cls_name != _INTERRUPTED:
            return root_cause(data.error)
    said = context.failure_event.message or ""
    if gone := _GONE.match(said):
        return gone[1]
    if _SAYS_NOTHING not in said:
        return said
    return next(_of_the_engine(context.instance, context.dagster_run.run_id), said)


def _of_the_engine(instance: dg.DagsterInstance, run_id: str) -> Iterator[str]:
    """Yield why the run could not be launched, or how its process ended, without the advice that follows."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT, ascending=False)
    for record in records.records:
        if event := record.event_log_entry.dagster_event:
            if error := event.engine_event_data.error:
                yield root_cause(error)
            elif (event.message or "").startswith(_ENDED):
                yield (event.message or "").partition(". ")[0].replace(f" for {run_id}", "")


def _not_made(
    instance: dg.DagsterInstance, run_id: str, steps: Collection[str]
) -> Iterator[tuple[dg.AssetKey, str | None]]:
    """Yield every asset, with its partition, that those steps were to make."""
    of_type = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    for record in instance.get_records_for_run(run_id, of_type=of_type).records:
        entry: EventLogEntry = record.event_log_entry
        if entry.dagster_event and entry.step_key in steps:
            planned = entry.dagster_event.asset_materialization_planned_data
            yield planned.asset_key, planned.partition


def _short(text: str) -> str:
    """Return a text on one line, cut where it is long."""
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
