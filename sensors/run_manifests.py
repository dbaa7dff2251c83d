"""Every run that ends is written down in the store: what it read, wrote and ran on."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import dagster as dg

from resources import StoreResource
from resources.run_manifests import ENDED, record_run
from smalti.errors import Damaged, Refused
from smalti.runs.circumstances.gathering import Circumstances

_PROJECT = Path(__file__).parents[1]

_TICK_S = 20.0  # Dagster gives a sensor 60 s
_PAGE = 500
_LATE = timedelta(seconds=60)  # a run that ended earlier may be written to Dagster's database so much later


@dg.sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes the manifest of every run that ended, whatever launched it and however it ended; "
    "`smalti runs` shows and finds them.",
)
def run_manifests(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult | dg.SkipReason:
    values, deadline = store.open(), time.monotonic() + _TICK_S
    cursor = datetime.fromisoformat(context.cursor) if context.cursor else None
    ran_on = partial(Circumstances(values).gathered, _PROJECT)
    last = cursor
    for record in _ended(context.instance, cursor - _LATE if cursor else None):
        try:
            record_run(values, context.instance, record, ran_on)
        except (Refused, Damaged) as error:  # it keeps no other run back
            context.log.error(f"the run {record.dagster_run.run_id} cannot be recorded: {error}")
        last = max(last or record.update_timestamp, record.update_timestamp)
        if time.monotonic() > deadline:
            break
    if last == cursor or last is None:
        return dg.SkipReason("no run ended since the last look")
    return dg.SensorResult(cursor=last.isoformat())


def _ended(instance: dg.DagsterInstance, since: datetime | None) -> Iterator[dg.RunRecord]:
    """Yield the runs that ended after a time, in that order."""
    while True:
        wanted = dg.RunsFilter(statuses=ENDED, updated_after=since)
        page = instance.get_run_records(wanted, limit=_PAGE, order_by="update_timestamp", ascending=True)
        yield from page
        if len(page) < _PAGE:
            return
        since = page[-1].update_timestamp
