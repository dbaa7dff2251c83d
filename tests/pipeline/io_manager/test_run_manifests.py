"""Every Dagster run that ends has a manifest: what its steps read and wrote, how it ended, and why."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from resources import StoreIOManager, StoreResource
from resources.made_from import also_read
from sensors.run_manifests import run_manifests
from smalti import Store, open_store
from smalti.store import Hop, Step

KEYS = dg.StaticPartitionsDefinition(["one", "two"])


@dg.asset(partitions_def=KEYS)
def raw(context: dg.AssetExecutionContext) -> np.ndarray:
    return np.arange(3) + KEYS.get_partition_keys().index(context.partition_key)


@dg.asset(partitions_def=KEYS)
def doubled(context: dg.AssetExecutionContext, raw: np.ndarray) -> np.ndarray:
    context.add_output_metadata({"mean": float(raw.mean() * 2), "loss": float("nan")})
    return raw * 2


@dg.asset
def total(context: dg.AssetExecutionContext, store: StoreResource) -> np.ndarray:
    read = {key: store.open().ref(f"doubled/{key}").digest for key in KEYS.get_partition_keys()}
    also_read(context, {f"doubled/{key}": digest for key, digest in read.items()})
    return sum(store.open().get(digest) for digest in read.values())


@dg.asset
def broken(total: np.ndarray) -> np.ndarray:
    raise ValueError("no beam")


@dg.asset_check(asset=doubled)
def is_even() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True, description="by two")


ASSETS = [raw, doubled, total, broken]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def run(instance: dg.DagsterInstance, store: Store, *assets: str, **how: object) -> str:
    resource = StoreResource(place=store.place)
    resources = {"io_manager": StoreIOManager(store=resource), "store": resource}
    what = [*ASSETS, is_even]
    done = dg.materialize(
        what, instance=instance, resources=resources, selection=list(assets), raise_on_error=False, **how
    )
    return done.run_id


def look(instance: dg.DagsterInstance, store: Store, cursor: str | None = None) -> str | None:
    """Evaluate the sensor and return its cursor."""
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"store": StoreResource(place=store.place)}
    ) as context:
        found = run_manifests(context)
    return found.cursor if isinstance(found, dg.SensorResult) else cursor


def test_a_run_is_recorded_with_what_each_step_made_from_what(instance: dg.DagsterInstance, store: Store) -> None:
    run_id = run(instance, store, "raw", "doubled", partition_key="one", tags={"smalti/project": "optics"})
    look(instance, store)
    manifest = store.manifest(run_id)
    one, twice = store.resolve("raw/one"), store.resolve("doubled/one")
    assert manifest.steps == (
        Step("raw/one", {}, {"raw/one": one}),
        Step("doubled/one", {"raw/one": one}, {"doubled/one": twice}),
    )
    assert (manifest.inputs, manifest.outputs) == ({}, {"raw/one": one, "doubled/one": twice})
    assert (manifest.status, manifest.error, manifest.project) == ("finished", "", "optics")
    assert manifest.tags["dagster/partition"] == "one"
    assert manifest.metrics == {"doubled/one/mean": 2.0}, "what is no number is no metric, nor are costs"
    assert manifest.notes["checks"] == [  # type: ignore[index, call-overload]
        {"check": "is_even", "asset": "doubled", "passed": True, "severity": "ERROR", "description": "by two"}
    ]
    assert manifest.started_at < manifest.ended_at


def test_what_a_run_read_that_others_made_is_its_input_also_beside_the_inputs_of_its_asset(
    instance: dg.DagsterInstance, store: Store
) -> None:
    made = {key: run(instance, store, "raw", "doubled", partition_key=key) for key in KEYS.get_partition_keys()}
    added = run(instance, store, "total")
    look(instance, store)
    assert store.manifest(added).inputs == {f"doubled/{key}": store.resolve(f"doubled/{key}") for key in made}
    raw_two, twice_two, sum_of_both = (store.resolve(name) for name in ("raw/two", "doubled/two", "total"))
    assert store.lineage(raw_two, "downstream") == [
        Hop(1, made["two"], "doubled/two", raw_two, twice_two),
        Hop(2, added, "total", twice_two, sum_of_both),
    ]
    assert {hop.read for hop in store.lineage(sum_of_both, "upstream")} == {
        *(store.resolve(f"{asset}/{key}") for asset in ("raw", "doubled") for key in made),
        None,
    }


def test_a_run_that_failed_says_where_and_why(instance: dg.DagsterInstance, store: Store) -> None:
    for key in KEYS.get_partition_keys():
        run(instance, store, "raw", "doubled", partition_key=key)
    failed = run(instance, store, "total", "broken")
    look(instance, store)
    manifest = store.manifest(failed)
    assert (manifest.status, manifest.error) == ("failed", "broken: ValueError: no beam")
    assert list(manifest.outputs) == ["total"], "what it made before stays"


def test_a_run_that_is_looked_at_again_changes_nothing_and_later_ones_are_seen(
    instance: dg.DagsterInstance, store: Store
) -> None:
    first = run(instance, store, "raw", partition_key="one")
    cursor = look(instance, store, look(instance, store))  # the tag that says where the manifest is changed the run
    was = store.manifest(first)
    assert look(instance, store, cursor) == cursor
    second = run(instance, store, "raw", partition_key="two")
    look(instance, store, cursor)
    assert store.manifest(first) == was
    assert store.manifest(second).status == "finished"


def test_the_materialization_says_where_the_manifest_lies(instance: dg.DagsterInstance, store: Store) -> None:
    run(instance, store, "raw", partition_key="one")
    look(instance, store)
    materialized = instance.get_latest_materialization_event(dg.AssetKey("raw"))
    assert materialized
    assert materialized.asset_materialization
    manifest = Path(str(materialized.asset_materialization.metadata["manifest"].value))
    assert manifest.is_file()


def test_a_value_that_was_collected_before_the_run_was_recorded_is_named_as_not_stored(
    instance: dg.DagsterInstance, store: Store
) -> None:
    run_id = run(instance, store, "raw", "doubled", partition_key="one")
    lost = store.resolve("doubled/one")
    store.forget("doubled/one")
    for _ in range(2):
        store.gc(dry_run=False, grace_seconds=0)
    look(instance, store)
    manifest = store.manifest(run_id)
    assert manifest.notes["not_stored"] == [lost]  # type: ignore[index, call-overload]
    assert manifest.outputs == {"raw/one": store.resolve("raw/one")}


def test_tags_say_what_kind_of_run_it_is_and_where_it_is_shown(instance: dg.DagsterInstance, store: Store) -> None:
    tags = {"smalti/run_type": "production", "smalti/views": "by_type, {project}/{model}", "smalti/model": "ptychonet"}
    run_id = run(instance, store, "raw", partition_key="one", tags={**tags, "smalti/project": "optics"})
    look(instance, store)
    manifest = store.manifest(run_id)
    assert (manifest.run_type, manifest.views) == ("production", ("by_type/production", "optics/ptychonet"))
    shown = Path(store.place) / "runs" / "by_type" / "production" / run_id
    assert (shown / "manifest.json").resolve() == Path(store.place) / "manifests" / f"{run_id}.json"
    assert manifest.created_at < manifest.ended_at, "not when the sensor came to it"
    assert manifest.links["dagster"] == f"http://127.0.0.1:3000/runs/{run_id}"
    assert "commit" in manifest.code
    assert "numpy" in str(store.get(str(manifest.environment["details"])))


def test_a_tag_that_means_nothing_is_noted_and_the_run_recorded(instance: dg.DagsterInstance, store: Store) -> None:
    run_id = run(instance, store, "raw", partition_key="one", tags={"smalti/run_type": "prodution"})
    look(instance, store)
    manifest = store.manifest(run_id)
    assert manifest.run_type == "experiment"
    (refused,) = manifest.notes["refused"]  # type: ignore[index, call-overload]
    assert refused.startswith("the tag smalti/run_type: 'prodution' is no run type; there are experiment, ")


def test_a_partition_that_is_made_twice_in_one_run_is_two_steps(instance: dg.DagsterInstance, store: Store) -> None:
    digests = [store.put(np.arange(number)).digest for number in (1, 2)]

    @dg.op
    def make() -> Iterator[dg.AssetMaterialization | dg.Output[None]]:
        for digest in (*digests, digests[0]):
            yield dg.AssetMaterialization("thing", partition="one", metadata={"digest": digest})
        yield dg.Output(None)

    @dg.job
    def twice() -> None:
        make()

    run_id = twice.execute_in_process(instance=instance).run_id
    look(instance, store)
    assert store.manifest(run_id).steps == (
        Step("thing/one", {}, {"thing/one": digests[0]}),
        Step("thing/one#2", {}, {"thing/one": digests[1]}),
    )


@dg.asset(code_version="3", config_schema={"gain": float})
def tuned(context: dg.AssetExecutionContext) -> float:
    return float(context.op_execution_context.op_config["gain"])


@dg.asset
def halted(context: dg.AssetExecutionContext, tuned: float) -> float:
    """Stands for a run that is killed: nothing of it is done after its first output."""
    raise ValueError(tuned)


def began(instance: dg.DagsterInstance, store: Store) -> str:
    resource = StoreResource(place=store.place)
    done = dg.materialize(
        [tuned, halted],
        instance=instance,
        resources={"io_manager": StoreIOManager(store=resource)},
        run_config={"ops": {"tuned": {"config": {"gain": 1.5}}}},
        tags={"smalti/project": "optics"},
        raise_on_error=False,
    )
    return done.run_id


def test_a_run_has_a_manifest_as_soon_as_it_made_something(instance: dg.DagsterInstance, store: Store) -> None:
    run_id = began(instance, store)
    manifest = store.manifest(run_id)
    assert (manifest.status, manifest.project, manifest.ended_at) == ("running", "optics", "")
    assert manifest.steps == (Step("tuned", {}, {"tuned": store.resolve("tuned")}),)
    assert manifest.code == {"asset tuned": "3"}
    assert manifest.parameters["run_config"]["ops"] == {"tuned": {"config": {"gain": 1.5}}}  # type: ignore[index, call-overload]
    assert manifest.links["dagster"].endswith(f"/runs/{run_id}")


def test_the_run_says_where_its_manifest_lies(instance: dg.DagsterInstance, store: Store) -> None:
    run_id = began(instance, store)
    look(instance, store)
    run = instance.get_run_by_id(run_id)
    assert run
    assert run.tags["smalti/manifest"] == f"smalti runs show {run_id}"
    assert "smalti/manifest" not in store.manifest(run_id).tags


def test_the_manifest_that_was_begun_is_completed_when_the_run_ended(
    instance: dg.DagsterInstance, store: Store
) -> None:
    run_id = began(instance, store)
    look(instance, store)
    manifest = store.manifest(run_id)
    assert (manifest.status, manifest.error) == ("failed", "halted: ValueError: 1.5")
    assert manifest.code["asset tuned"] == "3"
    assert "commit" in manifest.code
    assert manifest.outputs == {"tuned": store.resolve("tuned")}
    assert manifest.ended_at


def test_a_run_that_was_killed_leaves_a_manifest_that_says_so(instance: dg.DagsterInstance, store: Store) -> None:
    run_id = began(instance, store)
    assert open_store(store.place).manifest(run_id).status == "running", "what another process sees after the kill"
    run = instance.get_run_by_id(run_id)
    assert run
    instance.report_run_failed(run, "the worker of the run is gone")  # as run monitoring does
    look(instance, store)
    assert store.manifest(run_id).status == "failed"


def test_a_manifest_that_was_released_stays_as_it_is(instance: dg.DagsterInstance, store: Store) -> None:
    run_id = began(instance, store)
    released = store.release(run_id)
    look(instance, store)
    assert store.manifest(run_id) == released
