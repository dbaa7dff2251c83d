"""Recording what arrived, as asset events without a run: a materialization for each new version of a file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from assets.partitions import PARTITIONS
from assets.previews import sentences
from assets.raw import RAW, text_table, violations_table
from resources.names import called
from resources.run_manifests import DIGEST, placed
from resources.stored_value import size
from smalti.contracts.violation import shown
from smalti.ingest.kinds import Kind, kind_named, kinds
from smalti.ingest.ledger import Arrival, Ledger
from smalti.store import Step

PROJECT = "arrival"  # under which the manifests of arrivals are found
STILL_VALIDATING = "still validating"  # how a sensor begins its reason when it found nothing and is not done
_NUMBER = "smalti/arrival"
_VERSIONS_LOOKED_AT = 100


def ledger_path(instance: dg.DagsterInstance) -> Path:
    """Return where the ledger lies: with the records it must agree with, so that both are lost or kept together."""
    return Path(instance.root_directory) / "arrivals.sqlite"


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest materialization of one partition: where Dagster keeps it, and its tags."""

    storage_id: int
    run_id: str
    timestamp: float
    tags: Mapping[str, str]

    @property
    def data_version(self) -> str:
        """The digest of the value."""
        return self.tags["dagster/data_version"]

    @property
    def arrival(self) -> int | None:
        """The number of the arrival that a raw file was recorded for."""
        number = self.tags.get(_NUMBER, "")
        return int(number) if number.isdecimal() else None


def kind_of(arrival: Arrival) -> Kind:
    """Return the kind of a file that arrived; one whose kind has gone since is a plain file."""
    every = {kind.name: kind for kind in kinds()}
    return every.get(arrival.report.get("kind") or "scan", every["file"])


def outcome_of(arrival: Arrival, recorded: Mapping[str, Latest], equal: Sequence[str]) -> Arrival:
    """Return an arrival with what is to be recorded of it: a version of its own partition, or none; pure.

    Only what was accepted is a partition. A file that was dropped again is recorded again only where Dagster does not
    have it any more. A file with the bytes of another has no partition of its own as long as that other file lies
    there; a file that has a partition already keeps it, whatever bytes it gets.

    Args:
        recorded: the partitions of its kind in Dagster, by key.
        equal: partitions that were recorded with the same bytes and whose file still lies there.
    """
    key, own = arrival.key, recorded.get(arrival.key)
    if not arrival.accepted:
        return arrival
    if own and arrival.dropped_again and own.data_version == arrival.report["digest"]:
        return replace(arrival, partition=key, recorded=own.arrival == arrival.number)
    if own is None and (others := [other for other in equal if other != key and other in recorded]):
        return replace(arrival, partition=others[0])
    return replace(arrival, partition=key, recorded=True)


def record(instance: dg.DagsterInstance, ledger: Ledger, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Record a batch of arrivals, no key twice; return them with what was recorded of each.

    Called again after it was interrupted, it records what is missing: every event has the number of its arrival.
    """
    of_kind: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        of_kind.setdefault(kind_of(arrival).name, []).append(arrival)
    return [done for kind, some in of_kind.items() for done in _record_kind(instance, ledger, kind, some)]


def _record_kind(instance: dg.DagsterInstance, ledger: Ledger, kind: str, arrivals: Sequence[Arrival]) -> list[Arrival]:
    asset, accepted = RAW[kind], [arrival for arrival in arrivals if arrival.accepted]
    partitions = str(PARTITIONS[kind_named(kind).partitions].name)
    equal = {arrival.content: ledger.with_bytes(arrival.content) for arrival in accepted}
    there = set(instance.get_dynamic_partitions(partitions)) if accepted else set[str]()
    wanted = {key for keys in (*equal.values(), [arrival.key for arrival in accepted]) for key in keys} & there
    recorded = latest(instance, asset.key, sorted(wanted))
    done = list[Arrival]()
    for arrival in arrivals:
        done.append(outcome := outcome_of(arrival, recorded, equal.get(arrival.content, ())))
        if outcome.recorded:
            own = recorded.get(arrival.key)
            if own is None or own.arrival != arrival.number:
                instance.add_dynamic_partitions(partitions, [arrival.key])
                instance.report_runless_asset_event(materialization_of(arrival))
                recorded[arrival.key] = Latest(0, "", 0.0, materialization_of(arrival).tags or {})
            if ledger.is_there(arrival.source, arrival.name):
                equal[arrival.content].append(arrival.key)
    twins = [one for one in done if one.accepted and one.partition != one.key]
    told = _observed(instance, asset.key, {str(twin.partition) for twin in twins}, len(twins))
    for twin in twins:
        if twin.number not in told:
            instance.report_runless_asset_event(_same_bytes(asset.key, twin))
    return done


def materialization_of(arrival: Arrival) -> dg.AssetMaterialization:
    """Return the materialization of an accepted file; its data version is the digest of the stored original."""
    report = arrival.report
    missing, twin = report.get("missing"), report.get("same_bytes_as")
    return dg.AssetMaterialization(
        asset_key=RAW[kind_of(arrival).name].key,
        partition=arrival.key,
        description=f"accepted; {missing}" if missing else f"accepted under {report['contract']}",
        metadata={
            DIGEST: dg.MetadataValue.text(report["digest"]),
            "file": dg.MetadataValue.text(shown(arrival.name)),
            "contract": dg.MetadataValue.text(report["contract"] or "none"),
            **({"missing": dg.MetadataValue.text(missing)} if missing else {}),
            **({"violations": violations_table(report["violations"])} if report["violations"] else {}),
            **size(report["nbytes"], report["new_bytes"]),
            "source": dg.MetadataValue.text(report["source"] or "unknown"),
            "licence": dg.MetadataValue.text(report["licence"] or "unknown"),
            **({"shape": dg.MetadataValue.text(str(tuple(report["shape"])))} if report.get("shape") else {}),
            **{name: sentences(report[name]) for name in ("conversions", "assumptions") if report.get(name)},
            **_contents(report.get("contents") or {}),
            **({"same_bytes_as": dg.MetadataValue.text(twin)} if twin else {}),
        },
        tags={
            "dagster/data_version": report["digest"],
            "dagster/data_version_is_user_provided": "true",
            _NUMBER: str(arrival.number),
        },
    )


def _contents(contents: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns and first rows of a table, or the arrays of a file, as the UI shows them."""
    if "columns" in contents:
        columns = [dg.TableColumn(column["name"], column["type"]) for column in contents["columns"]]
        as_text = dg.TableSchema([dg.TableColumn(column.name) for column in columns])
        return {
            "dagster/column_schema": dg.TableSchema(columns),
            "dagster/row_count": contents["rows"],
            "preview": dg.MetadataValue.table([dg.TableRecord(row) for row in contents["first"]], as_text),
        }
    if "arrays" in contents:
        return {"arrays": text_table(("name", "dtype", "shape"), contents["arrays"])}
    return {}


def _same_bytes(asset: dg.AssetKey, twin: Arrival) -> dg.AssetObservation:
    name = shown(twin.name)
    return dg.AssetObservation(
        asset_key=asset,
        partition=twin.partition,
        description=f"the same bytes arrived as {name} too; they are one partition, and nothing is made of them twice",
        metadata={"same_bytes_as_file": dg.MetadataValue.text(name)},
        tags={_NUMBER: str(twin.number)},
    )


def _observed(instance: dg.DagsterInstance, asset: dg.AssetKey, keys: set[str], most: int) -> set[int]:
    """Return the numbers of the arrivals that the last observations of these partitions are about."""
    if not keys:
        return set()
    wanted = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=sorted(keys))
    records = instance.fetch_observations(wanted, limit=most + _VERSIONS_LOOKED_AT).records
    tags = [of.tags for record in records if (of := record.asset_observation)]
    return {int(of[_NUMBER]) for of in tags if _NUMBER in of}


