"""Laws of datasets of others: own partition and data version, equal content stays fresh, one failure stays alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from assets.external import EXTERNAL, external_dataset
from jobs.external import partitions_to_change
from sensors.external import external_datasets
from smalti import Store
from smalti.datasets import fetchers
from smalti.datasets.card import DatasetCard
from smalti.errors import Refused, Unavailable

Given = dict[str, Any]


class Source:
    """Somewhere else, whose content changes, and which may be out of reach."""

    def __init__(self) -> None:
        self.rows = [1, 2, 3]
        self.fails: Exception | None = None
        self.asked: list[bool] = []

    def fetch(self, refresh: bool = False) -> pa.Table:
        self.asked.append(refresh)
        if self.fails:
            raise self.fails
        return pa.table({"x": self.rows})


@pytest.fixture
def source() -> Iterator[Source]:
    """A source that is registered as ``measured`` while the test runs."""
    source = Source()
    card = DatasetCard(name="measured", source="https://example.org/x.csv", version="7", licence="CC BY 4.0")
    fetchers._registered["measured"] = fetchers.Fetcher("measured", source.fetch, card)
    yield source
    del fetchers._registered["measured"]


def _fetch(instance: dg.DagsterInstance, resources: Given, name: str = "measured") -> Any:
    if name not in instance.get_dynamic_partitions("external"):
        instance.add_dynamic_partitions("external", [name])
    return dg.materialize(
        [external_dataset], instance=instance, resources=resources, partition_key=name, raise_on_error=False
    )


def _event(done: Any) -> dg.AssetMaterialization:
    (event,) = done.asset_materializations_for_node("external_dataset")
    return event  # type: ignore[no-any-return]


def test_it_is_stored_with_source_and_licence_and_equal_content_is_the_same_version(
    instance: dg.DagsterInstance, resources: Given, store: Store, source: Source
) -> None:
    first = _event(_fetch(instance, resources))
    assert first.partition == "measured"
    said = {name: first.metadata[name].value for name in ("source", "licence", "version", "changed")}
    assert said == {
        "source": "https://example.org/x.csv",
        "licence": "CC BY 4.0",
        "version": "7",
        "changed": True,
    }
    again = _event(_fetch(instance, resources))
    version = "dagster/data_version"
    assert (again.tags or {})[version] == (first.tags or {})[version] == store.resolve("dataset/measured")
    assert again.metadata["changed"].value is False
    source.rows.append(4)
    changed = _event(_fetch(instance, resources))
    assert changed.metadata["changed"].value is True
    assert (changed.tags or {})[version] != (first.tags or {})[version]
    assert source.asked == [True, True, True]  # it is told to ask anew, and may ask conditionally


def test_a_source_that_fails_leaves_what_was_fetched_and_the_others_alone(
    instance: dg.DagsterInstance, resources: Given, store: Store, source: Source
) -> None:
    pytest.importorskip("sklearn")
    before = _event(_fetch(instance, resources)) and store.resolve("dataset/measured")
    source.fails = Refused("the server does not give it; ask its owner.")
    assert not _fetch(instance, resources).success
    assert len(source.asked) == 2  # asking again would not help
    assert store.resolve("dataset/measured") == before
    assert _fetch(instance, resources, "iris").success


def test_a_network_that_is_away_is_asked_again_later(
    instance: dg.DagsterInstance, resources: Given, source: Source
) -> None:
    source.fails = Unavailable("the network is away; try later.")
    instance.add_dynamic_partitions("external", ["measured"])
    context = dg.build_asset_context(
        partition_key="measured", instance=instance, resources={"store": resources["store"]}
    )
    with pytest.raises(dg.RetryRequested) as asked:
        external_dataset(context)
    assert (asked.value.max_retries, asked.value.seconds_to_wait) == (2, 120.0)


def test_the_partitions_are_what_can_be_fetched_files_of_the_root_included(
    instance: dg.DagsterInstance, root: Path
) -> None:
    files = root / "data" / "datasets"
    files.mkdir(parents=True)
    (files / "beam_dataset.py").write_text(
        "from smalti.datasets import register_dataset\n"
        "from smalti.datasets.card import DatasetCard\n"
        "@register_dataset('beam', card=DatasetCard(name='beam', source='x', version='1', licence='CC0-1.0'))\n"
        "def fetch_beam():\n    return {}\n"
    )
    instance.add_dynamic_partitions("external", ["gone", "iris"])
    with dg.build_sensor_context(instance=instance) as context:
        result = external_datasets(context)
    assert isinstance(result, dg.SensorResult)
    add, delete = result.dynamic_partitions_requests or []
    assert "beam" in add.partition_keys
    assert "iris" not in add.partition_keys
    assert delete.partition_keys == ["gone"]
    instance.add_dynamic_partitions("external", [*add.partition_keys])
    instance.delete_dynamic_partition("external", "gone")
    with dg.build_sensor_context(instance=instance) as context:
        assert isinstance(external_datasets(context), dg.SkipReason)
    assert partitions_to_change(instance) == ([], [])
    assert EXTERNAL.name == "external"
    del fetchers._registered["beam"]
