"""Quarantine: a rejected file is moved, never deleted, and never over another."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from smalti.errors import NotFound, Refused, Unavailable
from smalti.ingest.quarantine import Quarantine

REPORT: dict[str, Any] = {
    "contract": "scan/2",
    "reason": "xcoords: found nothing, wanted one; save it.",
    "violations": [{"severity": "error", "message": "xcoords: found nothing, wanted one; save it."}],
    "judged_at": "2026-01-01T00:00:00.000000+00:00",
}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "quarantine")


def dropped(raw: Path, name: str = "a.npz", content: str = "bad") -> Path:
    (raw / name).write_text(content)
    return raw / name


def reported(at: str = "first") -> dict[str, Any]:
    return {**REPORT, "judged_at": at}


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*.npz"))}


def test_its_state_changes_with_what_comes_is_replaced_or_leaves_and_with_nothing_else(
    quarantine: Quarantine, raw: Path
) -> None:
    states = [quarantine.state()]
    quarantine.take("a", "a.npz", dropped(raw), reported("first"))
    states.append(quarantine.state())
    quarantine.entries(past=True)
    assert quarantine.state() == states[-1]
    quarantine.take("a", "a.npz", dropped(raw), reported("again"))
    states.append(quarantine.state())
    quarantine.take("b", "b.npz", dropped(raw, "b.npz"), reported())
    states.append(quarantine.state())
    quarantine.clear("b")
    assert quarantine.state() == states[2]
    assert len(set(states)) == 4


def test_a_rejected_file_lies_beside_its_report_and_what_to_do(quarantine: Quarantine, raw: Path) -> None:
    path = dropped(raw)
    path.with_name("a.npz.card.yaml").write_text("name: a")
    folder = quarantine.take("a", "a.npz", path, REPORT)
    assert folder == quarantine.folder / "a"
    assert sorted(p.name for p in folder.iterdir()) == ["README.txt", "a.npz", "a.npz.card.yaml", "report.json"]
    assert list(raw.iterdir()) == []
    assert "xcoords: found nothing, wanted one; save it." in (folder / "README.txt").read_text()
    assert "smalti quarantine retry a" in (folder / "README.txt").read_text()
    assert json.loads((folder / "report.json").read_text())["filename"] == "a.npz"


def test_the_next_file_under_a_key_makes_the_one_before_history(quarantine: Quarantine, raw: Path) -> None:
    for number in range(3):
        quarantine.take("a", "a.npz", dropped(raw, content=str(number)), reported(str(number)))
    assert contents(quarantine.folder) == {
        ".history/a~1/a.npz": "0",
        ".history/a~2/a.npz": "1",
        "a/a.npz": "2",
    }
    assert [entry.folder.name for entry in quarantine.entries()] == ["a"]
    assert [entry.folder.name for entry in quarantine.entries(past=True)] == ["a", "a~1", "a~2"]


def test_an_accepted_file_clears_what_was_rejected_under_its_key(quarantine: Quarantine, raw: Path) -> None:
    quarantine.take("a", "a.npz", dropped(raw), REPORT)
    quarantine.clear("a")
    quarantine.clear("a")
    quarantine.clear("never")
    assert quarantine.entries() == []
    assert contents(quarantine.folder) == {".history/a~1/a.npz": "bad"}


def test_an_interrupted_move_is_finished_by_the_same_call(quarantine: Quarantine, raw: Path) -> None:
    quarantine.take("a", "a.npz", None, REPORT)  # killed after the report, before the file
    path = dropped(raw)
    quarantine.take("a", "a.npz", path, REPORT)
    quarantine.take("a", "a.npz", path, REPORT)  # killed after the move, before it was noted
    assert contents(quarantine.folder) == {"a/a.npz": "bad"}
    assert len(quarantine.entries(past=True)) == 1


def test_a_retry_moves_the_file_and_its_card_back_and_keeps_the_report(quarantine: Quarantine, raw: Path) -> None:
    path = dropped(raw)
    path.with_name("a.npz.card.yaml").write_text("old")
    quarantine.take("a", "a.npz", path, REPORT)
    assert quarantine.retry(quarantine.entry("a"), raw) == path
    assert path.read_text() == "bad"
    assert path.with_name("a.npz.card.yaml").read_text() == "old"
    assert quarantine.entries() == []
    (past,) = quarantine.entries(past=True)
    assert (past.file, past.past, past.report["reason"]) == (None, True, REPORT["reason"])
    with pytest.raises(Refused, match=r"not in .* any more"):
        quarantine.retry(past, raw)


def test_a_retry_never_replaces_another_file(quarantine: Quarantine, raw: Path) -> None:
    quarantine.take("a", "a.npz", dropped(raw), REPORT)
    dropped(raw, content="other")
    with pytest.raises(Refused, match=r"another a\.npz already"):
        quarantine.retry(quarantine.entry("a.npz"), raw)
    assert (raw / "a.npz").read_text() == "other"
    assert contents(quarantine.folder) == {"a/a.npz": "bad"}


def test_a_mended_card_is_not_replaced_by_the_old_one(quarantine: Quarantine, raw: Path) -> None:
    path = dropped(raw)
    card = path.with_name("a.npz.card.yaml")
    card.write_text("old")
    quarantine.take("a", "a.npz", path, REPORT)
    card.write_text("mended")
    quarantine.retry(quarantine.entry("a"), raw)
    assert card.read_text() == "mended"
    assert (quarantine.folder / ".history/a~1/a.npz.card.yaml").read_text() == "old"


def test_a_file_that_cannot_be_moved_stays_and_is_reported(
    quarantine: Quarantine, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dropped(raw)
    rename = Path.rename

    def refusing(self: Path, target: Path) -> Path:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(Unavailable, match="Permission denied"):
        quarantine.take("a", "a.npz", path, REPORT)
    assert path.read_text() == "bad"
    assert quarantine.entries() == []


@pytest.mark.parametrize(
    ("filename", "own"),
    [
        ("report.json", "a.file"),
        ("readme.TXT", "a.file"),
        ("sub/../scan.npz", "scan.npz"),
        ("sub/..", "a.file"),
        ("x" * 255, "x" * 255),
        ("x" * 256, "a.file"),
        ("line\nbreak.npz", "line\nbreak.npz"),
        (os.fsdecode(b"\xff.npz"), os.fsdecode(b"\xff.npz")),
    ],
)
def test_a_name_from_outside_never_becomes_a_path(
    quarantine: Quarantine, raw: Path, filename: str, own: str, tmp_path: Path
) -> None:
    folder = quarantine.take("a", filename, dropped(raw), REPORT)
    assert (folder / own).read_text() == "bad"
    (entry,) = quarantine.entries()
    assert (entry.file, entry.filename) == (folder / own, filename)
    assert quarantine.retry(entry, raw) == raw / own
    assert {p.name for p in tmp_path.iterdir()} == {"raw", "quarantine"}


@pytest.mark.parametrize("key", ["..", "", ".history", "a/b", "/etc"])
def test_what_is_no_key_names_no_folder(quarantine: Quarantine, raw: Path, key: str) -> None:
    with pytest.raises(Refused, match="cannot name a folder"):
        quarantine.take(key, "a.npz", dropped(raw), REPORT)


def test_a_name_that_is_not_there_is_said(quarantine: Quarantine) -> None:
    with pytest.raises(NotFound, match="quarantine list --all"):
        quarantine.entry("nothing")


def test_a_report_that_is_none_is_said_with_its_place(quarantine: Quarantine, raw: Path) -> None:
    folder = quarantine.take("a", "a.npz", dropped(raw), REPORT)
    (folder / "report.json").chmod(0o600)
    (folder / "report.json").write_text("{")
    with pytest.raises(Unavailable, match=r"a/report\.json is not a report"):
        quarantine.entries()
