"""The manifest of a Dagster run: what each of its steps read and wrote, from the events that the run left behind."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import dagster as dg

from resources.made_from import made_from
from resources.names import called, is_of
from smalti import Store
from smalti.digest import is_address
from smalti.errors import NotFound, Refused
from smalti.runs.confidential import without_keys, without_secrets
from smalti.runs.run_types import run_type_of
from smalti.runs.storage_modes import Facts, views_of
from smalti.settings import Settings
from smalti.store import Manifest, Step

Found = TypeVar("Found")

DIGEST = "digest"
MANIFEST_TAG = "smalti/manifest"  # of a run: the command that shows its manifest
_POINTER, _DIMENSION = "dagster/input_event_pointer/", "dagster/partition/"
_CODE_VERSION = "dagster/code_version"
_OURS = "smalti/"  # tags of a run: project, run_type, model, and views as modes and patterns between commas
_HIDDEN = ".dagster/"  # tags that Dagster keeps for itself
_COST = {"nbytes", "new_bytes", "saved_nbytes", "storing_seconds", "dagster/row_count"}
_RUNNING = "running"
_STATUS = {
    dg.DagsterRunStatus.SUCCESS: "finished",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "stopped",
}
ENDED = tuple(_STATUS)
_EVENTS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
}
_AT_ONCE = 1000


def manifest_path(store: Store, run_id: str) -> str:
    """Return where the manifest of a run lies once the run is over and was recorded."""
    return f"{store.place}/manifests/{run_id}.json"


def dagster_link(run_id: str) -> str:
    """Return where Dagster shows a run."""
    return f"{Settings().dagster_url.rstrip('/')}/runs/{run_id}"


def shown_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a run that its manifest repeats: not Dagster's private ones, nor where it lies itself."""
    return {name: value for name, value in tags.items() if not name.startswith(_HIDDEN) and name != MANIFEST_TAG}


def code_version_label(asset: dg.AssetKey) -> str:
    """Return what the code version of an asset is called in the field ``code`` of a manifest."""
    return f"asset {asset.to_user_string()}"


def begin_manifest(store: Store, run: dg.DagsterRun, steps: tuple[Step, ...], code_versions: Mapping[str, str]) -> None:
    """Write that a run is at work and what it made first, unless it has a manifest.

    A run that is killed leaves it behind. It is written without waiting for the disk, since every value has a name too.
    """
    config, _ = without_secrets(dict(run.run_config), "run_config")
    with suppress(Refused):  # another process of this run has begun it
        store.begin_manifest(
            run.run_id,
            status=_RUNNING,
            project=run.tags.get(f"{_OURS}project", run.job_name),
            steps=tuple(_without_lost(store, step) for step in steps),
            code=dict(code_versions),
            parameters={"run_config": config} if config else {},
            tags=shown_tags(run.tags),
            links={"dagster": dagster_link(run.run_id)},
            notes={"job": run.job_name},
        )


def record_run(
    store: Store, instance: dg.DagsterInstance, record: dg.RunRecord, ran_on: Callable[[], dict[str, Any]]
) -> None:
    """Write the manifest of a run that is over, or complete the one that was begun; a tag of the run says where it is.

    Args:
        ran_on: gives the fields ``code`` and ``environment`` of the manifest.
    """
    run = record.dagster_run
    there = _manifest(store, run.run_id)
    if there and (there.released_at or there.status != _RUNNING):
        return
    said, circumstances = _said(store, instance, record), ran_on()
    said["code"] = {**circumstances.pop("code"), **said["code"]}
    if there:
        store.update_manifest(run.run_id, **said, **circumstances)
    else:
        began = min(record.create_timestamp, datetime.now(UTC))  # the clock of a database may be ahead
        store.add_manifest(run.run_id, created_at=began.isoformat(), **said, **circumstances)
    if MANIFEST_TAG not in run.tags:
        instance.add_run_tags(run.run_id, {MANIFEST_TAG: f"smalti runs show {run.run_id}"})


def has_manifest(store: Store, run_id: str) -> bool:
    """Tell whether a run has a manifest."""
    return _manifest(store, run_id) is not None


