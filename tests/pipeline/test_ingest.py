"""Many arrived files in one run: each read, stored and recorded by itself, also where that is repeated."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from assets.arrival import latest
from assets.imported import imported_product
from assets.raw import RAW
from assets.scans import scan
from assets.tables import table
from definitions import defs
from jobs.ingest import Wanted, ingest_request, wanted_in
from resources import Ingest, SettingsResource, StoreIOManager, StoreResource
from sensors.arrivals import is_busy
from sensors.raw_files import raw_files
from smalti import Store, open_store
from smalti.errors import Unavailable
from smalti.ingest.source import Folder

PROJECT = Path(__file__).parents[2]
ingesting = importlib.import_module("jobs.ingest")  # jobs.ingest is also the job


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
            with dg.build_sensor_context(
                self.instance, resources={"store": self.store, "settings": SettingsResource()}, cursor=cursor
            ) as context:
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
    found = latest(place.instance, scan.key, [*"abc"])
    assert {key: at.data_version for key, at in found.items()} == {key: store.resolve(f"scan/{key}") for key in "abc"}
    assert {place.status(scan, key) for key in "abc"} == {StaleStatus.FRESH}
    assert len({at.data_version for at in found.values()}) == 3


def test_a_new_version_of_one_scan_changes_its_own_data_version_and_no_other(place: Place) -> None:
    for key in "ab":
        place.arrive(key, shift=ord(key))
    place.ingest("a", "b")
    before = latest(place.instance, scan.key, [*"ab"])
    place.arrive("a", shift=1.0)
    place.ingest("a", "b")
    after = latest(place.instance, scan.key, [*"ab"])
    assert {key: after[key].data_version == before[key].data_version for key in "ab"} == {"a": False, "b": True}
    assert {place.status(scan, key) for key in "ab"} == {StaleStatus.FRESH}


def test_an_asset_run_of_one_scan_records_what_the_ingest_of_many_does(place: Place) -> None:
    place.arrive("a")
    place.ingest("a")
    ingested = latest(place.instance, scan.key, ["a"])["a"]
    assert dg.materialize(
        [RAW["scan"], scan], instance=place.instance, partition_key="a", resources=place.given()
    ).success
    again = latest(place.instance, scan.key, ["a"])["a"]
    assert again.data_version == ingested.data_version
    kept = {tag for tag in again.tags if tag.startswith("dagster/")} - {"dagster/code_version"}
    assert {tag for tag in ingested.tags if tag.startswith("dagster/")} - {"dagster/code_version"} == kept


def test_the_code_version_is_that_of_the_asset_and_never_a_run(place: Place) -> None:
    place.arrive("a")
    run = place.ingest("a")
    said = latest(place.instance, scan.key, ["a"])["a"].tags.get("dagster/code_version")
    assert said != run.run_id
    assert said == scan.code_versions_by_key.get(scan.key)


def test_two_scans_in_one_run_each_say_what_they_were_made_from(place: Place) -> None:
    for key in "ab":
        place.arrive(key, shift=ord(key))
    place.ingest("b", "a")
    raw = latest(place.instance, RAW["scan"].key, [*"ab"])
    records = place.instance.fetch_materializations(scan.key, limit=9).records
    made = {record.partition_key: record.asset_materialization for record in records}
    for key in "ab":
        materialization = made[key]
        assert materialization
        assert materialization.metadata["made_from"].value == {f"raw_scan/{key}": raw[key].data_version}
        assert (materialization.tags or {})["dagster/input_data_version/raw_scan"] == raw[key].data_version


def test_a_scan_that_fails_is_named_and_keeps_no_other_back(place: Place) -> None:
    place.arrive("sound")
    done = place.ingest("never-arrived", "sound", "nor-this")
    assert not done.success
    (failure,) = done.get_step_failure_events()
    said = str(failure.step_failure_data.user_failure_data.description)
    assert "2 of 3 files failed" in said
    assert "scan/never-arrived: no raw scan of this key has arrived; drop its file into data/raw." in said
    assert set(latest(place.instance, scan.key, ["sound"])) == {"sound"}


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
    assert set(latest(place.instance, scan.key, ["a"])) == {"a"}


KILLED = """\
import importlib, os, signal, sys
from pathlib import Path
import dagster as dg
from definitions import defs
from resources import StoreResource
ingesting = importlib.import_module("jobs.ingest")
stored = ingesting.put_version
def killed(log, store, name, *rest):
    made = stored(log, store, name, *rest)
    if name == "scan/b":
        os.kill(os.getpid(), signal.SIGKILL)
    return made
