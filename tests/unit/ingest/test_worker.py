"""The worker: each file is validated once, one bad file keeps no other back, and a machine's fault is no refusal."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import open_store
from smalti.errors import ContractBroken, Unavailable
from smalti.ingest.ledger import Arrival, Ledger
from smalti.ingest.quarantine import Quarantine
from smalti.ingest.source import Folder
from smalti.ingest.worker import Worker, in_sentences

Write = Callable[..., Path]
_POSITIONS = np.arange(6.0)


class Root:
    """A root with its worker."""

    def __init__(self, folder: Path, write: Write, validator: Any) -> None:
        self.folder, self._write, self._validator = folder, write, validator
        self.raw = folder / "raw"
        self.raw.mkdir()
        self.quarantine = Quarantine(folder / "quarantine")

    def drop(self, name: str, **changes: Any) -> Path:
        path = self._write(self.raw / name, **changes)
        os.utime(path, (0, 0))
        return path

    def work(self) -> Worker:
        ledger, store = self.folder / "l.sqlite", str(self.folder / "store")
        worker = Worker(
            Folder(self.raw), ledger, store, self.quarantine.folder, self.raw, lambda folder: self._validator
        )
        worker.start(60)
        worker.wait(60)
        assert worker.failure is None
        return worker

    def arrivals(self) -> list[Arrival]:
        return Ledger(self.folder / "l.sqlite").after(0)


@pytest.fixture
def root(tmp_path: Path, write: Write, validator: Any) -> Root:
    return Root(tmp_path, write, validator)


def test_each_file_is_validated_once_and_a_bad_one_keeps_no_other_back(root: Root, validator: Any) -> None:
    for number, name in enumerate("abcd"):
        root.drop(f"{name}.npz", xcoords=None if name == "b" else number + _POSITIONS)
    validator.faults["c.npz"] = ContractBroken("c.npz: it crashed its reader.")
    root.work()
    root.work()
    assert [(arrival.key, arrival.accepted) for arrival in root.arrivals()] == [
        ("a", True),
        ("b", False),
        ("c", False),
        ("d", True),
    ]
    assert validator.read == ["a.npz", "b.npz", "c.npz", "d.npz"]
    assert sorted(path.name for path in root.raw.iterdir()) == ["a.npz", "d.npz"]
    assert [entry.key for entry in root.quarantine.entries()] == ["b", "c"]


def test_what_the_machine_does_wrong_is_tried_again_and_is_no_refusal(root: Root, validator: Any) -> None:
    root.drop("a.npz")
    validator.faults["a.npz"] = Unavailable("no memory for a child process.")
    assert in_sentences(root.work().postponed) == "a.npz: no memory for a child process."
    assert root.arrivals() == []
    validator.faults.clear()
    root.work()
    assert [arrival.accepted for arrival in root.arrivals()] == [True]


def test_equal_bytes_are_validated_once_unless_the_contract_has_changed(
    root: Root, validator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.drop("a.npz")
    root.work()
    root.drop("b.npz")
    root.work()
    assert validator.read == ["a.npz"]
    assert [arrival.report.get("same_bytes_as") for arrival in root.arrivals()] == [None, "a"]
    monkeypatch.setattr("smalti.ingest.worker._is_current", lambda report: False)  # as after an upgrade
    root.drop("c.npz")
    root.work()
    assert validator.read == ["a.npz", "c.npz"]


def test_a_file_that_is_dropped_again_says_so_and_is_known_to_be_recorded(root: Root) -> None:
    root.drop("a.npz")
    root.work()
    os.utime(root.raw / "a.npz", (1, 1))
    root.work()
    first, second = root.arrivals()
    assert ("dropped_again" in first.report, second.report["dropped_again"]) == (False, True)
    assert second.report["digest"] == first.report["digest"]


def test_what_is_ignored_is_listed_with_the_reason(root: Root) -> None:
    for name in ("junk.txt", "b.npz.part", ".hidden", "c.npz.card.yaml"):
        (root.raw / name).write_text("x")
    (root.raw / "folder").mkdir()
    root.work()
    told = Ledger(root.folder / "l.sqlite").ignored()["data/raw"]
    assert told.count == 5
    assert dict(told.first) == {
        "junk.txt": "its name says that it is a note, no data",
        "b.npz.part": "its name says that it is still being copied",
        ".hidden": "its name says that it is hidden",
        "c.npz.card.yaml": "a card without its file",
        "folder": "a folder; files lie directly in data/raw",
    }
    for path in root.raw.iterdir():
        path.rmdir() if path.is_dir() else path.unlink()
    root.work()
    assert Ledger(root.folder / "l.sqlite").ignored() == {}


def test_a_rejected_file_comes_back_by_its_card_and_is_accepted(root: Root) -> None:
    root.drop("a.npz", xcoords=None, x=_POSITIONS, ycoords=None, y=_POSITIONS)
    root.work()
    assert list(root.raw.iterdir()) == []
    card = root.raw / "a.npz.card.yaml"
    card.write_text(
        "name: a\nsource: here\nversion: '1'\nlicence: CC0-1.0\nreading: {positions: {xcoords: x, ycoords: y}}\n"
    )
    os.utime(card, (0, 0))
    root.work()
    assert [arrival.accepted for arrival in root.arrivals()] == [False, True]
    assert root.quarantine.entries() == []
    assert open_store(root.folder / "store").get("raw_scan/a").filename == "a.npz"
