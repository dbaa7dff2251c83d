"""What is asked for because of files that arrived: new ones are ingested, and what failed is tried again."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import dagster as dg

from assets.arrival import Latest, first_equal, kind_of, latest
from assets.partitions import PARTITIONS, TRAINING_TABLES
from assets.products import ptychodus_product
from assets.raw import RAW
from assets.reconstructions import reconstruction
from assets.submissions import submission
from assets.tables import test_of, to_train
from jobs import ingest, reconstruct, train_on_table
from jobs.ingest import INGESTED, Wanted, ingest_request, ingested_as, wanted_in
from jobs.training import BERT_CHECKPOINT
from smalti.ingest.kinds import kind_named
from smalti.ingest.ledger import Arrival
from smalti.scans.missing import is_reconstructed

_INGESTED_IN_ONE_RUN = 100
_FOLLOWED_WITHIN_S = 120.0  # what was ingested is noticed by its own sensor at its next tick
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


@dataclass(frozen=True, slots=True)
class Last:
    """The last asset that follows by itself from a raw file, its partition, and the job that makes it."""

    asset: dg.AssetKey
    partition: str
    job: str


def requests(instance: dg.DagsterInstance, ledger_id: str, arrivals: Sequence[Arrival]) -> list[dg.RunRequest]:
    """Return the runs that arrivals ask for, each with a key of its own, so that Dagster starts none of them twice.

    What was recorded as a new version is ingested. A file that was dropped again, or has the bytes of another, asks
    for what did not come of them: for what follows where they were ingested already, else for that.
    """
    of_use = [arrival for arrival in arrivals if arrival.partition and kind_of(arrival).name in INGESTED]
    ingested = {_wanted(arrival): arrival.number for arrival in of_use if arrival.recorded}
    again = {of: arrival for arrival in of_use if (of := _wanted(arrival)) not in ingested}
    going_on, others = _GoingOn(instance), list[dg.RunRequest]()
    for of, arrival in again.items():
        job = _missing(instance, going_on, of, missing=arrival.report.get("missing"))
        if job == ingest.name:
            ingested[of] = arrival.number
        elif job:
            partition = _partition(instance, of)
            run_key = f"{ledger_id}:{arrival.number}:{job}"
            others.append(dg.RunRequest(run_key=run_key, job_name=job, partition_key=partition))
    return [*_batches(ingested, ledger_id), *others]


def _partition(instance: dg.DagsterInstance, of: Wanted) -> str | None:
    """Return the partition of the job that follows from a file; that of a training table is there then."""
    if of.kind != "table":
        return of.key
    if trained := to_train(instance, of.key):
        instance.add_dynamic_partitions(str(TRAINING_TABLES.name), [trained])
    return trained


def _wanted(arrival: Arrival) -> Wanted:
    return Wanted(kind_of(arrival).name, str(arrival.partition))


def _batches(numbers: dict[Wanted, int], ledger_id: str) -> Iterator[dg.RunRequest]:
    """Yield requests to ingest files, many in one run; the run's key is the number of its last arrival."""
    files = sorted(numbers, key=lambda of: numbers[of])
    for start in range(0, len(files), _INGESTED_IN_ONE_RUN):
        batch = files[start : start + _INGESTED_IN_ONE_RUN]
        yield ingest_request(batch, f"{ledger_id}:{numbers[batch[-1]]}")


def _missing(instance: dg.DagsterInstance, going_on: "_GoingOn", of: Wanted, *, missing: str | None) -> str | None:
    """Return the name of the job that makes what did not come of a file yet; None where nothing is missing.

    What goes on, or will because the file was ingested a moment ago, is not missing.
    """
    raw = latest(instance, RAW[of.kind].key, [of.key]).get(of.key)
    asset = ingested_as(of.kind).key
    value = latest(instance, asset, [of.key]).get(of.key)
    partitions = str(PARTITIONS[kind_named(of.kind).partitions].name)
    if of in going_on.ingested or raw is None or not instance.has_dynamic_partition(partitions, of.key):
        return None  # Dagster ends the whole tick where a run is asked for of a partition that was deleted
    if (
        value is None
        or value.tags.get(f"dagster/input_data_version/{RAW[of.kind].key.to_user_string()}") != raw.data_version
    ):
        return ingest.name
    last = _last_of(instance, of, missing)
    if last is None or last.partition in going_on.partitions:
        return None
    made = latest(instance, last.asset, [last.partition]).get(last.partition)
    if made and made.storage_id > first_equal(instance, asset, of.key):
        return None
    return None if _is_to_be_noticed(instance, value, last.partition) else last.job


def _last_of(instance: dg.DagsterInstance, of: Wanted, missing: str | None) -> Last | None:
    """Return what comes last of a file by itself; None where that is what it was ingested as."""
    if of.kind == "scan":
        last = reconstruction.key if missing else ptychodus_product.key
        return Last(last, of.key, reconstruct.name) if is_reconstructed(missing) else None
    trained = to_train(instance, of.key) if of.kind == "table" else None
    if trained is None:
        return None
    asset = submission.key if test_of(instance, trained) else BERT_CHECKPOINT.key
    return Last(asset, trained, train_on_table.name)


def _is_to_be_noticed(instance: dg.DagsterInstance, value: Latest, partition: str) -> bool:
    """Tell whether something was ingested a moment ago and no run that follows from it was launched yet."""
    if time.time() - value.timestamp > _FOLLOWED_WITHIN_S:
        return False
    since = dg.RunsFilter(
        tags={"dagster/partition": partition}, created_after=datetime.fromtimestamp(value.timestamp, UTC)
    )
    return instance.get_runs_count(since) == 0


class _GoingOn:
    """What runs that wait or go on are about, looked up once, when it is first asked for."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    @cached_property
    def _runs(self) -> Sequence[dg.DagsterRun]:
        return self._instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))

    @cached_property
    def ingested(self) -> set[Wanted]:
        """The files that are being ingested."""
        return {of for run in self._runs if run.job_name == ingest.name for of in wanted_in(run.run_config)}

    @cached_property
    def partitions(self) -> set[str]:
        """The partitions that other runs are about."""
        tags = [run.tags for run in self._runs if run.job_name != ingest.name]
        return {of["dagster/partition"] for of in tags if "dagster/partition" in of}
