"""Ingesting what arrived, many files in one run: each is read by its contract, stored and recorded by itself.

An op, and not a run of the assets over many partitions: Dagster 1.13 gives all partitions of a run one data version, so
one new scan would make the others look changed; and one scan that fails would keep the rest of its run back.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.storage.tags import PRIORITY_TAG

from assets.arrival import Latest, arrival_tag, latest
from assets.products import exported, ptychodus_product
from assets.raw import RAW
from assets.scans import described, scan
from assets.splits import SplitConfig, counted, scan_split, split_of
from assets.submissions import submission
from assets.tables import described_table, role_tags, roles_of, table, test_of, to_train
from jobs.training import bert_checkpoint
from resources import StoreResource
from resources.names import called
from resources.published import publish_output
from resources.stored_value import put_version
from smalti import Store
from smalti.errors import Refused, Unavailable
from smalti.ingest.admit import Validator, staging_folder, value_of
from smalti.ingest.sandbox import Sandbox

ARRIVAL = "smalti/arrival_of"  # two materializations that one arrival led to share it
_REFERENCE = re.compile(r"([a-z0-9_-]+)/([^/@]+)(?:@(\d+))?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A raw file to ingest.

    Attributes:
        number: of its arrival, where one is meant that only dropped the recorded bytes again.
    """

    kind: str
    key: str
    number: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}/{self.key}" + ("" if self.number is None else f"@{self.number}")

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """Return what ``scan/run7`` or ``scan/run7@12`` means."""
        match = _REFERENCE.fullmatch(text)
        if not match or match[1] not in RAW:
            raise Refused(f"{text} names no raw file; write kind/key, e.g. scan/run7.")
        return cls(match[1], match[2], int(match[3]) if match[3] else None)


class IngestConfig(dg.Config):
    """Attributes:
    arrivals: raw files that have arrived, as kind/key, e.g. scan/run7.
    """

    arrivals: list[str]


@dg.op(
    description="Read each raw file by its contract and store what it holds; split scans.",
    retry_policy=dg.RetryPolicy(max_retries=3, delay=5.0, backoff=dg.Backoff.EXPONENTIAL),
)
def ingest_arrivals(
    context: dg.OpExecutionContext, config: IngestConfig, store: StoreResource
) -> Iterator[dg.AssetMaterialization | dg.Output[None]]:
    values, refused, later = store.open(), list[str](), list[str]()
    try:
        wanted = [Wanted.parse(text) for text in config.arrivals]
    except Refused as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    arrived = {
        kind: latest(context.instance, RAW[kind].key, [of.key for of in wanted if of.kind == kind])
        for kind in {of.kind for of in wanted}
    }
    with Sandbox(staging_folder(values)) as sandbox:
        for number, of in enumerate(wanted, start=1):
            raw = arrived[of.kind].get(of.key)
            if raw is None or of.kind not in _INGEST:
                why = "has arrived; drop its file into data/raw" if raw is None else "is ingested: it stays as it came"
                refused.append(f"{of}: no raw {of.kind} of this key {why}.")
                continue
            try:
                yield from _INGEST[of.kind](context, values, sandbox, of, raw)
                context.log.info(f"{number} of {len(wanted)}: {of}")
            except Refused as error:
                refused.append(f"{of}: {error}")
                context.log.error(refused[-1])
            except Unavailable as error:  # the machine's fault, or so it seems: it keeps no other file back
                later.append(f"{of}: {error}")
                context.log.warning(later[-1])
    yield dg.Output(None)
    if failed := [*refused, *later]:
        told = f"{len(failed)} of {len(wanted)} files failed:\n" + "\n".join(failed)
        raise dg.Failure(told, allow_retries=bool(later))


@dg.job(description="Read raw files by their contracts and store what they hold, many in one run.")
def ingest() -> None:
    ingest_arrivals()


def ingest_request(wanted: Iterable[Wanted], run_key: str) -> dg.RunRequest:
    """Return the request of one run that ingests these files, before any reconstruction that waits in the queue."""
    run_config = {"ops": {ingest_arrivals.name: {"config": {"arrivals": [str(of) for of in wanted]}}}}
    return dg.RunRequest(run_key=run_key, job_name=ingest.name, run_config=run_config, tags={PRIORITY_TAG: "1"})


