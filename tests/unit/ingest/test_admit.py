"""Admitting files: the copy is judged and kept, and what the machine does wrong is no verdict on a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import open_store
from smalti.contracts import SCAN
from smalti.errors import Unavailable
from smalti.ingest import admit as admission
from smalti.ingest.admit import admit, scan_of, stored_name
from smalti.ingest.ledger import Ledger

Admit = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def admitted(tmp_path: Path) -> Admit:
    """Admit files under their stems, and return what was told of each."""

    def run(*paths: Path, again: bool = False) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        files = [{"path": str(path), "key": path.name.split(".")[0], "again": again} for path in paths]
        places = {"store": str(tmp_path / "store"), "ledger": str(tmp_path / "ledger.sqlite")}
        admit({**places, "files": files}, told.append)
        assert [answer["begun"] for answer in told[::2]] == list(range(len(files)))
        return told[1::2]

    return run


def write(path: Path, **changes: Any) -> Path:
    row, column = np.mgrid[:16, :16] - 8
    counts = np.rint(900 * np.exp(-(row**2 + column**2) / 8))
    patterns = np.sqrt(np.stack([counts + i % 2 for i in range(6)])).astype("f4")
    arrays = {"diffraction": patterns, "xcoords": np.arange(6.0), "ycoords": np.arange(6.0), **changes}
    with path.open("wb") as file:
        np.savez(file, **{key: array for key, array in arrays.items() if array is not None})
    return path


def test_an_accepted_file_is_stored_as_it_came_and_known_by_its_key(admitted: Admit, tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz")
    ((told),) = admitted(path)
    verdict = told["verdict"]
    store = open_store(tmp_path / "store")
    assert (verdict["accepted"], verdict["shape"], verdict["contract"]) == (True, [6, 16, 16], SCAN.id)
    assert store.resolve("raw_scan/a") == verdict["digest"]
    assert bytes(store.get("raw_scan/a").content) == path.read_bytes()
    assert stored_name(store, "a") == "a.npz"
    assert store.get("raw_scan/a").contract == SCAN.id
    assert stored_name(store, "b") is None
    assert scan_of(store, verdict["digest"]).metadata.name == "a"
    assert scan_of(store, verdict["digest"], "a-123456").metadata.name == "a-123456"
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_equal_bytes_are_read_once_and_kept_under_both_keys(
    admitted: Admit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    validate_scan = admission.validate_scan
    monkeypatch.setattr(
        admission, "validate_scan", lambda path, card: read.append(path.name) or validate_scan(path, card)
    )
    first, second = (told["verdict"] for told in admitted(write(tmp_path / "a.npz"), write(tmp_path / "b.npz")))
    assert read == ["a.npz"]
    assert first["content"] == second["content"]
    assert second["same_bytes_as"] == "a"
    assert second["new_bytes"] < first["new_bytes"] / 2
    admitted(tmp_path / "b.npz", again=True)
    assert read == ["a.npz", "b.npz"]


def test_another_card_makes_other_content(admitted: Admit, tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.npz"), write(tmp_path / "b.npz")]
    paths[1].with_name("b.npz.card.yaml").write_text("name: b\nsource: here\nversion: '1'\nlicence: CC0-1.0\n")
    first, second = (told["verdict"] for told in admitted(*paths))
    assert first["content"] != second["content"]
    assert "same_bytes_as" not in second
    assert second["licence"] == "CC0-1.0"


def test_a_rejected_file_is_not_stored(admitted: Admit, tmp_path: Path) -> None:
    missing, empty = write(tmp_path / "a.npz", xcoords=None), tmp_path / "b.npz"
    empty.touch()
    first, second = (told["verdict"] for told in admitted(missing, empty))
    assert [first["accepted"], second["accepted"]] == [False, False]
    assert "xcoords" in first["reason"]
    assert second["violations"][0]["code"] == "file.format"
    assert not (tmp_path / "store" / "data").exists()


def test_a_file_that_is_written_to_while_it_is_copied_is_postponed(
    admitted: Admit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.npz")
    fstat, looks = os.fstat, []

    def growing(descriptor: int) -> os.stat_result:
        looks.append(descriptor)
        if len(looks) == 3:  # opened, before, after
            with path.open("ab") as file:
                file.write(b"more")
        return fstat(descriptor)

    monkeypatch.setattr(admission.os, "fstat", growing)
    (told,) = admitted(path)
    assert "holds still" in told["postponed"]


def test_a_full_disk_and_a_vanished_file_are_no_verdicts(
    admitted: Admit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (told,) = admitted(tmp_path / "nothing.npz")
    assert "no file" in told["postponed"]

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(admission, "_keep", full)
    first, second = admitted(write(tmp_path / "a.npz"), write(tmp_path / "b.npz", xcoords=None))
    assert "No space left" in first["postponed"]
    assert not second["verdict"]["accepted"]


def test_a_file_that_is_too_large_is_refused_before_it_is_copied(admitted: Admit, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # of holes
    (told,) = admitted(path)
    assert [violation["code"] for violation in told["verdict"]["violations"]] == ["file.too_large"]


def test_memory_that_runs_out_ends_the_child(admitted: Admit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*_: Any) -> None:
        raise Unavailable("it does not fit") from MemoryError()

    monkeypatch.setattr(admission, "validate_scan", too_large)
    with pytest.raises(MemoryError):
        admitted(write(tmp_path / "a.npz"))


def test_a_name_that_is_no_text_is_kept_escaped(admitted: Admit, tmp_path: Path) -> None:
    write(tmp_path / os.fsdecode(b"a.\xff.npz"))
    (told,) = admitted(tmp_path / os.fsdecode(b"a.\xff.npz"))
    assert told["verdict"]["accepted"]
    assert open_store(tmp_path / "store").get("raw_scan/a").filename == r"a.\xff.npz"


def test_the_ledger_is_asked_for_equal_bytes_of_earlier_batches(admitted: Admit, tmp_path: Path) -> None:
    from smalti.ingest.ledger import Found

    ledger = Ledger(tmp_path / "ledger.sqlite")
    (told,) = admitted(write(tmp_path / "a.npz"))
    (waiting,) = ledger.look("data/raw", [Found("a.npz", "1", 1, True)], lambda key: None, 10)
    ledger.judged("data/raw", waiting, told["verdict"])
    (twin,) = admitted(write(tmp_path / "b.npz"))
    assert twin["verdict"]["same_bytes_as"] == "a"
