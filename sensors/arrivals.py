"""One tick of a sensor of arrivals: validate, record, and ask for a run; the same for a folder and for a bucket.

What was validated is in a ledger beside Dagster's own records, and the cursor is a place in it: of ten thousand names
in a cursor, a megabyte would be written at every tick.
"""

import threading
import time
from pathlib import Path

import dagster as dg

from assets.arrival import STILL_VALIDATING, kind_of, latest, ledger_path, manifest_of, record, record_gone
from assets.raw import RAW
from jobs.ingest import INGESTED, Wanted, ingest, ingest_request, last_of, wanted_in
from resources.run_manifests import has_manifest
from resources.store import begun
from smalti import open_store
from smalti.contracts.violation import shown
from smalti.ingest.ledger import Arrival, Ledger
from smalti.ingest.source import Source
from smalti.ingest.worker import Worker, in_sentences
from smalti.settings import Settings
from smalti.store.commit import alone

TICK_S = 20.0  # Dagster gives a sensor 60 s
_RECORDED_AT_ONCE = 100  # Dagster makes a database for each run, so few and large ones
_ASKED_AT_ONCE = 1000
_INGESTED_IN_ONE_RUN = 100
_LOOK_EVERY_S = 0.05
_IGNORED_SHOWN = 20
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]

_workers: dict[tuple[str, str], Worker] = {}  # validation goes on between ticks
_guard = threading.Lock()


def is_busy(instance: dg.DagsterInstance, source: Source) -> bool:
    """Tell whether something is being validated since an earlier tick."""
    worker = _workers.get((str(ledger_path(instance)), source.id))
    return worker is not None and worker.busy


def evaluate(
    context: dg.SensorEvaluationContext, source: Source, store: str, seconds: float = TICK_S
) -> dg.SensorResult | dg.SkipReason:
    """Validate what arrives and record it for so many seconds; then ask for runs that ingest what was accepted.

    A file that takes longer goes on being validated, and a later tick records it.

    Raises:
        NotFound: there is no store, where there must have been one.
    """
    end = time.monotonic() + seconds
    begun(store, context.instance)
    path = ledger_path(context.instance)
    worker = _worker(path, source, store)
    worker.start(seconds)
    ledger = Ledger(path)
    try:
        while True:
            busy, over = worker.busy, time.monotonic() > end  # asked before: what was validated last is recorded, too
            if busy and not over and ledger.unreported(source.id) < _RECORDED_AT_ONCE:
                worker.wait(_LOOK_EVERY_S)
                continue
            recorded = _record(context.instance, ledger, source, store)
            if over or not (busy or recorded):
                break
        for name, key in ledger.gone(source.id, _RECORDED_AT_ONCE):
            context.log.warning(f"{key}: the file is gone from {source.id}; what was stored of it stays")
            if last := ledger.latest_of(key):
                record_gone(context.instance, kind_of(last), key, name)
            ledger.told_gone(source.id, [name])
        if worker.postponed:
            context.log.warning(f"not validated yet: {in_sentences(worker.postponed)}")
        return _asked(context, ledger, worker, source)
    finally:
        ledger.close()


def _worker(path: Path, source: Source, store: str) -> Worker:
    settings = Settings()
    with _guard:
        key = (str(path), source.id)
        if key not in _workers or not _workers[key].busy:
            _workers[key] = Worker(source, path, store, settings.quarantine, settings.raw)
        return _workers[key]


def _record(instance: dg.DagsterInstance, ledger: Ledger, source: Source, store: str) -> int:
    """Record the next validations; two processes take turns, and what one left unfinished the other finishes."""
    with alone(ledger.path.with_suffix(".recording")):
        arrivals = ledger.claim(source.id, _RECORDED_AT_ONCE)
        if arrivals:
            record(instance, arrivals)
            (run,) = {arrival.run for arrival in arrivals}
            values = open_store(store)
            if not has_manifest(values, str(run)):
                values.add_manifest(str(run), **manifest_of(arrivals))
            ledger.reported(arrivals)
    return len(arrivals)