def wanted_in(run_config: Mapping[str, Any]) -> list[Wanted]:
    """Return the files that a run of ``ingest`` with this configuration is about."""
    config = run_config.get("ops", {}).get(ingest_arrivals.name, {}).get("config", {})
    return [Wanted.parse(text) for text in config.get("arrivals", ())]


def keys_in(requests: Iterable[dg.RunRequest]) -> list[str]:
    """Return the keys of the files that these requests are about."""
    return [of.key for request in requests for of in wanted_in(request.run_config)]


Ingesting = Callable[[dg.OpExecutionContext, Store, Validator, Wanted, Latest], Iterator[dg.AssetMaterialization]]


def _scan(
    context: dg.OpExecutionContext, store: Store, sandbox: Validator, of: Wanted, raw: Latest
) -> Iterator[dg.AssetMaterialization]:
    value = value_of(store, raw.data_version, sandbox, of.key)
    tags = {"dagster/code_version": context.run_id}
    yield _stored(context, store, scan, of.key, value, {RAW["scan"].key: raw}, described(value), tags)
    split = split_of(value, SplitConfig())
    of_scan = {scan.key: latest(context.instance, scan.key, [of.key])[of.key]}
    tags[ARRIVAL] = arrival_tag(raw, of.number)
    yield _stored(context, store, scan_split, of.key, split, of_scan, counted(split), tags)


def _table(
    context: dg.OpExecutionContext, store: Store, sandbox: Validator, of: Wanted, raw: Latest
) -> Iterator[dg.AssetMaterialization]:
    value = value_of(store, raw.data_version, sandbox)
    tags = {"dagster/code_version": context.run_id, ARRIVAL: arrival_tag(raw, of.number)}
    tags |= role_tags(roles_of(store, raw.data_version))
    yield _stored(context, store, table, of.key, value, {RAW["table"].key: raw}, described_table(value), tags)


def _product(
    context: dg.OpExecutionContext, store: Store, sandbox: Validator, of: Wanted, raw: Latest
) -> Iterator[dg.AssetMaterialization]:
    product = value_of(store, raw.data_version, sandbox)
    tags = {"dagster/code_version": context.run_id, ARRIVAL: arrival_tag(raw, of.number)}
    inputs = {RAW["product"].key: raw}
    yield _stored(context, store, ptychodus_product, of.key, product, inputs, exported(product, of.key), tags)


# What is done with a raw file as soon as it has arrived, by kind; a kind that is not here is kept as it came.
_INGEST: dict[str, Ingesting] = {"scan": _scan, "table": _table, "product": _product}
INGESTED = frozenset(_INGEST)


def last_of(instance: dg.DagsterInstance, kind: str, key: str) -> tuple[dg.AssetKey, str]:
    """Return the last asset that follows by itself from a raw file of a kind that is ingested, and its partition."""
    if kind != "table":
        return ptychodus_product.key, key
    trained = to_train(instance, key)
    if trained is None:
        return table.key, key
    return (submission.key if test_of(instance, trained) else bert_checkpoint.key), trained


def _stored(
    context: dg.OpExecutionContext,
    store: Store,
    asset: dg.AssetsDefinition,
    key: str,
    value: Any,
    inputs: Mapping[dg.AssetKey, Latest],
    shown: Mapping[str, Any],
    tags: Mapping[str, str],
) -> dg.AssetMaterialization:
    """Store a value as the IO manager does, and return its materialization with the tags that Dagster itself gives."""
    ref, metadata = put_version(context.log, store, called(asset.key, key), value, context.run_id)
    publish_output(context.log, store, asset.key.to_user_string(), key, ref)
    return dg.AssetMaterialization(
        asset_key=asset.key,
        partition=key,
        metadata={**metadata, **shown},
        tags={
            **tags,
            "dagster/data_version": ref.digest,
            "dagster/data_version_is_user_provided": "true",
            **{f"dagster/input_data_version/{of.to_user_string()}": at.data_version for of, at in inputs.items()},
            **{f"dagster/input_event_pointer/{of.to_user_string()}": str(at.storage_id) for of, at in inputs.items()},
        },
    )
