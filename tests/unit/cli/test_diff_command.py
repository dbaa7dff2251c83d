"""Laws of ``smalti diff``: what it prints, the page it writes and what that never replaces, keys, JSON, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from smalti import Store, open_store
from smalti.cli import app

Run = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    store = open_store(tmp_path / "store")
    frame = pd.DataFrame({"code": ["a", "b", "c"], "x": [1.0, 2.0, np.nan]})
    store.put(frame, "table/1")
    store.put(frame[::-1].reset_index(drop=True).assign(x=[np.nan, 2.5, 1.0]), "table/2")
    store.put({"image": np.eye(20), "z": np.ones(3, complex), "<script>": b"1"}, "tree/1")
    store.put({"image": np.eye(20)[::-1], "z": np.array([1, np.nan, 1j]), "<script>": b"2"}, "tree/2")
    return store


@pytest.fixture
def run(store: Store) -> Run:
    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["diff", *arguments, "--store", store.place])
        assert done.exit_code == code, done.output
        return done.output

    return run


def test_rows_are_matched_by_the_key_that_is_given(run: Run) -> None:
    said = run("table/1", "table/2", "--key", "code", code=1)
    assert "rows were matched by code (as given)" in said
    assert "row b, x: 2.0 -> 2.5" in said
    assert "1 cell changed" in said


def test_a_key_that_is_in_no_table_is_one_sentence_and_2(run: Run) -> None:
    said = run("table/1", "table/2", "--key", "nothing", code=2)
    assert said == "smalti: the table before has no column 'nothing'; it has code, x.\n"


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(run: Run, tmp_path: Path) -> None:
    run("tree/1", "tree/2", "--html", "page.html", code=1)
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/png;base64,") >= 3
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "http:" not in page.replace('http-equiv="Content', "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "store"]


def test_a_page_replaces_a_page_and_nothing_else(run: Run, tmp_path: Path) -> None:
    run("tree/1", "tree/2", "--html", "page.html", code=1)
    run("table/1", "table/2", "--html", "page.html", code=1)
    assert "table of 3 rows" in (tmp_path / "page.html").read_text()
    mine = tmp_path / "mine.html"
    mine.write_text("<p>my own</p>")
    said = run("tree/1", "tree/2", "--html", "mine.html", code=2)
    assert "mine.html exists and is no page of Smalti" in said
    assert mine.read_text() == "<p>my own</p>"
    assert "is a folder" in run("tree/1", "tree/2", "--html", "store", code=2)
    assert "is no folder" in run("tree/1", "tree/2", "--html", "nowhere/page.html", code=2)


def test_a_link_to_a_page_stays_a_link(run: Run, tmp_path: Path) -> None:
    run("tree/1", "tree/2", "--html", "page.html", code=1)
    (tmp_path / "link.html").symlink_to("page.html")
    run("table/1", "table/2", "--html", "link.html", code=1)
    assert (tmp_path / "link.html").is_symlink()
    assert "table of 3 rows" in (tmp_path / "page.html").read_text()


def test_equal_values_have_a_page_too(run: Run, tmp_path: Path) -> None:
    assert run("tree/1", "tree/1", "--html", "page.html") == "equal\n"
    assert "The two values are equal" in (tmp_path / "page.html").read_text()


def test_json_has_records_and_content_and_no_number_that_json_lacks(run: Run) -> None:
    document = json.loads(run("tree/1", "tree/2", "--json", code=1), parse_constant=pytest.fail)
    assert {change["path"] for change in document["changes"]} == {"<script>", "image", "z"}
    contents = {difference["path"]: difference["content"] for difference in document["differences"]}
    assert contents["image"]["elements"]["changed"] == 40
    assert contents["z"]["elements"]["nan_came"] == 1
    assert document["equal"] is False
