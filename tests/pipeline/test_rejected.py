"""Rejected files: a table of their own and a check on it, never a partition; a mended file clears them."""

from __future__ import annotations

import os
import shutil

import dagster as dg
import numpy as np

from assets.rejected import nothing_waits_to_be_mended, rejected_files
from tests.pipeline.arrival_place import Place


def rows(of: dg.AssetMaterialization, table: str = "files") -> list[dict[str, str]]:
    """Return the rows of a table in the metadata."""
    value = of.metadata[table]
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]


def test_a_rejected_file_is_listed_with_its_reason_and_cleared_by_a_mended_one(place: Place) -> None:
    place.drop("a.npz", xcoords=None)
    place.tick()
    assert list(place.raw.iterdir()) == []
    assert place.partitions() == []
    (entry,) = place.quarantine.entries()
    table = place.rejected()[-1]
    assert table.metadata["rejected"].value == 1
    (row,) = rows(table)
    assert (row["file"], row["path"]) == ("a.npz", str(entry.folder.relative_to(place.root)))
    assert "xcoords" in row["reason"]
    assert row["what to do"].endswith("; then drop it again under the same name")
    (check,) = place.checks()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(check.description).startswith("1 file waits to be mended, last a.npz: xcoords")
    violations = check.metadata["violations"]
    assert isinstance(violations, dg.TableMetadataValue)
    assert [record.data["code"] for record in violations.records] == ["key.missing"]

    place.drop("a.npz")
    place.tick()
    assert place.quarantine.entries() == []
    assert [entry.folder.name for entry in place.quarantine.entries(past=True)] == ["a~1"]
    assert place.rejected()[-1].metadata["rejected"].value == 0
    assert place.checks()[-1].description == "every file that was dropped keeps its contract"
    assert place.asked == place.partitions() == ["a"]


def test_the_check_fails_passes_and_fails_again_and_nothing_is_recorded_that_did_not_change(place: Place) -> None:
    for mended in (False, True, False):
        place.drop("a.npz", **({} if mended else {"xcoords": None}))
        place.tick()
        place.tick()
    assert [check.passed for check in place.checks()] == [False, True, False]
    assert [table.metadata["rejected"].value for table in place.rejected()] == [1, 0, 1]
    assert place.partitions() == ["a"]
    assert place.instance.get_runs_count() == 0


def test_the_check_speaks_of_the_table_that_was_recorded_last(place: Place) -> None:
    place.drop("a.npz", xcoords=None)
    place.tick()
    (record,) = place.instance.fetch_materializations(rejected_files.key, limit=9).records
    target = place.checks()[-1].target_materialization_data
    assert target
    assert target.storage_id == record.storage_id


def test_a_retried_file_is_validated_again_and_a_card_alone_calls_its_file_back(place: Place) -> None:
    place.drop("a.npz", xcoords=None, x=np.arange(6.0), ycoords=None, y=np.arange(6.0))
    place.tick()
    place.quarantine.retry(place.quarantine.entry("a"), place.raw)
    place.tick()
    assert [check.passed for check in place.checks()] == [False, False]
    card = place.raw / "a.npz.card.yaml"
    card.write_text("source: here\nversion: '1'\nlicence: CC0-1.0\nreading: {positions: {xcoords: x, ycoords: y}}\n")
    os.utime(card, (0, 0))
    place.tick()
    assert [check.passed for check in place.checks()] == [False, False, True]
    assert sorted(path.name for path in place.raw.iterdir()) == ["a.npz", "a.npz.card.yaml"]
    assert place.quarantine.entries() == []


def test_what_is_taken_out_of_quarantine_by_hand_is_not_listed_any_more(place: Place) -> None:
    place.drop("a.npz", xcoords=None)
    place.drop("b.npz", ycoords=None)
    place.tick()
    assert [row["file"] for row in rows(place.rejected()[-1])] == ["b.npz", "a.npz"]  # the newest first
    shutil.rmtree(place.quarantine.entry("b").folder)
    place.tick()
    assert [row["file"] for row in rows(place.rejected()[-1])] == ["a.npz"]


def test_links_and_pipes_are_refused_unopened_and_listed_though_they_stay(place: Place) -> None:
    os.mkfifo(place.raw / "pipe.npz")
    os.utime(place.raw / "pipe.npz", (0, 0))
    (place.raw / "link.npz").symlink_to(place.root / "nowhere")
    os.utime(place.raw / "link.npz", (0, 0), follow_symlinks=False)
    place.tick()
    listed = rows(place.rejected()[-1])
    assert sorted(row["file"] for row in listed) == ["link.npz", "pipe.npz"]
    assert all("stays" in row["path"] for row in listed)
    assert sorted(path.name for path in place.raw.iterdir()) == ["link.npz", "pipe.npz"]
    assert isinstance(place.tick(), dg.SkipReason)
    (place.raw / "pipe.npz").unlink()
    place.tick()
    assert [row["file"] for row in rows(place.rejected()[-1])] == ["link.npz"]
    assert place.observed() == []


def test_what_is_ignored_is_listed_beside_what_is_rejected(place: Place) -> None:
    (place.raw / "junk.txt").write_text("not data")
    (place.raw / "b.npz.part").write_text("half")
    place.tick()
    assert rows(place.rejected()[-1], "ignored") == [
        {"file": "b.npz.part", "where": "data/raw", "reason": "its name says that it is still being copied"},
        {"file": "junk.txt", "where": "data/raw", "reason": "its name says that it is a note, no data"},
    ]
    (place.raw / "b.npz.part").unlink()  # copies come and go: they alone are no news
    place.tick()
    assert len(place.rejected()) == 1
    assert place.checks()[-1].passed


def test_a_report_of_somebody_else_is_named_and_stops_no_arrival(place: Place) -> None:
    folder = place.root / "data" / "quarantine" / "mine"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text("nonsense")
    place.drop("a.npz")
    place.tick()
    assert place.asked == ["a"]
    assert place.rejected() == []


def test_the_check_can_be_run_by_a_person(place: Place) -> None:
    place.drop("a.npz", xcoords=None)
    place.tick()
    result = dg.materialize(
        [rejected_files, nothing_waits_to_be_mended],
        selection=dg.AssetSelection.checks(nothing_waits_to_be_mended),
        instance=place.instance,
    )
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
