"""What Dagster has never heard of is found by its name in the store, and said so; what it knows is found through it."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np

from resources import StoreIOManager, StoreResource
from smalti import open_store

KEYS = dg.StaticPartitionsDefinition(["a", "b c"])


@dg.asset
def single() -> int:
    return 3


@dg.asset(partitions_def=KEYS)
def part(context: dg.AssetExecutionContext) -> str:
    return context.partition_key


@dg.asset
def both(single: int, part: dict[str, str]) -> list[Any]:
    return [single, sorted(part)]


def test_a_store_that_was_pulled_is_worked_with_in_another_instance(ours: Any, tmp_path: Path) -> None:
    ours.make(single)
    for key in KEYS.get_partition_keys():
        ours.make(part, partition_key=key)
    copy = open_store(tmp_path / "copy")
    copy.pull(ours.store)
    resource = StoreResource(place=copy.place)
    with dg.DagsterInstance.ephemeral() as elsewhere:
        done = dg.materialize(
            [single, part, both],
            selection=[both],
            instance=elsewhere,
            resources={"io_manager": StoreIOManager(store=resource)},
        )
        said = [
            entry.user_message for entry in elsewhere.all_logs(done.run_id) if "found by name" in entry.user_message
        ]
    assert done.output_for_node("both") == [3, ["a", "b c"]]
    assert sorted(said) == [
        f"Dagster has no materialization of part, so its 2 partitions were found by name in {copy.place}.",
        f"Dagster has no materialization of single, so single was found by name in {copy.place}.",
    ]


def test_what_dagster_knows_is_found_through_it_and_not_by_name(ours: Any) -> None:
    ours.make(single)
    ours.store.put(99, "single")  # a person, or another machine
    ours.store.put("by hand", "part/a")
    ours.make(part, partition_key="b c")
    assert ours.load([single], "single") == 3
    said = ours.outcome(lambda: ours.load([part], "part", partition_key="a"))
    assert said.startswith("NotFound: part has no value of a; it has the partitions b c")


def test_a_materialization_that_a_person_reported_hides_no_value(ours: Any) -> None:
    ours.make(single)
    ours.make(part, partition_key="a")
    for event in (dg.AssetMaterialization("single"), dg.AssetMaterialization("part", partition="a")):
        ours.instance.report_runless_asset_event(event)
    assert ours.load([single], "single") == 3
    assert ours.load([part], "part", partition_key="a") == "a"


def test_nothing_is_made_where_nothing_is_there(ours: Any, tmp_path: Path) -> None:
    said = ours.outcome(lambda: ours.load([single], "single", with_instance=False))
    assert said.startswith("NotFound: single has no value")
    assert "materialize it first" in said


def test_an_instance_that_knows_of_no_stored_value_begins_a_store(ours: Any) -> None:
    ours.instance.report_runless_asset_event(dg.AssetMaterialization("elsewhere", metadata={"path": "/data"}))
    assert ours.make(single).success
    assert np.array_equal(ours.store.get("single"), 3)
