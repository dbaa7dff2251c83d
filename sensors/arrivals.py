"""One tick of a sensor of arrivals: judge, record, and ask for a run; the same for a folder and for a bucket.

What was judged is in a ledger beside Dagster's own records, and the cursor is a place in it: of ten thousand names in a
cursor, a megabyte would be written at every tick.
"""

import threading
import time
from pathlib import Path

import dagster as dg

from assets.arrival import record, record_gone
from jobs.ingest import ingest_request
from smalti.ingest.ledger import Ledger
from smalti.ingest.source import Source
from smalti.ingest.worker import Judging, said
from smalti.settings import Settings
from smalti.store.commit import alone

TICK_S = 20.0  # Dagster gives a sensor 60 s
_RECORDED_AT_ONCE = 50
_ASKED_AT_ONCE = 1000
_INGESTED_IN_ONE_RUN = 100
_LOOK_EVERY_S = 0.05

_at_work: dict[tuple[str, str], Judging] = {}  # judging goes on between ticks
_guard = threading.Lock()


def ledger_path(instance: dg.DagsterInstance) -> Path:
    """Return where the ledger lies: with the records it must agree with, so that both are lost or kept together."""
    return Path(instance.root_directory) / "arrivals.sqlite"


def is_judging(instance: dg.DagsterInstance, source: Source) -> bool:
    """Tell whether something is being judged since an earlier tick."""
    judging = _at_work.get((str(ledger_path(instance)), source.id))
    return judging is not None and judging.busy


def evaluate(
    context: dg.SensorEvaluationContext, source: Source, store: str, seconds: float = TICK_S
) -> dg.SensorResult | dg.SkipReason:
    """Judge what arrives and record it for so many seconds; then ask for runs that ingest what was accepted.

    A file that takes longer goes on being judged, and a later tick records it.
    """
    end = time.monotonic() + seconds
    path = ledger_path(context.instance)
    judging = _judging(path, source, store)
    judging.start(seconds)
    ledger = Ledger(path)
    try:
        while True:
            busy = judging.busy  # asked before: what was judged last must be recorded, too
            recorded = _record(context.instance, ledger, source)
            if time.monotonic() > end or not (busy or recorded):
                break
            if not recorded:
                judging.wait(_LOOK_EVERY_S)
        for name, key in ledger.gone(source.id, _RECORDED_AT_ONCE):
            context.log.warning(f"{key}: the file is gone from {source.id}; what was stored of it stays")
            record_gone(context.instance, key, name)
            ledger.told_gone(source.id, [name])
        if judging.postponed:
            context.log.warning(f"not judged yet: {said(judging.postponed)}")
        return _asked(context, ledger, judging, source)
    finally:
        ledger.close()


def _judging(path: Path, source: Source, store: str) -> Judging:
    settings = Settings()
    with _guard:
        key = (str(path), source.id)
        if key not in _at_work or not _at_work[key].busy:
            _at_work[key] = Judging(source, path, store, settings.quarantine, settings.raw)
        return _at_work[key]


def _record(instance: dg.DagsterInstance, ledger: Ledger, source: Source) -> int:
    """Record the next judgements; two processes take turns, and what one left unfinished the other finishes."""
    with alone(ledger.path.with_suffix(".recording")):
        arrivals = ledger.claim(source.id, _RECORDED_AT_ONCE)
        if arrivals:
            record(instance, arrivals)
            ledger.reported(arrivals)
    return len(arrivals)


def _asked(
    context: dg.SensorEvaluationContext, ledger: Ledger, judging: Judging, source: Source
) -> dg.SensorResult | dg.SkipReason:
    """Return requests for runs that ingest what was accepted since the cursor, but not a twin with equal bytes."""
    number = _number(context.cursor, ledger)
    accepted = ledger.accepted_after(number, source.id, _ASKED_AT_ONCE)
    full = len(accepted) == _ASKED_AT_ONCE
    upto = accepted[-1].number if full else ledger.last_reported(source.id)
    if upto <= number:
        if judging.failure:
            raise judging.failure
        if judging.busy:
            return dg.SkipReason(f"still judging in {source.id}")
        later = f"; not judged yet: {said(judging.postponed)}" if judging.postponed else ""
        return dg.SkipReason(f"nothing new in {source.id}{later}")
    new = [arrival for arrival in accepted if "same_bytes_as" not in arrival.verdict]
    batches = [new[i : i + _INGESTED_IN_ONE_RUN] for i in range(0, len(new), _INGESTED_IN_ONE_RUN)]
    return dg.SensorResult(
        run_requests=[
            ingest_request([*dict.fromkeys(arrival.key for arrival in batch)], f"{ledger.id}:{batch[-1].number}")
            for batch in batches
        ],
        cursor=f"{ledger.id}:{upto}",
    )


def _number(cursor: str | None, ledger: Ledger) -> int:
    """Return the place in the ledger that a cursor means; a cursor of another ledger means its beginning."""
    ledger_id, _, number = (cursor or "").partition(":")
    return int(number) if ledger_id == ledger.id and number.isdecimal() else 0