def _asked(
    context: dg.SensorEvaluationContext, ledger: Ledger, worker: Worker, source: Source
) -> dg.SensorResult | dg.SkipReason:
    """Return requests for runs that ingest what was accepted since the cursor and is not ingested already."""
    number = _number(context.cursor, ledger)
    arrivals = ledger.reported_after(number, source.id, _ASKED_AT_ONCE)
    if not arrivals:
        if worker.failure:
            raise worker.failure
        if worker.busy:
            return dg.SkipReason(f"{STILL_VALIDATING} in {source.id}")
        later = f"; not validated yet: {in_sentences(worker.postponed)}" if worker.postponed else ""
        return dg.SkipReason(f"nothing new in {source.id}{later}{_ignored(worker)}")
    accepted = [arrival for arrival in arrivals if arrival.accepted and kind_of(arrival).name in INGESTED]
    new = {arrival.key for arrival in accepted if _is_new(arrival)}
    wanted = [
        arrival
        for arrival in accepted
        if _is_new(arrival)
        or (
            new.isdisjoint((arrival.key, arrival.report.get("same_bytes_as")))
            and _is_wanted_again(context.instance, ledger, source, arrival)
        )
    ]
    batches = [wanted[i : i + _INGESTED_IN_ONE_RUN] for i in range(0, len(wanted), _INGESTED_IN_ONE_RUN)]
    return dg.SensorResult(
        run_requests=[ingest_request(_references(batch), f"{ledger.id}:{batch[-1].number}") for batch in batches],
        cursor=f"{ledger.id}:{arrivals[-1].number}",
    )


def _references(batch: list[Arrival]) -> list[Wanted]:
    """Return each file once, with the number of its last arrival where that dropped recorded bytes again."""
    last = {(kind_of(arrival).name, arrival.key): arrival for arrival in batch}
    return [
        Wanted(kind, key, arrival.number if arrival.report.get("dropped_again") else None)
        for (kind, key), arrival in last.items()
    ]


def _is_new(arrival: Arrival) -> bool:
    """Tell whether a file has bytes that had not arrived before: it is always ingested."""
    return not arrival.report.get("dropped_again") and not arrival.report.get("same_bytes_as")


def _is_wanted_again(instance: dg.DagsterInstance, ledger: Ledger, source: Source, arrival: Arrival) -> bool:
    """Tell whether a file that was dropped again, or has the bytes of another, is to be ingested.

    Only where what follows from it was not made and is not being made: an earlier ingest failed, or the other file is
    gone, as after ``mv``.
    """
    kind, twin = kind_of(arrival).name, arrival.report.get("same_bytes_as")
    if _is_pending(instance, kind, arrival.key) or _is_finished(instance, kind, arrival.key):
        return False
    first = ledger.latest_of(twin) if twin else None
    if first is None or not ledger.is_there(source.id, first.name):
        return True
    return not (_is_pending(instance, kind, first.key) or _is_finished(instance, kind, first.key))


def _is_finished(instance: dg.DagsterInstance, kind: str, key: str) -> bool:
    """Tell whether the last asset that follows from a raw file was made since the file arrived."""
    asset, partition = last_of(instance, kind, key)
    raw, last = latest(instance, RAW[kind].key, [key]), latest(instance, asset, [partition])
    return key in raw and partition in last and last[partition].storage_id > raw[key].storage_id


def _is_pending(instance: dg.DagsterInstance, kind: str, key: str) -> bool:
    """Tell whether a run that waits or goes on is about this file."""
    _, partition = last_of(instance, kind, key)
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        if run.job_name == ingest.name:
            if any((of.kind, of.key) == (kind, key) for of in wanted_in(run.run_config)):
                return True
        elif run.tags.get("dagster/partition") == partition:
            return True
    return False


def _ignored(worker: Worker) -> str:
    some = [f"{shown(name)} ({why})" for name, why in sorted(worker.ignored.items())[:_IGNORED_SHOWN]]
    more = len(worker.ignored) - len(some)
    return f"; ignored: {', '.join(some)}{f' and {more} more' if more else ''}" if some else ""


def _number(cursor: str | None, ledger: Ledger) -> int:
    """Return the place in the ledger that a cursor means; a cursor of another ledger means its beginning."""
    ledger_id, _, number = (cursor or "").partition(":")
    return int(number) if ledger_id == ledger.id and number.isdecimal() else 0