def record_gone(instance: dg.DagsterInstance, arrival: Arrival) -> None:
    """Record that a file is not where it arrived any more; what was stored of it stays."""
    name = shown(arrival.name)
    of_another = f", with the same bytes as {arrival.partition}," if arrival.partition != arrival.key else ""
    observation = dg.AssetObservation(
        asset_key=RAW[kind_of(arrival).name].key,
        partition=arrival.partition,
        description=f"{name}{of_another} is gone from where it arrived; what was stored of it stays",
        metadata={"file": dg.MetadataValue.text(name), "gone": True},
    )
    instance.report_runless_asset_event(observation)


def manifest_of(arrivals: Sequence[Arrival]) -> dict[str, Any]:
    """Return the fields of the manifest of a batch: which values came from outside, and what came with them."""
    accepted = [(called(RAW[kind_of(one).name].key, one.key), one) for one in arrivals if one.accepted]
    shown_at = placed(PROJECT, {}, datetime.now(UTC))
    told = ("contract", "nbytes", "source", "licence", "reason")
    return {
        "outputs": {name: one.report["digest"] for name, one in accepted},
        "steps": [Step(name, outputs={name: one.report["digest"]}) for name, one in accepted],
        "status": "finished",
        **shown_at,
        "notes": {
            "job": PROJECT,
            "files": [
                {"file": shown(one.name), "from": one.source, "key": one.key, "accepted": one.accepted}
                | {what: one.report[what] for what in told if one.report.get(what)}
                for one in arrivals
            ],
        },
    }


def latest(instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Sequence[str]) -> dict[str, Latest]:
    """Return the latest materialization of each of these partitions that has any."""
    found: dict[str, Latest] = {}
    cursor = None
    while keys and len(found) < len(keys):
        wanted = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=list(keys))
        page = instance.fetch_materializations(wanted, limit=2 * len(keys), cursor=cursor)
        for record in page.records:
            if record.partition_key and (materialization := record.asset_materialization):
                at = Latest(record.storage_id, record.run_id, record.timestamp, materialization.tags or {})
                found.setdefault(record.partition_key, at)
        cursor = page.cursor
        if not page.has_more:
            break
    return found


def first_equal(instance: dg.DagsterInstance, asset: dg.AssetKey, key: str) -> int:
    """Return the storage id since which a partition has the data version that it has now; 0 where it has none."""
    wanted = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[key])
    records = instance.fetch_materializations(wanted, limit=_VERSIONS_LOOKED_AT).records
    return _since(
        (record.storage_id, (record.asset_materialization.tags or {}).get("dagster/data_version"))
        for record in records
        if record.asset_materialization
    )


def _since(versions: Iterable[tuple[int, str | None]]) -> int:
    """Return the id of the oldest of the versions at the beginning that are equal; newest first."""
    since, current = 0, None
    for storage_id, version in versions:
        if since and version != current:
            break
        since, current = storage_id, version
    return since
