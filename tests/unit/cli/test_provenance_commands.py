"""``smalti report`` and ``smalti crate``: what they print, write and refuse."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smalti import Store, open_store
from smalti.cli import app
from smalti.errors import NotFound, Refused

pytest.importorskip("rocrate", reason="rocrate is an extra: pip install 'smalti[crate]'")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store in which one run made one value of another; the current folder is beside it."""
    store = open_store(tmp_path / "store")
    store.add_manifest("solve", inputs={"a": store.put(b"a", "raw")}, outputs={"b": store.put(b"b", "solved/b")})
    monkeypatch.chdir(tmp_path)
    return store


def run(*arguments: str) -> str:
    """Run a command on the store; errors of ours come through as they are."""
    result = CliRunner().invoke(app, [*arguments, *(() if "validate" in arguments else ("--store", "store"))])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_report_is_one_file_that_replaces_a_report_and_nothing_else(store: Store, tmp_path: Path) -> None:
    assert run("report", "solved/b").strip() == "solved-b.html"
    assert (tmp_path / "solved-b.html").read_text().startswith("<!DOCTYPE html>")
    (tmp_path / "mine.html").write_text("<p>my own</p>")
    with pytest.raises(Refused, match="is no page of Smalti"):
        run("report", "solved/b", "-o", "mine.html")
    assert json.loads(run("report", "solve", "--json", "-o", "solved-b.html"))["written"] == "solved-b.html"
    assert "<h1>solve" in (tmp_path / "solved-b.html").read_text()
    run("report", "solve", "-o", "run.html")
    assert "solve" in (tmp_path / "run.html").read_text()
    with pytest.raises(NotFound, match="is no folder"):
        run("report", "solve", "-o", "nowhere/run.html")
    with pytest.raises(NotFound, match="nor a run"):
        run("report", "nothing")
    assert not (tmp_path / "nothing.html").exists()


def test_a_crate_goes_out_and_comes_back(store: Store, tmp_path: Path) -> None:
    assert "Process Run Crate, 1 run, 2 values included" in run("crate", "export", "solve", "-o", "out.zip")
    assert "2 objects (2 B) and 1 run sound" in run("crate", "validate", "out.zip")
    other = open_store(tmp_path / "other")
    done = json.loads(CliRunner().invoke(app, ["crate", "import", "out.zip", "--store", "other", "--json"]).stdout)
    assert done["runs"] == ["solve"]
    assert other.get(store.resolve("solved/b")) == b"b"


def test_values_that_are_elsewhere_are_listed(store: Store, tmp_path: Path) -> None:
    run("crate", "export", "solved/b", "-o", "out", "--data", "reference")
    result = CliRunner().invoke(app, ["crate", "import", "out", "--store", "other"])
    assert result.exit_code == 0, result.output
    assert result.stdout.count(f"in {tmp_path / 'store'}") == 2
    assert f"  about    {store.resolve('solved/b')}\n" in result.stdout, "an imported store has no names"
    assert "keep nothing here" in result.stdout


def test_another_way_of_giving_data_is_a_usage_error(store: Store) -> None:
    result = CliRunner().invoke(app, ["crate", "export", "solve", "-o", "x", "--data", "some", "--store", "store"])
    assert result.exit_code == 2
    assert "neither include nor reference" in result.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_one_sentence(store: Store, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OSError, match="Permission denied"):
        run("crate", "export", "solve", "-o", "locked/x")
