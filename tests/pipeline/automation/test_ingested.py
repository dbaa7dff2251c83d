"""Laws of the sensors on new content: what a scan or a table that was ingested asks for, once, whoever ticks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from assets.tables import role_tags
from resources import StoreResource
from sensors.ingested import ingested_scans, ingested_tables
from smalti import Scan
from smalti.codecs.scan import ScanMetadata, Stated
from smalti.scans.card import TableRoles

SENSORS = {"scan": ingested_scans, "table": ingested_tables}


class Platform:
    """A store and an instance where things are ingested, and the sensors that look."""

    def __init__(self, instance: dg.DagsterInstance, store: StoreResource) -> None:
        self.instance, self.store = instance, store
        self.cursors: dict[str, str | None] = {}

    def ingested(self, asset: str, key: str, value: Any, **tags: str) -> None:
        ref = self.store.open().put(value, name=f"{asset}/{key}")
        self.instance.add_dynamic_partitions({"table": "dataset"}.get(asset, "scan"), [key])
        self.recorded(asset, key, ref.digest, tags)

    def recorded(self, asset: str, key: str, digest: str, tags: dict[str, str] | None = None) -> None:
        version = {"dagster/data_version": digest, "dagster/data_version_is_user_provided": "true"}
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(asset, partition=key, tags={**version, **(tags or {})})
        )

    def asked(self, kind: str, who: str = "daemon") -> list[tuple[str | None, str | None, str | None]]:
        """Evaluate a sensor with the cursor of ``who``; return (job, partition, run key) of each request."""
        cursor = self.cursors.get(who + kind)
        with dg.build_sensor_context(instance=self.instance, cursor=cursor, resources={"store": self.store}) as context:
            result = SENSORS[kind](context)
        if not isinstance(result, dg.SensorResult):
            return []
        self.cursors[who + kind] = result.cursor
        return [(request.job_name, request.partition_key, request.run_key) for request in result.run_requests or ()]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with dg.instance_for_test() as instance:
        yield Platform(instance, StoreResource(place=str(tmp_path / "store")))


def a_scan(level: float = 1.0, **stated: Any) -> Scan:
    return Scan(
        diffraction=np.full((4, 8, 8), level, np.float32),
        xcoords=np.arange(4.0),
        ycoords=np.arange(4.0),
        probe_guess=None,
        object_guess=None,
        scan_index=np.arange(4),
        metadata=ScanMetadata(name="a", **stated),
    )


def jobs(asked: list[tuple[str | None, str | None, str | None]]) -> list[tuple[str | None, str | None]]:
    return [(job, key) for job, key, _ in asked]


def test_a_new_scan_is_reconstructed_and_asked_for_once(platform: Platform) -> None:
    platform.ingested("scan", "a", a_scan())
    assert jobs(platform.asked("scan")) == [("reconstruct", "a")]
    assert platform.asked("scan") == []


def test_two_who_look_ask_with_the_same_run_key(platform: Platform) -> None:
    platform.ingested("scan", "a", a_scan())
    assert platform.asked("scan", "daemon") == platform.asked("scan", "make run") != []


def test_equal_content_asks_for_nothing_and_other_content_does(platform: Platform) -> None:
    platform.ingested("scan", "a", a_scan())
    platform.asked("scan")
    platform.ingested("scan", "a", a_scan())
    assert platform.asked("scan") == []
    platform.ingested("scan", "a", a_scan(2.0))
    assert jobs(platform.asked("scan")) == [("reconstruct", "a")]


def test_a_card_that_says_the_pixel_size_later_makes_only_the_product(platform: Platform) -> None:
    platform.ingested("scan", "a", a_scan())
    platform.asked("scan")
    platform.recorded("reconstruction", "a", "sha256:" + "0" * 64)
    platform.ingested("scan", "a", a_scan(object_pixel_size_m=Stated(value=1e-8)))
    assert jobs(platform.asked("scan")) == [("export", "a")]


def test_a_card_that_comes_before_the_reconstruction_leaves_it_to_be_made(platform: Platform) -> None:
    platform.ingested("scan", "a", a_scan())
    platform.ingested("scan", "a", a_scan(object_pixel_size_m=Stated(value=1e-8)))
    assert jobs(platform.asked("scan")) == [("reconstruct", "a")]


def test_in_the_near_field_a_length_is_reconstructed_with(platform: Platform) -> None:
    near = {"far_field": False, "object_pixel_size_m": Stated(value=1e-8), "photon_energy_eV": Stated(value=8000.0)}
    platform.ingested("scan", "a", a_scan(**near, detector_distance_m=Stated(value=1.0)))
    platform.asked("scan")
    platform.recorded("reconstruction", "a", "sha256:" + "0" * 64)
    platform.ingested("scan", "a", a_scan(**near, detector_distance_m=Stated(value=2.0)))
    assert jobs(platform.asked("scan")) == [("reconstruct", "a")]


def test_what_cannot_be_reconstructed_waits_for_the_card_that_says_what_is_missing(platform: Platform) -> None:
    near = {"far_field": False, "object_pixel_size_m": Stated(value=1e-8), "detector_distance_m": Stated(value=1.0)}
    platform.ingested("scan", "a", a_scan(**near))
    assert platform.asked("scan") == [], "no run that would fail"
    platform.ingested("scan", "a", a_scan(**near, photon_energy_eV=Stated(value=8000.0)))
    assert jobs(platform.asked("scan")) == [("reconstruct", "a")]


def test_a_partition_that_was_deleted_since_is_passed_over(platform: Platform) -> None:
    platform.ingested("scan", "a", a_scan())
    platform.ingested("scan", "b", a_scan())
    platform.instance.delete_dynamic_partition("scan", "a")
    assert jobs(platform.asked("scan")) == [("reconstruct", "b")]


def test_more_than_one_page_of_events_loses_none(platform: Platform) -> None:
    keys = [f"s{number}" for number in range(130)]
    platform.store.open().put(a_scan(), name="scan/s0")
    digest = platform.store.open().resolve("scan/s0")
    platform.instance.add_dynamic_partitions("scan", keys)
    for key in keys:
        platform.recorded("scan", key, digest)
    first, second = platform.asked("scan"), platform.asked("scan")
    assert sorted(key or "" for _, key, _ in first + second) == sorted(keys)


def a_table(rows: int = 3) -> dict[str, list[int]]:
    return {"x": list(range(rows))}


def train_on(platform: Platform, *keys: str) -> None:
    platform.instance.add_dynamic_partitions("training_table", list(keys))


def test_a_table_is_trained_on_where_its_name_or_its_card_says_so(platform: Platform) -> None:
    train_on(platform, "iris_train", "named")
    platform.ingested("table", "iris_train", a_table())
    platform.ingested("table", "other", a_table(4))
    platform.ingested("table", "named", a_table(5), **role_tags(TableRoles(target="x")))
    assert jobs(platform.asked("table")) == [("train_on_table", "iris_train"), ("train_on_table", "named")]


def test_a_table_and_its_test_table_ask_for_one_run(platform: Platform) -> None:
    train_on(platform, "iris_train")
    platform.ingested("table", "iris_train", a_table())
    platform.ingested("table", "iris_test", a_table(2))
    assert jobs(platform.asked("table")) == [("train_on_table", "iris_train")]


def test_a_test_table_that_comes_later_is_predicted_and_nothing_is_trained(platform: Platform) -> None:
    train_on(platform, "iris_train")
    platform.ingested("table", "iris_train", a_table())
    platform.asked("table")
    platform.recorded("bert_checkpoint", "iris_train", "sha256:" + "0" * 64)
    platform.ingested("table", "iris_test", a_table(2))
    assert jobs(platform.asked("table")) == [("predict", "iris_train")]


def test_a_card_that_names_a_target_later_asks_for_training(platform: Platform) -> None:
    platform.ingested("table", "iris", a_table())
    assert platform.asked("table") == []
    train_on(platform, "iris")
    platform.ingested("table", "iris", a_table(), **role_tags(TableRoles(target="x")))
    assert jobs(platform.asked("table")) == [("train_on_table", "iris")]
