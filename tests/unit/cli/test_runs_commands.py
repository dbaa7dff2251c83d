"""Laws of ``smalti runs``: what runs used is listed, shown and found, and released only when told to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from smalti import Ref, Store, open_store
from smalti.cli import app


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


@pytest.fixture
def ref(store: Store) -> Ref:
    """A value under the name ``data``, read by two runs."""
    ref = store.put(np.arange(1000), name="data")
    for run in ("first", "second"):
        model = store.put(run.encode())
        store.add_manifest(run, inputs={"data": ref}, outputs={"model": model}, notes={"code": "3f2a"})
    return ref


def runs(store: Store, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["runs", *arguments, "--store", store.place])


def answer(store: Store, *arguments: str) -> dict | list:
    return json.loads(runs(store, *arguments, "--json").stdout)


def test_runs_are_listed_and_shown(store: Store, ref: Ref) -> None:
    first, second = runs(store, "list").stdout.splitlines()
    assert first.startswith("first  20")
    assert second.endswith("1 read, 1 written")
    assert [manifest["run"] for manifest in answer(store, "list")] == ["first", "second"]
    shown = answer(store, "show", "first")
    assert (shown["inputs"], shown["notes"]) == ({"data": ref.digest}, {"code": "3f2a"})
    text = runs(store, "show", "first").stdout
    assert f"read   {ref.digest}  data" in text
    assert '"code": "3f2a"' in text


def test_runs_are_found_by_name_or_digest_of_what_they_used(store: Store, ref: Ref) -> None:
    both = [{"run": "first", "role": "read"}, {"run": "second", "role": "read"}]
    assert answer(store, "find", "--data", "data") == answer(store, "find", "--data", ref.digest) == both
    model = store.manifest("second").outputs["model"]
    assert runs(store, "find", "--data", model).stdout == "wrote  second\n"


def test_nothing_recorded_is_said(store: Store) -> None:
    store.put(np.arange(3), name="data")
    for command in (["list"], ["find", "--data", "data"]):
        done = runs(store, *command)
        assert (done.exit_code, done.stdout) == (0, "")
        assert "store.add_manifest records one" in done.stderr


def test_a_release_happens_only_when_told_to(store: Store, ref: Ref) -> None:
    assert runs(store, "release", "first").stdout.endswith("1 runs would be released\n")
    assert not store.manifest("first").released_at
    assert runs(store, "release", "first", "--no-dry-run").stdout.endswith("1 runs released\n")
    assert store.manifest("first").released_at
    assert ", released 20" in runs(store, "list").stdout.splitlines()[0]


def test_a_release_by_age_spares_the_newest(store: Store, ref: Ref) -> None:
    assert answer(store, "release", "--older-than", "1h") == {"dry_run": True, "runs": []}
    report = answer(store, "release", "--older-than", "0d", "--keep-last", "1", "--no-dry-run")
    assert [manifest["run"] for manifest in report["runs"]] == ["first"]
    assert not store.manifest("second").released_at


@pytest.mark.parametrize("arguments", [[], ["first", "--older-than", "1d"], ["first", "--keep-last", "1"]])
def test_a_release_says_which_runs_in_one_way(store: Store, ref: Ref, arguments: list[str]) -> None:
    result = runs(store, "release", *arguments)
    assert result.exit_code == 2
    assert "name runs, or say" in result.output


def test_an_age_has_a_unit(store: Store) -> None:
    result = runs(store, "release", "--older-than", "90")
    assert result.exit_code == 2
    assert "'90' is no age; write hours, days or weeks" in " ".join(result.output.split())


def test_views_are_listed_and_made_again(store: Store, ref: Ref) -> None:
    assert "no run is shown anywhere" in runs(store, "views").stderr
    for run in ("first", "second"):
        store.update_manifest(run, views=["by_project/churn"])
    assert runs(store, "views").stdout == "    2  runs/by_project/churn\n"
    assert answer(store, "views") == {"by_project/churn": ["first", "second"]}
    entry = Path(store.place) / "runs" / "by_project" / "churn" / "first" / "manifest.json"
    entry.unlink()
    assert runs(store, "views", "--rebuild").stdout == "6 entries, 1 made or mended, 0 removed\n"
    assert json.loads(entry.read_text())["run"] == "first"
    assert answer(store, "views", "--rebuild") == {"entries": 6, "made": 0, "removed": 0}
