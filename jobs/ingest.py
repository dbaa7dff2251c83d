"""Ingesting what arrived, many files in one run: each is read by its contract, stored and recorded by itself.

An op, and not a run of the assets over many partitions: Dagster 1.13 gives all partitions of a run one data version, so
one new scan would make the others look changed; and one scan that fails would keep the rest of its run back.

Repeated, also after it was killed in the middle, it stores the same values and records the same versions.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dagster as dg
from dagster._core.storage.tags import PRIORITY_TAG
from pydantic import Field

from assets import imported, scans, tables
from assets.arrival import Latest, latest
from assets.imported import exported, imported_product
from assets.outputs import Write, in_gallery, written
from assets.partitions import TRAINING_TABLES
from assets.raw import RAW
from assets.scans import described, scan
from assets.tables import described_table, is_to_be_trained_on, role_tags, roles_of, table
from resources import StoreResource
from resources.made_from import as_metadata
from resources.names import called
from resources.published import publish_output
from resources.stored_value import put_version
from smalti import Ref, Store
from smalti.errors import Refused, Unavailable
from smalti.ingest.admit import Validator, staging_folder, value_of
from smalti.ingest.sandbox import Sandbox
from smalti.outputs.parts import Part
from smalti.ptycho.report.outputs import write_scan_parts
from smalti.tabular.report.outputs import write_dataset_parts

_REFERENCE = re.compile(r"([a-z0-9_-]+)/([^/@]+)(?:@\d+)?")  # earlier runs named an arrival after the @
_NEWER_AT_MOST = 3
_RETRIES = 3
_FIRST_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A raw file to ingest."""

    kind: str
    key: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.key}"

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """Return what ``scan/run7`` means."""
        match = _REFERENCE.fullmatch(text)
        if not match or match[1] not in RAW:
            raise Refused(f"{text} names no raw file; write kind/key, e.g. scan/run7.")
        return cls(match[1], match[2])


class IngestConfig(dg.Config):
    """Which files."""

    arrivals: list[str] = Field(
        description="Raw files that have arrived, as kind/key, e.g. scan/run7 or table/titanic."
    )


@dg.op(
    description="Reads each raw file by its contract, in a confined child process, and stores what it holds: a scan, a "
    "table or a product. Each is recorded as a version of its own partition. One that fails is named at the end and "
    "keeps no other back; where the machine was at fault, the files are tried again.",
)
def ingest_arrivals(
    context: dg.OpExecutionContext, config: IngestConfig, store: StoreResource
) -> Iterator[dg.AssetMaterialization | dg.Output[None]]:
    refused, later = list[str](), list[str]()
    try:
        values = store.open()
        wanted = list(dict.fromkeys(Wanted.parse(text) for text in config.arrivals))
    except Refused as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    except Unavailable as error:
        _try_again(context, str(error))
        raise dg.Failure(str(error), allow_retries=False) from error
    with Sandbox(staging_folder(values)) as sandbox:
        for number, of in enumerate(wanted, start=1):
            try:
                yield from _ingested(context, values, sandbox, of)
                context.log.info(f"{number} of {len(wanted)}: {of}")
            except Refused as error:
                refused.append(f"{of}: {error}")
                context.log.error(refused[-1])
            except Unavailable as error:  # the machine's fault, or so it seems: it keeps no other file back
                later.append(f"{of}: {error}")
                context.log.warning(later[-1])
    in_gallery(context, [of.key for of in wanted])
    yield dg.Output(None)
    if failed := [*refused, *later]:
        told = f"{len(failed)} of {len(wanted)} files failed:\n" + "\n".join(failed)
        if later:
            _try_again(context, told)
        raise dg.Failure(told, allow_retries=False)


def _try_again(context: dg.OpExecutionContext, why: str) -> None:
    """Wait and begin the step again, unless this was the last attempt.

    Not by a RetryPolicy: Dagster 1.13 takes the interrupt of a terminated run for a reason to try again.
    """
    if context.retry_number < _RETRIES:
        context.log.warning(why)
        time.sleep(_FIRST_RETRY_S * 2**context.retry_number)
        raise dg.RetryRequested(_RETRIES)


@dg.job(
    description="Many raw files in one run: each is read by its contract and stored as `scan`, `table` or "
    "`imported_product`, a version of its own partition. The sensors of raw files launch it; by hand, it reads "
    "the files that its config names again."
)
def ingest() -> None:
    ingest_arrivals()


def ingest_request(wanted: Iterable[Wanted], run_key: str) -> dg.RunRequest:
    """Return the request of one run that ingests these files, before any reconstruction that waits in the queue."""
    run_config = {"ops": {ingest_arrivals.name: {"config": {"arrivals": [str(of) for of in wanted]}}}}
    return dg.RunRequest(run_key=run_key, job_name=ingest.name, run_config=run_config, tags={PRIORITY_TAG: "1"})


