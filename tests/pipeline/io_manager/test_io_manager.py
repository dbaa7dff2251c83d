"""Laws of the content-addressed IO manager, in real Dagster runs on a private instance."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from resources import StoreIOManager, StoreResource
from smalti import LazyArray, Ref, Tree
from smalti.errors import NotFound

KEYS = dg.DynamicPartitionsDefinition(name="key")


@pytest.fixture
def instance() -> Any:
    with dg.instance_for_test() as made:
        yield made


@pytest.fixture
def resources(tmp_path: Path) -> dict[str, Any]:
    store = StoreResource(place=str(tmp_path / "store"))
    return {"io_manager": StoreIOManager(store=store), "store": store}


def latest(instance: dg.DagsterInstance, name: str, partition: str | None = None) -> dg.AssetMaterialization:
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), asset_partitions=[partition] if partition else None)
    materialization = instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
    assert materialization is not None
    return materialization


def test_the_digest_is_the_data_version_and_is_shown(instance: dg.DagsterInstance, resources: dict[str, Any]) -> None:
    @dg.asset
    def numbers() -> np.ndarray:
        return np.arange(1000.0)

    @dg.asset
    def doubled(numbers: np.ndarray) -> np.ndarray:
        return numbers * 2

    assert dg.materialize([numbers, doubled], instance=instance, resources=resources).success
    digest = resources["store"].open().resolve("numbers")
    event = latest(instance, "numbers")
    assert event.tags["dagster/data_version"] == digest
    assert latest(instance, "doubled").tags["dagster/input_data_version/numbers"] == digest
    metadata = {name: entry.value for name, entry in event.metadata.items()}
    assert (metadata["digest"], metadata["kind"], metadata["nbytes"]) == (digest, "array", 8000)
    assert metadata["shape"] == "float64 1000"
    assert metadata["new_bytes"] > 8000
    assert metadata["storing_seconds"] > 0


def test_equal_content_again_leaves_downstream_fresh_and_stores_nothing(
    instance: dg.DagsterInstance, resources: dict[str, Any]
) -> None:
    made: list[float] = [1.0]

    @dg.asset
    def numbers() -> np.ndarray:
        return np.full(100, made[0])

    @dg.asset
    def doubled(numbers: np.ndarray) -> np.ndarray:
        return numbers * 2

    graph = dg.Definitions(assets=[numbers, doubled], resources=resources).resolve_asset_graph()

    def staleness() -> str:
        from dagster._core.definitions.data_version import CachingStaleStatusResolver
        from dagster._core.loader import LoadingContextForTest

        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        return resolver.get_status(doubled.key).value

    dg.materialize([numbers, doubled], instance=instance, resources=resources)
    assert staleness() == "FRESH"
    dg.materialize([numbers], instance=instance, resources=resources)
    assert latest(instance, "numbers").metadata["new_bytes"].value == 0
    assert staleness() == "FRESH"
    made[0] = 2.0
    dg.materialize([numbers], instance=instance, resources=resources)
    assert staleness() == "STALE"


def test_an_input_is_looked_up_by_its_partition(instance: dg.DagsterInstance, resources: dict[str, Any]) -> None:
    @dg.asset(partitions_def=KEYS)
    def raw(context: dg.AssetExecutionContext) -> np.ndarray:
        return np.full(5, float(len(context.partition_key)))

    @dg.asset(partitions_def=KEYS)
    def mean(raw: np.ndarray) -> dict[str, float]:
        return {"mean": float(raw.mean())}

    instance.add_dynamic_partitions("key", ["a", "bbb"])
    for key in ("a", "bbb"):
        dg.materialize([raw], instance=instance, resources=resources, partition_key=key)
    for key in ("a", "bbb"):  # the latest materialization of `raw` is that of "bbb" both times
        dg.materialize([mean, raw], selection=[mean], instance=instance, resources=resources, partition_key=key)
        assert resources["store"].open().get(f"mean/{key}") == {"mean": float(len(key))}


def test_a_run_reads_what_it_wrote_itself_not_what_another_wrote_since(
    instance: dg.DagsterInstance, resources: dict[str, Any]
) -> None:
    def numbers_of(value: int) -> dg.AssetsDefinition:
        @dg.asset(name="numbers")
        def numbers() -> np.ndarray:
            return np.full(3, value)

        return numbers

    @dg.asset
    def intruder(numbers: Ref) -> None:
        """Another run materializes `numbers` between the two steps of this one."""
        dg.materialize([numbers_of(2)], instance=instance, resources=resources)

    @dg.asset(deps=[intruder])
    def seen(numbers: np.ndarray) -> np.ndarray:
        return numbers

    dg.materialize([numbers_of(1), intruder, seen], instance=instance, resources=resources)
    assert resources["store"].open().get("numbers").tolist() == [2, 2, 2]
    assert resources["store"].open().get("seen").tolist() == [1, 1, 1]


def test_an_asset_asks_by_annotation_for_a_reference_or_a_lazy_value(
    instance: dg.DagsterInstance, resources: dict[str, Any]
) -> None:
    given: dict[str, Any] = {}

    @dg.asset
    def numbers() -> np.ndarray:
        return np.arange(5000.0)

    @dg.asset
    def pair() -> dict[str, Any]:
        return {"x": np.arange(4), "n": 1}

    @dg.asset
    def asks(context: dg.AssetExecutionContext, numbers: LazyArray, pair: Tree) -> Ref:
        given.update(rows=numbers[10:12], lazy=numbers, child=pair.children["x"], attrs=pair.attrs)
        return resources["store"].open().put(np.ones(3))

    @dg.asset
    def gets(asks: np.ndarray) -> dict[str, int]:
        return {"size": asks.size}

    assert dg.materialize([numbers, pair, asks, gets], instance=instance, resources=resources).success
    assert given["rows"].tolist() == [10.0, 11.0]
    assert isinstance(given["lazy"], LazyArray)
    assert isinstance(given["child"], LazyArray)
    assert given["attrs"] == {"n": 1}
    assert resources["store"].open().get("gets") == {"size": 3}


def test_values_pass_between_the_ops_of_a_graph(instance: dg.DagsterInstance, resources: dict[str, Any]) -> None:
    @dg.op
    def first() -> np.ndarray:
        return np.arange(3)

    @dg.op
    def second(x: np.ndarray) -> np.ndarray:
        return x + 1

    @dg.graph_asset
    def made() -> np.ndarray:
        return second(first())

    assert dg.materialize([made], instance=instance, resources=resources).success
    assert resources["store"].open().get("made").tolist() == [1, 2, 3]


def test_one_run_over_several_partitions_gets_a_value_for_each(
    instance: dg.DagsterInstance, resources: dict[str, Any]
) -> None:
    @dg.asset(partitions_def=KEYS)
    def raw(context: dg.AssetExecutionContext) -> np.ndarray:
        return np.full(2, float(context.partition_key))

    @dg.asset
    def total(raw: dict[str, np.ndarray]) -> dict[str, float]:
        return {"total": float(sum(value.sum() for value in raw.values()))}

    instance.add_dynamic_partitions("key", ["1", "2"])
    for key in ("1", "2"):
        dg.materialize([raw], instance=instance, resources=resources, partition_key=key)
    assert dg.materialize([total, raw], selection=[total], instance=instance, resources=resources).success
    assert resources["store"].open().get("total") == {"total": 6.0}


def test_a_missing_input_says_what_to_materialize(instance: dg.DagsterInstance, resources: dict[str, Any]) -> None:
    @dg.asset
    def numbers() -> np.ndarray:
        return np.arange(3)

    @dg.asset
    def doubled(numbers: np.ndarray) -> np.ndarray:
        return numbers * 2

    with pytest.raises(NotFound, match="numbers has no value: materialize it first"):
        dg.materialize([numbers, doubled], selection=[doubled], instance=instance, resources=resources)


def test_a_new_version_says_what_changed_and_an_equal_one_that_nothing_did(
    instance: dg.DagsterInstance, resources: dict[str, Any]
) -> None:
    made: list[list[int]] = [[1, 2, 3]]

    @dg.asset
    def numbers() -> np.ndarray:
        return np.array(made[-1])

    def changes() -> str | None:
        assert dg.materialize([numbers], instance=instance, resources=resources).success
        entry = latest(instance, "numbers").metadata.get("changes")
        return str(entry.value) if entry else None

    assert changes() is None, "there is no version before"
    assert changes() == "Equal to the version before."
    made.append([1, 5, 3])
    told = changes()
    assert told
    assert "1 of 3 elements changed" in told