def _manifest(store: Store, run_id: str) -> Manifest | None:
    try:
        return store.manifest(run_id)
    except NotFound:
        return None


def _said(store: Store, instance: dg.DagsterInstance, record: dg.RunRecord) -> dict[str, Any]:
    """Return the fields of the manifest of a run."""
    run, events = record.dagster_run, list(_events(instance, record.dagster_run.run_id))
    made = [event.asset_materialization for event in events if event.asset_materialization]
    steps, gone = list[Step](), set[str]()
    pointed_at = _pointed_at(instance, made)
    for one in made:
        step = _step(one, pointed_at)
        gone |= {
            address for address in (*step.inputs.values(), *step.outputs.values()) if not _is_there(store, address)
        }
        steps.append(Step(step.name, _but(step.inputs, gone), _but(step.outputs, gone)))
    inputs, outputs = _whole(steps)
    shown = placed(run.job_name, run.tags, record.create_timestamp)
    config, hidden = without_secrets(dict(run.run_config), "run_config")
    return {
        "inputs": inputs,
        "outputs": outputs,
        "steps": _told_apart(steps),
        "status": _STATUS[run.status],
        "started_at": _iso(record.start_time),
        "ended_at": _iso(record.end_time),
        "error": _error(events),
        **shown,
        "code": dict(_code_versions(made, run.run_id)),
        "links": {"dagster": dagster_link(run.run_id)},
        "tags": shown_tags(run.tags),
        "parameters": {"run_config": config} if config else {},
        "metrics": dict(_metrics(made)),
        "notes": {
            **shown["notes"],
            "job": run.job_name,
            "checks": [_check(event.asset_check_evaluation) for event in events if event.asset_check_evaluation],
            "not_stored": [*sorted(gone), *hidden],
        },
    }


def placed(job: str, tags: Mapping[str, str], began: datetime) -> dict[str, Any]:
    """Return project, run type and views, from the tags ``smalti/...`` of a run, else from its job and the settings.

    What a tag says that there is not is in the notes: a run is recorded all the same.
    """
    settings, said = Settings(), {name.removeprefix(_OURS): value for name, value in tags.items()}
    project, refused = said.get("project", job), list[str]()

    def read(tag: str, default: str, reading: Callable[[str], Found]) -> Found:
        try:
            return reading(said.get(tag, default))
        except Refused as error:
            refused.append(f"the tag {_OURS}{tag}: {error}")
            return reading(default)

    run_type = read("run_type", settings.default_run_type, run_type_of)
    facts = Facts(project, said.get("model", ""), run_type, began)
    views = read(
        "views", settings.default_storage_mode, lambda modes: views_of(map(str.strip, modes.split(",")), facts)
    )
    return {"project": project, "run_type": run_type.value, "views": views, "notes": {"refused": refused}}


def _events(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.EventLogEntry]:
    cursor, more = None, True
    while more:
        found = instance.get_records_for_run(run_id, cursor=cursor, of_type=_EVENTS, limit=_AT_ONCE)
        yield from (record.event_log_entry for record in found.records)
        cursor, more = found.cursor, found.has_more


def _pointed_at(
    instance: dg.DagsterInstance, made: Sequence[dg.AssetMaterialization]
) -> dict[int, dg.AssetMaterialization]:
    """Return the materializations that Dagster says others were made from, by their number."""
    numbers: dict[dg.AssetKey, set[int]] = {}
    for one in made:
        for asset, number in _pointers(one).items():
            numbers.setdefault(asset, set()).add(number)
    found = dict[int, dg.AssetMaterialization]()
    for asset, of_asset in numbers.items():
        wanted = dg.AssetRecordsFilter(asset_key=asset, storage_ids=sorted(of_asset))
        records = instance.fetch_materializations(wanted, limit=len(of_asset)).records
        found |= {record.storage_id: of for record in records if (of := record.asset_materialization)}
    return found


def _pointers(made: dg.AssetMaterialization) -> dict[dg.AssetKey, int]:
    return {
        dg.AssetKey.from_user_string(tag.removeprefix(_POINTER)): int(value)
        for tag, value in (made.tags or {}).items()
        if tag.startswith(_POINTER) and value.isdecimal()
    }