def wanted_in(run_config: Mapping[str, Any]) -> list[Wanted]:
    """Return the files that a run of ``ingest`` with this configuration is about; what names none is left out."""
    config = run_config.get("ops", {}).get(ingest_arrivals.name, {}).get("config", {})
    wanted = list[Wanted]()
    for text in config.get("arrivals", ()):
        with suppress(Refused):
            wanted.append(Wanted.parse(text))
    return wanted


def keys_in(requests: Iterable[dg.RunRequest]) -> list[str]:
    """Return the keys of the files that these requests are about."""
    return [of.key for request in requests for of in wanted_in(request.run_config)]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What a raw file was read as: the asset it is a version of, and what people are shown of it."""

    asset: dg.AssetsDefinition
    value: Any
    shown: Mapping[str, Any]
    write: Write
    part: Callable[[Ref], Part]
    tags: Mapping[str, str] = field(default_factory=dict)


Reading = Callable[[Store, str, Validator, str], Ingested]  # given the digest and the key of a raw file


def _scan(store: Store, raw: str, sandbox: Validator, key: str) -> Ingested:
    value = value_of(store, raw, sandbox, key)
    return Ingested(scan, value, described(value), write_scan_parts, partial(scans.part_of, store, value))


def _table(store: Store, raw: str, sandbox: Validator, _: str) -> Ingested:
    value = value_of(store, raw, sandbox)
    tags = role_tags(roles_of(store, raw))
    part = partial(tables.part_of, store, value)
    return Ingested(table, value, described_table(value), write_dataset_parts, part, tags)


def _product(store: Store, raw: str, sandbox: Validator, key: str) -> Ingested:
    value = value_of(store, raw, sandbox)
    part = partial(imported.part_of, store, value, key=key)
    return Ingested(imported_product, value, exported(value, key), write_scan_parts, part)


# What is done with a raw file as soon as it has arrived, by kind; a kind that is not here is kept as it came.
_READINGS: dict[str, Reading] = {"scan": _scan, "table": _table, "product": _product}
_ASSETS = {"scan": scan, "table": table, "product": imported_product}
INGESTED = frozenset(_READINGS)


def ingested_as(kind: str) -> dg.AssetsDefinition:
    """Return the asset that a raw file of a kind that is ingested becomes."""
    return _ASSETS[kind]


def _ingested(
    context: dg.OpExecutionContext, store: Store, sandbox: Validator, of: Wanted
) -> Iterator[dg.AssetMaterialization]:
    """Read and store the newest version of a raw file, and yield what is to be recorded."""
    if of.kind not in _READINGS:
        raise Refused(f"a raw {of.kind} is not ingested: it stays as it came.")
    raw = _raw(context.instance, of)
    for _ in range(_NEWER_AT_MOST):
        read = _READINGS[of.kind](store, raw.data_version, sandbox, of.key)
        made = _stored(context, store, read, of, raw)
        if (now := _raw(context.instance, of)).data_version == raw.data_version:
            break
        raw = now  # another version came meanwhile: what another run records of it must not be covered by this one
    if of.kind == "table" and is_to_be_trained_on(of.key, read.tags):  # before whoever looks for new tables sees it
        context.instance.add_dynamic_partitions(str(TRAINING_TABLES.name), [of.key])
    yield made


def _raw(instance: dg.DagsterInstance, of: Wanted) -> Latest:
    found = latest(instance, RAW[of.kind].key, [of.key])
    if of.key not in found:
        raise Refused(f"no raw {of.kind} of this key has arrived; drop its file into data/raw.")
    return found[of.key]


def _stored(
    context: dg.OpExecutionContext, store: Store, read: Ingested, of: Wanted, raw: Latest
) -> dg.AssetMaterialization:
    """Store a value as the IO manager does, and return its materialization with the tags that Dagster itself gives."""
    asset, from_raw = read.asset.key, RAW[of.kind].key
    ref, metadata = put_version(context.log, store, called(asset, of.key), read.value, context.run_id)
    publish_output(context.log, store, asset.to_user_string(), of.key, ref)
    outputs = written(context, read.write, of.key, [read.part(ref)])
    code_version = read.asset.code_versions_by_key.get(asset)
    return dg.AssetMaterialization(
        asset_key=asset,
        partition=of.key,
        metadata={
            **read.shown,
            **outputs,
            **metadata,
            **as_metadata({called(from_raw, of.key): raw.data_version}),
        },
        tags={
            **read.tags,
            **({"dagster/code_version": code_version} if code_version else {}),
            "dagster/data_version": ref.digest,
            "dagster/data_version_is_user_provided": "true",
            f"dagster/input_data_version/{from_raw.to_user_string()}": raw.data_version,
            f"dagster/input_event_pointer/{from_raw.to_user_string()}": str(raw.storage_id),
        },
    )
