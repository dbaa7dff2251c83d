"""Many arrived scans in one run: each read, split and recorded by itself, then reconstructed in a run of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from assets.arrival import latest
from assets.raw import RAW
from assets.scans import scan
from assets.splits import scan_split
from assets.tables import table
from definitions import defs
from jobs.ingest import Wanted, ingest_request, wanted_in
from resources import Ingest, StoreIOManager, StoreResource
from sensors.arrivals import is_busy
from sensors.ingested import ingested_scans
from sensors.raw_files import raw_files
from smalti import Store, open_store
from smalti.errors import Unavailable
from smalti.ingest.source import Folder


class Place:
    """A root where scans arrive, with its own instance of Dagster."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.root, self.instance = root, instance
        self.store = StoreResource(place=str(root / "store"))
        self.cursors: dict[str, str | None] = {}

    def arrive(self, key: str, positions: int = 6, shift: float = 0.0) -> list[dg.RunRequest]:
        """Drop a small scan and return what the sensor asks for."""
        row, column = np.mgrid[:16, :16] - 8
        counts = np.rint(900 * np.exp(-(row**2 + column**2) / 8))
        patterns = np.sqrt(np.stack([counts + i % 2 for i in range(positions)])).astype("f4")
        at = np.arange(float(positions)) + shift
        path = self.root / "data" / "raw" / f"{key}.npz"
        np.savez(path.with_suffix(".part"), diffraction=patterns, xcoords=at, ycoords=at)
        path.with_suffix(".part.npz").rename(path)
        os.utime(path, (0, 0))
        return self.asked(raw_files)

    def asked(self, sensor: dg.SensorDefinition) -> list[dg.RunRequest]:
        """Return what a sensor asks for until it finds nothing new."""
        asked: list[dg.RunRequest] = []
        while True:
            cursor = self.cursors.get(sensor.name)
            with dg.build_sensor_context(self.instance, resources={"store": self.store}, cursor=cursor) as context:
                found = sensor(context)
            if isinstance(found, dg.SensorResult):
                self.cursors[sensor.name] = found.cursor
                asked += found.run_requests or ()
            elif not is_busy(self.instance, Folder(self.root / "data" / "raw")):
                return asked

    def ingest(self, *keys: str) -> dg.ExecuteInProcessResult:
        job = defs.resolve_job_def("ingest")
        config = ingest_request([Wanted("scan", key) for key in keys], "").run_config
        return job.execute_in_process(config, instance=self.instance, resources=self.given(), raise_on_error=False)

    def given(self) -> dict[str, Any]:
        return {"store": self.store, "io_manager": StoreIOManager(store=self.store), "ingest": Ingest(store=self.store)}

    def status(self, asset: dg.AssetsDefinition, key: str) -> StaleStatus:
        graph = defs.resolve_asset_graph()
        return CachingStaleStatusResolver(self.instance, graph, LoadingContextForTest(self.instance)).get_status(
            asset.key, key
        )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    (tmp_path / "data" / "raw").mkdir(parents=True)
    with dg.instance_for_test() as instance:
        yield Place(tmp_path, instance)


def test_one_run_ingests_many_scans_each_with_its_own_data_version(place: Place) -> None:
    for number, key in enumerate("abc"):
        place.arrive(key, shift=number)
    assert place.ingest(*"abc").success
    store = open_store(place.root / "store")
    for asset in (scan, scan_split):
        found = latest(place.instance, asset.key, [*"abc"])
        assert {key: at.data_version for key, at in found.items()} == {
            key: store.resolve(f"{asset.key.to_user_string()}/{key}") for key in "abc"
        }
        assert {place.status(asset, key) for key in "abc"} == {StaleStatus.FRESH}
    assert len({at.data_version for at in latest(place.instance, scan.key, [*"abc"]).values()}) == 3


def test_a_new_version_of_one_scan_changes_its_own_data_version_and_no_other(place: Place) -> None:
    for key in "ab":
        place.arrive(key, shift=ord(key))
    place.ingest("a", "b")
    before = latest(place.instance, scan.key, [*"ab"])
    place.arrive("a", shift=1.0)
    place.ingest("a", "b")
    after = latest(place.instance, scan.key, [*"ab"])
    assert {key: after[key].data_version == before[key].data_version for key in "ab"} == {"a": False, "b": True}
    assert {place.status(scan_split, key) for key in "ab"} == {StaleStatus.FRESH}


