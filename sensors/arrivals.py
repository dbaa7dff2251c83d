"""One tick of a sensor of arrivals: validate, record, and ask for a run; the same for a folder and for a bucket.

What was validated is in a ledger beside Dagster's own records, and the cursor is a place in it: of ten thousand names
in a cursor, a megabyte would be written at every tick.
"""

import threading
import time
from pathlib import Path

import dagster as dg

from assets.arrival import STILL_VALIDATING, ledger_path, manifest_of, record, record_gone
from assets.rejected import record_rejected
from resources.run_manifests import has_manifest
from resources.store import begun
from sensors.follow_up import requests
from smalti import open_store
from smalti.contracts.violation import shown
from smalti.errors import Unavailable
from smalti.ingest.ledger import Ledger
from smalti.ingest.quarantine import Quarantine
from smalti.ingest.source import Source
from smalti.ingest.worker import Worker, in_sentences
from smalti.settings import Settings
from smalti.store.commit import alone

TICK_S = 20.0  # Dagster gives a sensor 60 s
_RECORDED_AT_ONCE = 100
_ASKED_AT_ONCE = 1000
_LOOK_EVERY_S = 0.05
_IGNORED_SHOWN = 20

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
            if (last := ledger.latest_of(key)) and last.partition:
                record_gone(context.instance, last)
            ledger.told_gone(source.id, [name])
        _record_rejected(context, ledger)
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
            done = record(instance, ledger, arrivals)
            (batch,) = {arrival.batch for arrival in arrivals}
            new, values = [one for one in done if one.recorded or not one.dropped_again], open_store(store)
            if new and not has_manifest(values, str(batch)):
                values.add_manifest(str(batch), **manifest_of(new))
            ledger.reported(done)
    return len(arrivals)


def _record_rejected(context: dg.SensorEvaluationContext, ledger: Ledger) -> None:
    """Record what waits to be mended; what cannot be told stops no file that arrives."""
    try:
        with alone(ledger.path.with_suffix(".recording")):
            record_rejected(context.instance, Quarantine(Settings().quarantine), ledger)
    except Unavailable as error:
        context.log.warning(f"the rejected files cannot be listed: {error}")


def _asked(
    context: dg.SensorEvaluationContext, ledger: Ledger, worker: Worker, source: Source
) -> dg.SensorResult | dg.SkipReason:
    """Return requests for the runs that what arrived since the cursor asks for."""
    number = _number(context.cursor, ledger)
    arrivals = ledger.reported_after(number, source.id, _ASKED_AT_ONCE)
    if not arrivals:
        if worker.failure:
            raise worker.failure
        if worker.busy:
            return dg.SkipReason(f"{STILL_VALIDATING} in {source.id}")
        later = f"; not validated yet: {in_sentences(worker.postponed)}" if worker.postponed else ""
        return dg.SkipReason(f"nothing new in {source.id}{later}{_ignored(ledger, source)}")
    return dg.SensorResult(
        run_requests=requests(context.instance, ledger.id, arrivals), cursor=f"{ledger.id}:{arrivals[-1].number}"
    )


def _ignored(ledger: Ledger, source: Source) -> str:
    there = ledger.ignored().get(source.id)
    if there is None:
        return ""
    some = [f"{shown(name)} ({why})" for name, why in there.first[:_IGNORED_SHOWN]]
    more = there.count - len(some)
    return f"; ignored: {', '.join(some)}{f' and {more} more' if more else ''}"


def _number(cursor: str | None, ledger: Ledger) -> int:
    """Return the place in the ledger that a cursor means; a cursor of another ledger means its beginning."""
    ledger_id, _, number = (cursor or "").partition(":")
    return int(number) if ledger_id == ledger.id and number.isdecimal() else 0
