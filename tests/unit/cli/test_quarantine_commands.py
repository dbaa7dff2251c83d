"""``smalti quarantine``: what was not accepted, why, and another try."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from smalti.cli.quarantine import app
from smalti.errors import NotFound, Refused
from smalti.ingest.quarantine import Quarantine

REASON = "xcoords: found nothing, wanted one; save it.\nycoords: found nothing, wanted one; save it."


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    raw = tmp_path / "data" / "raw"
    raw.mkdir(parents=True)
    report = {"contract": "scan/1", "reason": REASON, "violations": [], "validated_at": "2026-01-01"}
    for key, name in (("a", "a.npz"), ("b-1", "b\n.npz")):
        (raw / name).write_text("bad")
        Quarantine(tmp_path / "data" / "quarantine").take(key, name, raw / name, report)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_the_list_has_each_file_with_its_first_reason(root: Path) -> None:
    lines = run("list").stdout.splitlines()
    assert lines == [
        "a  a.npz  xcoords: found nothing, wanted one; save it. (and 1 more)",
        r"b-1  'b\n.npz'  xcoords: found nothing, wanted one; save it. (and 1 more)",
    ]
    assert [entry["name"] for entry in json.loads(run("list", "--json").stdout)] == ["a", "b-1"]


def test_one_file_is_shown_with_every_reason_and_its_place(root: Path) -> None:
    shown = run("show", "a").stdout
    assert "does not keep the contract scan/1" in shown
    assert "ycoords: found nothing" in shown
    assert str(root / "data" / "quarantine" / "a" / "a.npz") in shown
    assert json.loads(run("show", "a.npz", "--json").stdout)["report"]["contract"] == "scan/1"


def test_a_retry_moves_one_file_back(root: Path) -> None:
    assert run("retry", "a").exit_code == 0
    assert (root / "data" / "raw" / "a.npz").read_text() == "bad"
    assert [entry["name"] for entry in json.loads(run("list", "--json").stdout)] == ["b-1"]
    assert [entry["past"] for entry in json.loads(run("list", "--all", "--json").stdout)] == [False, True]


def test_a_retry_of_all_leaves_what_has_no_room_and_says_so(root: Path) -> None:
    (root / "data" / "raw" / "a.npz").write_text("other")
    result = run("retry", "--all", "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert [Path(path).name for path in answer["moved"]] == ["b\n.npz"]
    assert "another a.npz" in answer["stayed"][0]
    assert isinstance(run("retry", "a").exception, Refused)


def test_a_retry_of_nothing_in_particular_is_a_usage_error(root: Path) -> None:
    assert run("retry").exit_code == 2
    assert run("retry", "a", "--all").exit_code == 2
    assert isinstance(run("retry", "nothing").exception, NotFound)


def test_what_is_ignored_is_listed_with_the_reason(root: Path) -> None:
    (root / "data" / "raw" / "junk.txt").write_text("x")
    assert run("ignored").stdout == "junk.txt  its name says that it is a note, no data\n"
    assert json.loads(run("ignored", "--json").stdout) == [
        {"name": "junk.txt", "reason": "its name says that it is a note, no data"}
    ]