def test_an_asset_run_of_one_scan_records_what_the_ingest_of_many_does(place: Place) -> None:
    place.arrive("a")
    place.ingest("a")
    ingested = {asset.key: latest(place.instance, asset.key, ["a"])["a"] for asset in (scan, scan_split)}
    assert dg.materialize(
        [RAW["scan"], scan, scan_split], instance=place.instance, partition_key="a", resources=place.given()
    ).success
    for asset in (scan, scan_split):
        again = latest(place.instance, asset.key, ["a"])["a"]
        assert again.data_version == ingested[asset.key].data_version
        kept = {tag for tag in again.tags if tag.startswith("dagster/")}
        assert {tag for tag in ingested[asset.key].tags if tag.startswith("dagster/")} == kept


def test_a_scan_that_fails_is_named_and_keeps_no_other_back(place: Place) -> None:
    place.arrive("one-position", positions=1)
    place.arrive("sound")
    done = place.ingest("one-position", "sound", "never-arrived")
    assert not done.success
    (failure,) = done.get_step_failure_events()
    said = str(failure.step_failure_data.user_failure_data.description)
    assert "2 of 3 files failed" in said
    assert "scan/one-position: a scan of 1 position cannot be split" in said
    assert "scan/never-arrived: no raw scan of this key has arrived" in said
    assert set(latest(place.instance, scan_split.key, ["one-position", "sound"])) == {"sound"}


def test_a_store_that_is_away_for_a_moment_is_asked_again(place: Place) -> None:
    asked: list[str] = []

    class Away(StoreResource):
        def open(self) -> Store:
            asked.append(self.place)
            if len(asked) == 1:
                raise Unavailable("the disk is away.")
            return super().open()

    place.arrive("a")
    place.store = Away(place=place.store.place)
    assert place.ingest("a").success
    assert len(asked) > 1
    assert set(latest(place.instance, scan_split.key, ["a"])) == {"a"}


def test_every_arrival_is_reconstructed_once_however_often_it_is_ingested(place: Place) -> None:
    (first,) = place.arrive("a")
    assert int(first.tags["dagster/priority"]) > 0  # or scans would not be seen before all others are reconstructed
    place.ingest("a")
    place.ingest("a")
    asked = place.asked(ingested_scans)
    assert [request.partition_key for request in asked] == ["a"]
    place.arrive("a", shift=1.0)
    (third,) = place.arrive("a")  # the first bytes again, after others
    assert third.run_key != first.run_key
    place.ingest("a")
    (again,) = place.asked(ingested_scans)
    assert again.run_key not in {request.run_key for request in asked}
    assert place.asked(ingested_scans) == []


def test_what_names_no_raw_file_is_refused_at_once(place: Place) -> None:
    config = {"ops": {"ingest_arrivals": {"config": {"arrivals": ["run7"]}}}}
    job = defs.resolve_job_def("ingest")
    done = job.execute_in_process(config, instance=place.instance, resources=place.given(), raise_on_error=False)
    (failure,) = done.get_step_failure_events()
    said = str(failure.step_failure_data.user_failure_data.description)
    assert said == "run7 names no raw file; write kind/key, e.g. scan/run7."


def test_a_table_and_a_product_are_ingested_beside_a_scan(place: Place, product_file: Path) -> None:
    raw = place.root / "data" / "raw"
    shutil.copy(product_file, raw / "elsewhere.h5")
    (raw / "t.csv").write_text("a,b\n1,x\n2,y\n")
    for path in raw.iterdir():
        os.utime(path, (0, 0))
    requests = place.arrive("s")
    wanted = [of for request in requests for of in wanted_in(request.run_config)]
    assert sorted(map(str, wanted)) == ["product/elsewhere", "scan/s", "table/t"]
    config = ingest_request(wanted, "").run_config
    job = defs.resolve_job_def("ingest")
    assert job.execute_in_process(config, instance=place.instance, resources=place.given()).success
    store = open_store(place.root / "store")
    assert store.get("table/t").num_rows == 2
    assert len(store.get("ptychodus_product/elsewhere").probe_position_x_m) == 9
    assert (place.root / "outputs" / "ptychodus_products" / "elsewhere.h5").is_file()
    assert place.status(table, "t") == StaleStatus.FRESH
