"""Ingesting many scans in one run: each is read by its contract, split, stored and recorded by itself.

An op, and not a run of the assets over many partitions: Dagster 1.13 gives all partitions of a run one data version, so
one new scan would make the others look changed; and one scan that fails would keep the rest of its run back.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.storage.tags import PRIORITY_TAG

from assets.arrival import Latest, arrival_tag, latest
from assets.raw import raw_scan
from assets.scans import described, scan
from assets.splits import SplitConfig, counted, scan_split, split_of
from resources import StoreResource
from resources.io_manager import value_metadata
from smalti import Store
from smalti.errors import Refused
from smalti.ingest.admit import scan_of

ARRIVAL = "smalti/arrival_of"  # two materializations that one arrival led to share it


class IngestConfig(dg.Config):
    """Attributes:
    scans: partition keys of raw scans that have arrived.
    """

    scans: list[str]


@dg.op(
    description="Read each raw scan by its contract and split it.",
    retry_policy=dg.RetryPolicy(max_retries=3, delay=5.0, backoff=dg.Backoff.EXPONENTIAL),
)
def ingest_scans(
    context: dg.OpExecutionContext, config: IngestConfig, store: StoreResource
) -> Iterator[dg.AssetMaterialization | dg.Output[None]]:
    values, arrived = store.open(), latest(context.instance, raw_scan.key, config.scans)
    refused = []
    for number, key in enumerate(config.scans, start=1):
        if key not in arrived:
            refused.append(f"{key}: no raw scan of this key has arrived; drop its file into data/raw.")
            continue
        try:
            yield from _ingested(context, values, key, arrived[key])
            context.log.info(f"{number} of {len(config.scans)}: {key}")
        except Refused as error:  # the scan's fault; where it is the machine's, all is tried again
            refused.append(f"{key}: {error}")
            context.log.error(refused[-1])
    yield dg.Output(None)
    if refused:
        told = f"{len(refused)} of {len(config.scans)} scans failed:\n" + "\n".join(refused)
        raise dg.Failure(told, allow_retries=False)


@dg.job(description="Read raw scans by their contract and split them, many in one run.")
def ingest() -> None:
    ingest_scans()


def ingest_request(scans: list[str], run_key: str) -> dg.RunRequest:
    """Return the request of one run that ingests these scans, before any reconstruction that waits in the queue."""
    run_config = {"ops": {ingest_scans.name: {"config": {"scans": scans}}}}
    return dg.RunRequest(run_key=run_key, job_name=ingest.name, run_config=run_config, tags={PRIORITY_TAG: "1"})


def scans_in(requests: Iterable[dg.RunRequest]) -> list[str]:
    """Return the partition keys that these requests of ``ingest_request`` are about."""
    return [key for request in requests for key in request.run_config["ops"][ingest_scans.name]["config"]["scans"]]


def _ingested(context: dg.OpExecutionContext, store: Store, key: str, raw: Latest) -> Iterator[dg.AssetMaterialization]:
    value = scan_of(store, raw.data_version, key)
    tags = {"dagster/code_version": context.run_id}
    yield _stored(store, scan, key, value, {raw_scan.key: raw}, described(value), tags)
    split = split_of(value, SplitConfig())
    of_scan = {scan.key: latest(context.instance, scan.key, [key])[key]}
    yield _stored(store, scan_split, key, split, of_scan, counted(split), {**tags, ARRIVAL: arrival_tag(raw)})


def _stored(
    store: Store,
    asset: dg.AssetsDefinition,
    key: str,
    value: Any,
    inputs: Mapping[dg.AssetKey, Latest],
    shown: Mapping[str, Any],
    tags: Mapping[str, str],
) -> dg.AssetMaterialization:
    """Store a value as the IO manager does, and return its materialization with the tags that Dagster itself gives."""
    start = time.perf_counter()
    ref = store.put(value, name=f"{asset.key.to_user_string()}/{key}")
    cost = {"new_bytes": ref.new_bytes, "seconds": time.perf_counter() - start}
    return dg.AssetMaterialization(
        asset_key=asset.key,
        partition=key,
        metadata={**value_metadata(store, ref), **cost, **shown},
        tags={
            **tags,
            "dagster/data_version": ref.digest,
            "dagster/data_version_is_user_provided": "true",
            **{f"dagster/input_data_version/{of.to_user_string()}": at.data_version for of, at in inputs.items()},
            **{f"dagster/input_event_pointer/{of.to_user_string()}": str(at.storage_id) for of, at in inputs.items()},
        },
    )