def _name(made: dg.AssetMaterialization) -> str:
    tags = {tag.removeprefix(_DIMENSION): key for tag, key in (made.tags or {}).items() if tag.startswith(_DIMENSION)}
    return called(made.asset_key, dg.MultiPartitionKey(tags) if len(tags) > 1 else made.partition)


def _code_versions(made: Iterable[dg.AssetMaterialization], run_id: str) -> Iterator[tuple[str, str]]:
    """Yield the code version of each asset; where none is stated, Dagster says the run."""
    for one in made:
        version = (one.tags or {}).get(_CODE_VERSION, run_id)
        if version != run_id:
            yield code_version_label(one.asset_key), version


def _name_and_digest(made: dg.AssetMaterialization) -> dict[str, str]:
    """Return a materialization's value by name; nothing where it is not kept in a store."""
    entry = made.metadata.get(DIGEST)
    digest = str(entry.value) if entry else ""
    return {_name(made): digest} if is_address(digest) else {}


def _step(made: dg.AssetMaterialization, pointed_at: Mapping[int, dg.AssetMaterialization]) -> Step:
    """Return a materialization as a step: made from what was read for it, else from what Dagster says."""
    inputs = {name: digest for name, digest in made_from(made.metadata).items() if is_address(digest)}
    read = tuple(inputs)
    for asset, number in _pointers(made).items():
        if number in pointed_at and not any(is_of(name, asset) for name in read):
            inputs |= _name_and_digest(pointed_at[number])
    return Step(_name(made), inputs, _name_and_digest(made))


def _told_apart(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps with names of their own: what made a partition anew in the same run is ``name#2``."""
    made: dict[str, list[Step]] = {}
    for step in steps:
        alike = made.setdefault(step.name, [])
        if step not in alike:  # else it was tried again, with the same outcome
            alike.append(step)
    return tuple(
        replace(step, name=f"{name}#{number}" if number > 1 else name)
        for name, alike in made.items()
        for number, step in enumerate(alike, 1)
    )


def _whole(steps: Iterable[Step]) -> tuple[dict[str, str], dict[str, str]]:
    """Return what steps read and did not write themselves, and what they wrote, both by name."""
    inputs, outputs = dict[str, str](), dict[str, str]()
    for step in steps:
        inputs |= step.inputs
        outputs |= step.outputs
    made = set(outputs.values())
    return {name: address for name, address in inputs.items() if address not in made}, outputs


def _without_lost(store: Store, step: Step) -> Step:
    """Return a step without inputs that are not in the store, as where a file was read beside it."""
    lost = {address for address in step.inputs.values() if not _is_there(store, address)}
    return replace(step, inputs=_but(step.inputs, lost))


def _but(used: Mapping[str, str], gone: set[str]) -> dict[str, str]:
    return {name: address for name, address in used.items() if address not in gone}


def _is_there(store: Store, address: str) -> bool:
    try:
        store.record(address)
    except NotFound:
        return False
    return True


def _metrics(made: Iterable[dg.AssetMaterialization]) -> Iterator[tuple[str, float]]:
    for one in made:
        for label, value in one.metadata.items():
            number = value.value
            if label not in _COST and isinstance(number, int | float) and math.isfinite(number):
                yield f"{_name(one)}/{label}", number


def _check(of: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {
        "check": of.check_name,
        "asset": called(of.asset_key, of.partition),
        "passed": of.passed,
        "severity": of.severity.value,
        "description": of.description or "",
    }


def _error(events: Iterable[dg.EventLogEntry]) -> str:
    """Return why a run failed: the first step that did, and its first cause; "" for one that did not."""
    for event in events:
        if event.dagster_event and event.dagster_event.is_step_failure:
            error = event.dagster_event.step_failure_data.error
            while error and error.cause:
                error = error.cause
            return f"{event.step_key}: {without_keys(error.message.strip()) if error else 'no reason was given'}"
    return without_keys(next((event.user_message for event in events if event.error_info), ""))


def _iso(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