ingesting.put_version = killed
config = {"ops": {"ingest_arrivals": {"config": {"arrivals": ["scan/a", "scan/b", "scan/c"]}}}}
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    given = {"store": StoreResource(place=sys.argv[2])}
    defs.resolve_job_def("ingest").execute_in_process(config, instance=instance, resources=given)
"""


def test_killed_in_the_middle_the_repeated_run_records_the_same_versions(place: Place) -> None:
    requests = [place.arrive(key, shift=ord(key))[0] for key in "abc"]
    assert int(requests[0].tags["dagster/priority"]) > 0  # before reconstructions that wait in the queue
    assert len({request.run_key for request in requests}) == 3
    command = [sys.executable, "-W", "ignore", "-c", KILLED, place.instance.root_directory, place.store.place]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    before = latest(place.instance, scan.key, [*"abc"])
    assert place.ingest(*"abc").success
    after = latest(place.instance, scan.key, [*"abc"])
    assert set(before) == {"a"}
    assert after["a"].data_version == before["a"].data_version
    store = open_store(place.root / "store")
    assert {key: len(store.versions(f"scan/{key}")) for key in "abc"} == dict.fromkeys("abc", 1)


def test_a_version_that_comes_while_an_older_one_is_read_is_the_one_that_is_recorded(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.arrive("a")
    read, seen = ingesting.value_of, list[str]()

    def slow(store: Store, raw: str, *rest: Any) -> Any:
        seen.append(raw)
        if len(seen) == 1:
            place.arrive("a", shift=1.0)
        return read(store, raw, *rest)

    monkeypatch.setattr(ingesting, "value_of", slow)
    place.ingest("a")
    newest = latest(place.instance, RAW["scan"].key, ["a"])["a"].data_version
    assert seen[-1] == newest
    assert latest(place.instance, scan.key, ["a"])["a"].tags["dagster/input_data_version/raw_scan"] == newest


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
    assert len(store.get("imported_product/elsewhere").probe_position_x_m) == 9
    assert (place.root / "outputs" / "ptychodus_products" / "elsewhere.h5").is_file()
    assert place.status(table, "t") == StaleStatus.FRESH
    assert place.status(imported_product, "elsewhere") == StaleStatus.FRESH
    partitions = {name: list(place.instance.get_dynamic_partitions(name)) for name in ("scan", "product", "dataset")}
    assert partitions == {"scan": ["s"], "product": ["elsewhere"], "dataset": ["t"]}
    assert place.instance.get_dynamic_partitions("training_table") == []


def test_a_scan_and_a_product_of_one_name_have_files_of_their_own(place: Place, product_file: Path) -> None:
    place.arrive("same")
    path = place.root / "data" / "raw" / "same.h5"
    shutil.copy(product_file, path)
    os.utime(path, (0, 0))
    (request,) = place.asked(raw_files)
    (of,) = wanted_in(request.run_config)
    assert of.kind == "product"
    assert of.key.startswith("same-")
    job = defs.resolve_job_def("ingest")
    assert job.execute_in_process(request.run_config, instance=place.instance, resources=place.given()).success
    assert [path.stem for path in (place.root / "outputs" / "ptychodus_products").iterdir()] == [of.key]


def test_a_table_that_is_trained_on_is_a_training_table_and_its_test_table_is_none(place: Place) -> None:
    raw = place.root / "data" / "raw"
    rows = "".join(f"{i},{'ab'[i % 2]}\n" for i in range(8))
    (raw / "boat_train.csv").write_text("x,y\n" + rows)
    (raw / "boat_test.csv").write_text("x\n1\n2\n")
    for path in raw.iterdir():
        os.utime(path, (0, 0))
    (request,) = place.asked(raw_files)
    job = defs.resolve_job_def("ingest")
    assert job.execute_in_process(request.run_config, instance=place.instance, resources=place.given()).success
    assert list(place.instance.get_dynamic_partitions("training_table")) == ["boat_train"]
