"""Files arrive in the folder: the real sensor, real child processes, a private instance."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from assets.arrival import ledger_path
from assets.raw import CONTRACT_CHECK, RAW
from benchmarks.arrival.soak import counted, drop, soak
from jobs.ingest import keys_in, wanted_in
from resources import StoreResource
from sensors.arrivals import evaluate, is_busy
from sensors.raw_files import raw_files
from smalti import open_store
from smalti.ingest.ledger import Ledger
from smalti.ingest.quarantine import Quarantine
from smalti.ingest.source import Folder

PROJECT = Path(__file__).parents[2]
ARRIVALS = int(os.environ.get("SMALTI_TEST_ARRIVALS", "260"))  # over 250: looked at, and recorded, in several turns


@dataclass
class Place:
    """A root, its Dagster instance, and the cursor of the sensor."""

    root: Path
    instance: dg.DagsterInstance
    cursor: str | None = None
    asked: list[str] = field(default_factory=list)
    requests: list[dg.RunRequest] = field(default_factory=list)

    @property
    def raw(self) -> Path:
        return self.root / "data" / "raw"

    @property
    def quarantine(self) -> Quarantine:
        return Quarantine(self.root / "data" / "quarantine")

    def drop(self, name: str, **changes: Any) -> Path:
        """Write a small scan that keeps its contract, but for what is changed; None leaves an array out."""
        row, column = np.mgrid[:16, :16] - 8
        counts = np.rint(900 * np.exp(-(row**2 + column**2) / 8))
        patterns = np.sqrt(np.stack([counts + i % 2 for i in range(6)])).astype("f4")
        arrays = {"diffraction": patterns, "xcoords": np.arange(6.0), "ycoords": np.arange(6.0), **changes}
        with (self.raw / name).open("wb") as file:
            np.savez(file, **{key: array for key, array in arrays.items() if array is not None})
        os.utime(self.raw / name, (0, 0))
        return self.raw / name

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        """Evaluate the sensor until nothing is being validated any more."""
        resources = {"store": StoreResource(place=str(self.root / "store"))}
        while True:
            with dg.build_sensor_context(self.instance, resources=resources, cursor=self.cursor) as context:
                found = raw_files(context)
            if isinstance(found, dg.SensorResult):
                self.cursor = found.cursor
                self.asked += keys_in(found.run_requests or ())
                self.requests += found.run_requests or ()
            if not is_busy(self.instance, Folder(self.raw)):
                return found

    def launch(self) -> list[str]:
        """Start a run for each request, as the daemon does, but execute none; return their ids."""
        runs = [
            dg.DagsterRun(
                job_name=str(request.job_name), run_config=request.run_config, status=dg.DagsterRunStatus.STARTED
            )
            for request in self.requests
        ]
        self.requests.clear()
        return [self.instance.add_run(run).run_id for run in runs]

    def fail(self, run_id: str) -> None:
        """Let a run that was launched fail."""
        run = self.instance.get_run_by_id(run_id)
        assert run
        self.instance.report_run_failed(run)

    def checks(self) -> list[tuple[str | None, bool]]:
        """Return partition and outcome of every contract check, oldest first."""
        return [(check.partition, check.passed) for check in self.evaluations()]

    def evaluations(self) -> list[dg.AssetCheckEvaluation]:
        key = dg.AssetCheckKey(RAW["scan"].key, CONTRACT_CHECK)
        found = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=1000)
        return [record.evaluation for record in reversed(found) if record.evaluation]

    def arrived(self) -> list[str | None]:
        """Return the partition of every materialization, oldest first."""
        records = self.instance.fetch_materializations(RAW["scan"].key, limit=1000).records
        return [record.partition_key for record in reversed(records)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    (tmp_path / "data" / "raw").mkdir(parents=True)
    with dg.instance_for_test() as instance:
        yield Place(tmp_path, instance)


def test_many_files_at_once_are_validated_exactly_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    drop(tmp_path / "data" / "raw", good=ARRIVALS - 6, bad=6)
    with dg.instance_for_test() as instance:
        ticks, idle_s = soak(tmp_path, instance)
        result = counted(tmp_path, instance, ARRIVALS - 6, 6, ticks, idle_s)
    assert result.faults == []
    assert max(tick.wall_s for tick in ticks) < 60
    assert max(tick.cursor_nbytes for tick in ticks) < 40


def test_equal_bytes_under_two_names_are_validated_and_reconstructed_once_and_known_by_both(place: Place) -> None:
    for name in ("b.npz", "a.npz"):
        place.drop(name)
    place.tick()
    place.launch()
    shutil.copy(place.raw / "a.npz", place.raw / "c.npz")  # in a later batch
    os.utime(place.raw / "c.npz", (0, 0))
    place.tick()
    assert place.arrived() == ["a", "b", "c"]
    assert place.asked == ["a"]
    store = open_store(place.root / "store")
    contents = {store.record(f"raw_scan/{key}").children["content"] for key in "abc"}
    assert len(contents) == 1
    reports = [arrival.report for arrival in Ledger(ledger_path(place.instance)).after(0)]
    assert [report.get("same_bytes_as") for report in reports] == [None, "a", "a"]
    assert [report["new_bytes"] < 2000 for report in reports] == [False, True, True]


def test_a_rejected_file_is_moved_shown_and_cleared_by_a_mended_one(place: Place) -> None:
    place.drop("a.npz", xcoords=None)
    place.tick()
    assert list(place.raw.iterdir()) == []
    (entry,) = place.quarantine.entries()
    (check,) = place.evaluations()
    assert not check.passed
    assert check.metadata["quarantine"].value == str(entry.folder)
    table = check.metadata["violations"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["code"] for record in table.records] == ["key.missing"]
    assert "xcoords" in str(check.description)

    place.drop("a.npz")
    place.tick()
    assert place.checks() == [("a", False), ("a", True)]
    assert place.quarantine.entries() == []
    assert [entry.folder.name for entry in place.quarantine.entries(past=True)] == ["a~1"]
    assert place.asked == ["a"]


def test_a_retried_file_is_validated_again_and_a_card_alone_calls_its_file_back(place: Place) -> None:
    place.drop("a.npz", xcoords=None, x=np.arange(6.0), ycoords=None, y=np.arange(6.0))
    place.tick()
    place.quarantine.retry(place.quarantine.entry("a"), place.raw)
    place.tick()
    assert place.checks() == [("a", False), ("a", False)]
    card = place.raw / "a.npz.card.yaml"
    card.write_text(
        "name: a\nsource: here\nversion: '1'\nlicence: CC0-1.0\nreading: {positions: {xcoords: x, ycoords: y}}\n"
    )
    os.utime(card, (0, 0))
    place.tick()
    assert place.checks()[2:] == [("a", True)]
    assert sorted(path.name for path in place.raw.iterdir()) == ["a.npz", "a.npz.card.yaml"]
    assert place.quarantine.entries() == []


def test_a_late_file_a_strange_name_and_one_that_differs_by_case_only_all_arrive(place: Place) -> None:
    place.drop("b.npz")
    place.tick()
    names = ["a.npz", "B.npz", "x" * 251 + ".npz", os.fsdecode(b"\xff\n.npz"), "...npz", "Läufe 7.npz"]
    for number, name in enumerate(names):
        if not name.startswith("."):
            place.drop(name, xcoords=np.arange(6.0) + number)
    place.tick()
    keys = place.arrived()
    assert len({str(key).casefold() for key in keys}) == len(keys) == 6
    assert sorted(place.instance.get_dynamic_partitions("scan")) == sorted(map(str, keys))
    assert {path.parent for path in (place.root / "data").iterdir()} == {place.root / "data"}


def test_links_and_pipes_are_refused_unopened_and_stay(place: Place) -> None:
    os.mkfifo(place.raw / "pipe.npz")
    os.utime(place.raw / "pipe.npz", (0, 0))
    (place.raw / "link.npz").symlink_to(place.root / "nowhere")
    os.utime(place.raw / "link.npz", (0, 0), follow_symlinks=False)
    place.tick()
    assert place.checks() == [("link", False), ("pipe", False)]
    assert sorted(path.name for path in place.raw.iterdir()) == ["link.npz", "pipe.npz"]
    assert all("stays" in check.metadata["quarantine"].value for check in place.evaluations())
    assert isinstance(place.tick(), dg.SkipReason)


def test_a_file_that_vanishes_is_reported_once_and_keeps_what_was_stored(place: Place) -> None:
    path = place.drop("a.npz")
    place.tick()
    path.unlink()
    place.tick()
    place.tick()
    records = place.instance.fetch_observations(RAW["scan"].key, limit=10).records
    assert [record.partition_key for record in records] == ["a"]
    assert open_store(place.root / "store").get("raw_scan/a").filename == "a.npz"
    assert place.checks() == [("a", True)]


def test_a_changed_file_is_a_new_version_and_going_back_asks_for_a_run_again(place: Place) -> None:
    for shift in (0.0, 1.0, 0.0):
        place.drop("a.npz.part", xcoords=np.arange(6.0) + shift).rename(place.raw / "a.npz")
        place.tick()
    assert place.checks() == [("a", True)] * 3
    assert place.asked == ["a"] * 3
    assert len(open_store(place.root / "store").versions("raw_scan/a")) == 3


def test_a_lost_cursor_asks_again_and_validates_nothing(place: Place) -> None:
    place.drop("a.npz")
    place.tick()
    place.cursor = '{"a.npz": [1, 2]}'  # as earlier versions wrote it
    place.tick()
    assert place.asked == ["a", "a"]  # Dagster knows the run key and starts no second run
    assert place.checks() == [("a", True)]


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


def test_recording_again_what_was_interrupted_records_nothing_twice(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        place.drop(f"{number}.npz", **({"xcoords": np.arange(6.0) + number} if number else {"xcoords": None}))
    report = place.instance.report_dagster_event
    told: list[int] = []

    def killed_later(*event: Any, **more: Any) -> None:
        told.append(0)
        if len(told) == 6:  # three arrivals, and two of four checks
            raise KeyboardInterrupt
        report(*event, **more)

    with monkeypatch.context() as patch:
        patch.setattr(place.instance, "report_dagster_event", killed_later)
        with pytest.raises(KeyboardInterrupt):
            place.tick()
    assert len(place.checks()) < 4
    place.tick()
    assert place.arrived() == ["1", "2", "3"]
    assert sorted(place.checks()) == [("0", False), ("1", True), ("2", True), ("3", True)]
    assert place.asked == ["1", "2", "3"]


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


def test_a_failed_ingest_is_tried_again_by_dropping_the_file_again_under_its_old_or_a_new_name(place: Place) -> None:
    path = place.drop("a.npz")
    place.tick()
    (run,) = place.launch()
    os.utime(path, (1, 1))
    place.tick()
    assert place.asked == ["a"]  # the run that is about it goes on
    place.fail(run)
    os.utime(path, (2, 2))
    place.tick()
    assert place.asked == ["a", "a"]
    (run,) = place.launch()
    place.fail(run)
    shutil.copy(path, place.raw / "b.npz")
    os.utime(place.raw / "b.npz", (3, 3))
    place.tick()
    assert place.asked == ["a", "a", "b"]
    assert place.arrived() == ["a", "b"]


def test_a_file_that_is_renamed_is_ingested_under_its_new_name(place: Place) -> None:
    path = place.drop("a.npz")
    place.tick()
    place.launch()
    path.rename(place.raw / "b.npz")
    place.tick()
    assert place.asked == ["a", "b"]
    assert place.arrived() == ["a", "b"]


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
