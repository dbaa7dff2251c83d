"""Equal bytes, files that are dropped again, partitions that were deleted: what is recorded and asked for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import dagster as dg
import numpy as np

from assets.arrival import Latest, ledger_path, outcome_of
from assets.raw import RAW
from smalti import open_store
from smalti.ingest.ledger import Arrival, Ledger
from tests.pipeline.arrival_place import Place


def copied(path: Path, name: str) -> Path:
    """Copy a file beside itself, as a person does who drops it again."""
    shutil.copy(path, path.with_name(name))
    os.utime(path.with_name(name), (0, 0))
    return path.with_name(name)


def test_equal_bytes_under_more_names_are_one_partition_that_says_so(place: Place) -> None:
    first = place.drop("a.npz")
    copied(first, "b.npz")
    place.tick()
    place.launch()
    copied(first, "c.npz")  # in a later batch
    place.tick()
    assert place.arrived() == place.partitions() == ["a"]
    assert place.asked == ["a"]
    told = "the same bytes arrived as {} too; they are one partition, and nothing is made of them twice"
    assert place.observed() == [("a", told.format(name)) for name in ("b.npz", "c.npz")]
    store = open_store(place.root / "store")
    contents = {store.record(f"raw_scan/{key}").children["content"] for key in "abc"}
    assert len(contents) == 1
    reports = [arrival.report for arrival in Ledger(ledger_path(place.instance)).after(0)]
    assert [report.get("same_bytes_as") for report in reports] == [None, "a", "a"]
    assert [report["new_bytes"] < 2000 for report in reports] == [False, True, True]


def test_a_file_that_is_renamed_is_a_partition_under_its_new_name_and_so_is_one_renamed_again(place: Place) -> None:
    path = place.drop("a.npz")
    place.tick()
    place.launch()
    path = path.rename(place.raw / "b.npz")
    place.tick()
    place.launch()
    path = path.rename(place.raw / "c.npz")
    place.tick()
    place.launch()
    assert place.asked == place.arrived() == ["a", "b", "c"]
    copied(path, "d.npz")  # beside the one that is there now
    place.tick()
    assert place.asked == place.arrived() == ["a", "b", "c"]
    assert place.observed()[-1][0] == "c"


def test_a_partition_keeps_its_own_file_whatever_bytes_that_gets(place: Place) -> None:
    first = place.drop("a.npz")
    place.drop("b.npz", xcoords=np.arange(6.0) + 1)
    place.tick()
    place.launch()
    os.utime(copied(first, "b.npz"), (1, 1))
    place.tick()
    assert place.arrived() == ["a", "b", "b"]
    assert place.asked == ["a", "b", "b"]


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
    copied(path, "b.npz")
    place.tick()
    assert place.asked == ["a", "a", "a"]
    assert place.arrived() == ["a"]
    assert len({request.run_key for request in place.requests}) == len(place.requests)


def test_a_failed_reconstruction_is_tried_again_without_reading_the_file_again(place: Place) -> None:
    path = place.drop("a.npz")
    place.tick()
    (run,) = place.launch()
    place.fail(run)
    place.record("scan", "a", "v1", raw_scan=place.raw_version("a"))

    def touched(at: int) -> str | None:
        before = len(place.asked)
        os.utime(path, (at, at))
        place.tick()
        place.requests.clear()
        return next(iter(place.asked[before:]), None)

    assert touched(1) is None  # a moment after it was ingested, its own sensor has not seen it yet
    place.launch_partition("a")
    assert touched(2) is None  # it is being reconstructed
    for goes_on in place.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        place.fail(goes_on.run_id)
    assert touched(3) == "reconstruct a"
    place.record("reconstruction", "a", "r1")  # it is all there can be: no pixel size is known
    assert touched(4) is None
    place.record("scan", "a", "v1", raw_scan=place.raw_version("a"))  # equal: nothing follows from it
    assert touched(5) is None
    place.record("scan", "a", "v2", raw_scan=place.raw_version("a"))
    place.launch_partition("a", dg.DagsterRunStatus.FAILURE)
    assert touched(6) == "reconstruct a"
    place.record("scan", "a", "v3", raw_scan="sha256:of other bytes")
    assert touched(7) == "a"


def test_a_partition_that_was_deleted_or_wiped_returns_with_its_file(place: Place) -> None:
    path = place.drop("a.npz")
    place.tick()
    place.launch()
    for run in place.instance.get_runs():
        place.fail(run.run_id)
    for at, delete in enumerate((True, False), 1):
        if delete:
            place.instance.delete_dynamic_partition("scan", "a")
        else:
            place.instance.wipe_assets([RAW["scan"].key])
        place.tick()
        assert place.asked == ["a"] * at  # as long as nobody drops it
        os.utime(path, (at, at))
        place.tick()
        assert place.partitions() == ["a"]
        assert place.asked == ["a"] * (at + 1)
    assert place.arrived() == ["a"]  # what was wiped before is gone


def test_the_bytes_of_a_deleted_partition_return_under_another_name_too(place: Place) -> None:
    path = place.drop("a.npz")
    place.tick()
    place.launch()
    place.instance.delete_dynamic_partition("scan", "a")
    copied(path, "b.npz")
    place.tick()
    assert place.partitions() == ["b"]
    assert place.asked == ["a", "b"]


def test_a_file_without_a_partition_is_told_of_on_that_of_the_equal_one_when_it_goes(place: Place) -> None:
    copied(place.drop("a.npz"), "b.npz")
    place.tick()
    (place.raw / "b.npz").unlink()
    place.tick()
    told = ("a", "b.npz, with the same bytes as a, is gone from where it arrived; what was stored of it stays")
    assert place.observed()[-1] == told


def arrival(key: str, number: int = 7, *, again: bool = False, accepted: bool = True) -> Arrival:
    report = {"digest": f"sha256:{key}"} | ({"dropped_again": True} if again else {})
    return Arrival(number, "data/raw", f"{key}.npz", "1", key, "content", accepted, report, "", "batch", False)


def version(digest: str, number: int) -> Latest:
    return Latest(1, "", 0.0, {"dagster/data_version": digest, "smalti/arrival": str(number)})


def test_what_is_recorded_of_an_arrival() -> None:
    there = {"a": version("sha256:a", 1), "b": version("sha256:b", 7)}
    outcomes = {
        "rejected": outcome_of(arrival("a", accepted=False), there, []),
        "first": outcome_of(arrival("c"), there, []),
        "changed": outcome_of(arrival("a"), there, []),
        "dropped again": outcome_of(arrival("a", again=True), there, ["a"]),
        "recorded before it was interrupted": outcome_of(arrival("b", again=True), there, []),
        "dropped again, and read otherwise now": outcome_of(arrival("a", again=True), {"a": version("old", 1)}, []),
        "dropped again, and deleted in Dagster": outcome_of(arrival("c", again=True), there, ["c"]),
        "equal to another": outcome_of(arrival("c"), there, ["a"]),
        "equal to one that was deleted in Dagster": outcome_of(arrival("c"), there, ["d"]),
        "equal to another, with a partition": outcome_of(arrival("b", number=8), there, ["a"]),
    }
    assert {name: (of.partition, of.recorded) for name, of in outcomes.items()} == {
        "rejected": (None, False),
        "first": ("c", True),
        "changed": ("a", True),
        "dropped again": ("a", False),
        "recorded before it was interrupted": ("b", True),
        "dropped again, and read otherwise now": ("a", True),
        "dropped again, and deleted in Dagster": ("c", True),
        "equal to another": ("a", False),
        "equal to one that was deleted in Dagster": ("c", True),
        "equal to another, with a partition": ("b", True),
    }
