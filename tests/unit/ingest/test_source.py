"""A look at the folder where files arrive."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smalti.errors import Unavailable
from smalti.ingest.source import Folder, why_ignored


def names(folder: Path) -> list[str]:
    return sorted(found.name for found in Folder(folder).look().files)


def settled(folder: Path) -> dict[str, bool]:
    return {found.name: found.settled for found in Folder(folder).look().files}


def test_what_is_hidden_half_copied_or_about_other_files_is_no_data(tmp_path: Path) -> None:
    for name in ("b.npz", "a.npz", "b.npz.card.yaml", ".hidden.npz", "c.npz.part", "d.npz.TMP", "README.md", "e~"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.npz").mkdir()
    assert names(tmp_path) == ["a.npz", "b.npz"]


def test_a_file_that_may_still_be_growing_is_not_settled(tmp_path: Path) -> None:
    (tmp_path / "new.npz").write_bytes(b"x")
    (tmp_path / "old.npz").write_bytes(b"x")
    os.utime(tmp_path / "old.npz", (0, 0))
    (tmp_path / "future.npz").write_bytes(b"x")
    os.utime(tmp_path / "future.npz", (1e10, 1e10))
    assert settled(tmp_path) == {"new.npz": False, "old.npz": True, "future.npz": False}


def test_a_card_that_is_being_written_leaves_its_file_unsettled_and_changes_its_identity(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"x")
    os.utime(tmp_path / "a.npz", (0, 0))
    before = Folder(tmp_path).identity("a.npz")
    (tmp_path / "a.npz.card.yaml").write_text("name: a")
    assert settled(tmp_path) == {"a.npz": False}
    assert Folder(tmp_path).identity("a.npz") != before


def test_another_file_of_equal_size_and_time_in_its_place_has_another_identity(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (0, 0))
    before = Folder(tmp_path).identity("a.npz")
    (tmp_path / "b.npz").replace(tmp_path / "a.npz")
    assert Folder(tmp_path).identity("a.npz") != before


def test_names_of_any_bytes_and_the_longest_names_are_found(tmp_path: Path) -> None:
    longest, odd = "x" * 251 + ".npz", os.fsdecode(b"\xff\n.npz")
    for name in (longest, odd):
        (tmp_path / name).write_bytes(b"x")
    assert names(tmp_path) == sorted([longest, odd])


def test_links_and_pipes_are_found_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "link.npz").symlink_to("/dev/zero")
    assert names(tmp_path) == ["link.npz", "pipe.npz"]


def test_cards_without_their_files_are_found_once_they_settled(tmp_path: Path) -> None:
    for name in ("a.npz", "a.npz.card.yaml", "b.npz.card.yaml", "c.npz.card.yaml"):
        (tmp_path / name).write_bytes(b"x")
    os.utime(tmp_path / "b.npz.card.yaml", (0, 0))
    assert Folder(tmp_path).cards_alone() == ["b.npz"]


def test_a_folder_that_cannot_be_looked_at_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="looking at"):
        Folder(tmp_path / "nowhere").look()


def test_what_is_data_is_told_from_the_name() -> None:
    assert why_ignored("scan.npz") is None
    assert why_ignored("_scan.npz") == "its name says that it is hidden"
