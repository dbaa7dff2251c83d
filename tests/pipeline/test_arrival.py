"""Files arrive in the folder: the real sensor, real child processes, a private instance."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from assets.arrival import ledger_path
from assets.raw import RAW
from benchmarks.arrival.soak import counted, drop, soak
from jobs.ingest import wanted_in
from sensors.arrivals import evaluate, is_busy
from smalti import open_store
from smalti.ingest.ledger import Ledger
from smalti.ingest.source import Folder
from tests.pipeline.arrival_place import Place

PROJECT = Path(__file__).parents[2]
ARRIVALS = int(os.environ.get("SMALTI_TEST_ARRIVALS", "260"))  # over 250: looked at, and recorded, in several turns


def test_many_files_at_once_are_validated_exactly_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    drop(tmp_path / "data" / "raw", good=ARRIVALS - 6, bad=6)
    with dg.instance_for_test() as instance:
        ticks, idle_s = soak(tmp_path, instance)
        result = counted(tmp_path, instance, ARRIVALS - 6, 6, ticks, idle_s)
    assert result.faults == []
    assert max(tick.wall_s for tick in ticks) < 60
    assert max(tick.cursor_nbytes for tick in ticks) < 40


def test_a_late_file_a_strange_name_and_one_that_differs_by_case_only_all_arrive(place: Place) -> None:
    place.drop("b.npz")
    place.tick()
    names = ["a.npz", "B.npz", "x" * 251 + ".npz", os.fsdecode(b"\xff\n.npz"), "...npz", "Läufe 7.npz"]
    for number, name in enumerate(names):
        if not name.startswith("."):
            place.drop(name, xcoords=np.arange(6.0) + number + 1)
    place.tick()
    keys = place.arrived()
    assert len({str(key).casefold() for key in keys}) == len(keys) == 6
    assert sorted(place.instance.get_dynamic_partitions("scan")) == sorted(map(str, keys))
    assert {path.parent for path in (place.root / "data").iterdir()} == {place.root / "data"}


def test_a_file_that_vanishes_is_reported_once_and_keeps_what_was_stored(place: Place) -> None:
    path = place.drop("a.npz")
    place.tick()
    path.unlink()
    place.tick()
    place.tick()
    records = place.instance.fetch_observations(RAW["scan"].key, limit=10).records
    assert [record.partition_key for record in records] == ["a"]
    assert open_store(place.root / "store").get("raw_scan/a").filename == "a.npz"
    assert place.arrived() == ["a"]


def test_a_changed_file_is_a_new_version_and_going_back_asks_for_a_run_again(place: Place) -> None:
    for shift in (0.0, 1.0, 0.0):
        place.drop("a.npz.part", xcoords=np.arange(6.0) + shift).rename(place.raw / "a.npz")
        place.tick()
    assert place.arrived() == ["a"] * 3
    assert place.asked == ["a"] * 3
    assert len(open_store(place.root / "store").versions("raw_scan/a")) == 3


def test_a_lost_cursor_asks_again_and_validates_nothing(place: Place) -> None:
    place.drop("a.npz")
    place.tick()
    place.cursor = '{"a.npz": [1, 2]}'  # as earlier versions wrote it
    place.tick()
    assert place.asked == ["a", "a"]  # Dagster knows the run key and starts no second run
    assert place.arrived() == ["a"]


def test_interrupted_at_any_event_all_are_recorded_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.drop("a.npz")
    place.drop("b.npz", xcoords=None)
    for name in ("c.npz", "d.npz"):
        shutil.copy(place.raw / "a.npz", place.raw / name)
        os.utime(place.raw / name, (0, 0))
    report, told = place.instance.report_dagster_event, list[int]()

    def killed_after_one(*event: Any, **more: Any) -> None:
        told.append(0)
        if len(told) % 2 == 0:
            raise KeyboardInterrupt
        report(*event, **more)

    with monkeypatch.context() as patch:
        patch.setattr(place.instance, "report_dagster_event", killed_after_one)
        for _ in range(4):  # one materialization, two observations and one table came through, and no check
            with pytest.raises(KeyboardInterrupt):
                place.tick()
    place.tick()
    assert place.arrived() == ["a"]
    assert sorted(str(said) for _, said in place.observed()) == [
        f"the same bytes arrived as {name}.npz too; they are one partition, and nothing is made of them twice"
        for name in "cd"
    ]
    assert [one.metadata["rejected"].value for one in place.rejected()] == [1]
    assert [check.passed for check in place.checks()] == [False]
    assert place.asked == ["a"]
    assert place.instance.get_runs_count() == 0


def test_a_batch_that_arrived_has_a_manifest_that_leads_to_the_file(place: Place) -> None:
    place.drop("a.npz")
    place.drop("b.npz", xcoords=None)
    place.tick()
    store = open_store(place.root / "store")
    (manifest,) = store.manifests()
    assert manifest.run.startswith("arrival-")
    assert manifest.outputs == {"raw_scan/a": store.resolve("raw_scan/a")}
    assert [(of["file"], of["accepted"]) for of in manifest.notes["files"]] == [("a.npz", True), ("b.npz", False)]


def test_a_scan_without_a_pixel_size_is_accepted_and_says_what_its_card_must(place: Place) -> None:
    place.drop("a.npz")
    place.tick()
    event = place.instance.get_latest_materialization_event(RAW["scan"].key)
    assert event
    assert event.asset_materialization
    said = "accepted; no product until a card says the pixel size: under `physics:`, write object_pixel_size_m, or "
    assert str(event.asset_materialization.description).startswith(said)
    assert "a.npz.card.yaml, e.g. `object_pixel_size_m: {value: 2.5e-8}`" in str(
        event.asset_materialization.description
    )
    table = event.asset_materialization.metadata["violations"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["code"] for record in table.records] == ["physics.pixel_size"]

    card = place.raw / "a.npz.card.yaml"
    card.write_text("source: here\nversion: '1'\nlicence: CC0-1.0\nphysics: {object_pixel_size_m: {value: 2.5e-8}}\n")
    os.utime(card, (0, 0))
    place.tick()
    event = place.instance.get_latest_materialization_event(RAW["scan"].key)
    assert event
    assert event.asset_materialization
    assert str(event.asset_materialization.description) == "accepted under scan/3"
    assert place.asked == ["a", "a"]


def test_a_fresh_root_gets_its_folders_and_one_whose_disk_is_away_does_not(place: Place) -> None:
    place.raw.rmdir()
    place.tick()
    assert place.raw.is_dir()
    assert (place.root / "outputs" / "ptychodus_products").is_dir()
    place.drop("a.npz")
    place.tick()
    shutil.move(place.raw, place.root / "elsewhere")
    away = place.tick()
    assert isinstance(away, dg.SkipReason)
    assert "mount its disk" in str(away.skip_message)
    assert not place.raw.exists()
    assert place.observed() == []


def test_a_tick_that_is_over_leaves_the_rest_to_the_next(place: Place) -> None:
    for number in range(4):
        place.drop(f"{number}.npz", xcoords=np.arange(6.0) + number)
    start = time.monotonic()
    with dg.build_sensor_context(place.instance) as context:
        first = evaluate(context, Folder(place.raw), str(place.root / "store"), seconds=0.0)
    assert time.monotonic() - start < 1
    assert isinstance(first, dg.SkipReason)
    assert "still validating" in str(first.skip_message)
    while is_busy(place.instance, Folder(place.raw)):
        time.sleep(0.05)
    place.tick()
    assert place.arrived() == ["0", "1", "2", "3"]
    assert place.asked == ["0", "1", "2", "3"]


@pytest.mark.parametrize("after_s", [0.6, 1.0, 1.5])
def test_killed_in_the_middle_each_file_is_validated_and_recorded_exactly_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_s: float
) -> None:
    root, home = tmp_path / "root", tmp_path / "dagster"
    monkeypatch.setenv("SMALTI_ROOT", str(root))
    home.mkdir()
    drop(root / "data" / "raw", good=57, bad=3)
    program = (
        "import dagster as dg; from pathlib import Path; from benchmarks.arrival.soak import soak\n"
        f"with dg.DagsterInstance.from_config({str(home)!r}) as instance:\n"
        f"    print('begun', flush=True); soak(Path({str(root)!r}), instance)"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.PIPE) as running:
        assert running.stdout
        running.stdout.readline()
        time.sleep(after_s)
        running.send_signal(signal.SIGKILL)
    (root / "asked").unlink(missing_ok=True)  # what the daemon was never told
    with dg.DagsterInstance.from_config(str(home)) as instance:
        ticks, idle_s = soak(root, instance)
        assert counted(root, instance, 57, 3, ticks, idle_s).faults == []


def test_two_cursors_beside_one_another_lose_nothing(place: Place) -> None:
    other = Place(place.root, place.instance)
    place.drop("a.npz")
    place.tick()
    place.drop("b.npz", xcoords=np.arange(6.0) + 1)
    other.tick()
    place.drop("c.npz", xcoords=np.arange(6.0) + 2)
    place.tick()
    other.tick()
    assert place.asked == ["a", "b", "c"]
    assert other.asked == ["a", "b", "c"]


def test_a_scan_a_table_a_checkpoint_a_product_and_a_plain_file_dropped_together_each_arrive(
    place: Place, product_file: Path
) -> None:
    place.drop("scan.npz")
    (place.raw / "table.csv").write_text("a,b\n1,x\n2,y\n")
    head = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (place.raw / "weights.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + np.ones(2, "f4").tobytes())
    shutil.copy(product_file, place.raw / "product.h5")
    (place.raw / "manual.pdf").write_bytes(b"%PDF-1.4 nothing")
    (place.raw / "junk.txt").write_text("not data")
    for path in place.raw.iterdir():
        os.utime(path, (0, 0))
    place.tick()
    kinds = {arrival.name: arrival.report["kind"] for arrival in Ledger(ledger_path(place.instance)).after(0)}
    assert kinds == {
        "scan.npz": "scan",
        "table.csv": "table",
        "weights.safetensors": "checkpoint",
        "product.h5": "product",
        "manual.pdf": "file",
    }
    assert sorted(str(of) for request in place.requests for of in wanted_in(request.run_config)) == [
        "product/product",
        "scan/scan",
        "table/table",
    ]
    for kind, key in (("table", "table"), ("checkpoint", "weights"), ("product", "product"), ("file", "manual.pdf")):
        (record,) = place.instance.fetch_materializations(RAW[kind].key, limit=10).records
        assert record.partition_key == key
    metadata = place.instance.fetch_materializations(RAW["table"].key, limit=1).records[0].asset_materialization
    assert metadata
    assert metadata.metadata["dagster/row_count"].value == 2
    skipped = place.tick()
    assert isinstance(skipped, dg.SkipReason)
    assert "ignored: junk.txt (its name says that it is a note, no data)" in str(skipped.skip_message)
