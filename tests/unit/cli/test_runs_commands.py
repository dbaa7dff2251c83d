"""Laws of ``smalti runs``: what runs used is listed, shown and found, and released only when told to."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from smalti import Ref, Store, open_store
from smalti.cli import app
from smalti.errors import Ambiguous, NotFound, Refused
from smalti.runs.circumstances.process import this_process
from smalti.store import Step
from smalti.store.format.sealed import seal


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


def test_runs_are_listed_newest_first(store: Store, ref: Ref) -> None:
    lines = runs(store, "list").stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"first", "second"}
    assert lines[0].endswith("1 read, 1 written")
    time.sleep(0.002)
    store.add_manifest("third", run_type="analysis", status="failed", project="churn")
    assert runs(store, "list").stdout.startswith("third  20")
    assert " UTC  analysis  failed  churn  0 read" in runs(store, "list").stdout
    assert answer(store, "list")[0]["run"] == "third"
    for chosen in (["--project", "churn"], ["--type", "analysis"], ["--status", "failed"]):
        assert [manifest["run"] for manifest in answer(store, "list", *chosen)] == ["third"]
    assert len(answer(store, "list", "--since", "1h")) == 3
    assert runs(store, "list", "--since", "0h").stderr == "no run recorded here is such\n"


def test_a_run_is_shown_with_all_that_is_known(store: Store, ref: Ref) -> None:
    steps = (Step("fit", {"data": ref.digest}, seconds=2.5),)
    said = {"tags": {"who": "me"}, "parameters": {"lr": 1e-3, "layers": [1, 2]}, "links": {"mlflow": "3f2a"}}
    store.update_manifest("first", steps=steps, status="failed", error="out of memory", views=["by_date"], **said)
    store.add_manifest("part", parent="first")
    shown = answer(store, "show", "first")
    assert (shown["inputs"], shown["notes"]) == ({"data": ref.digest}, {"code": "3f2a"})
    assert (shown["children"], shown["steps"][0]["seconds"]) == (["part"], 2.5)
    text = runs(store, "show", "first").stdout
    assert f"  read   {ref.digest}  data\n" in text
    for line in (
        "error     out of memory",
        "children  part",
        "views     by_date",
        "step fit, took 2.5 s",
        "lr      0.001",
        "layers  [1, 2]",
        "mlflow  3f2a",
        '"code": "3f2a"',
    ):
        assert f"  {line}\n" in text
    assert "part of   first" in runs(store, "show", "part").stdout


def test_a_run_whose_process_is_gone_is_said_to_be_lost(store: Store) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    store.begin_manifest("lost", status="running", environment={"host": platform.node(), "pid": ended.pid})
    store.begin_manifest("here", status="running", environment=this_process())
    assert "status    running, but its process is gone" in runs(store, "show", "lost").stdout
    assert "running, but its process is gone" in runs(store, "list", "--status", "running").stdout
    assert (answer(store, "show", "lost")["is_lost"], answer(store, "show", "here")["is_lost"]) == (True, False)


@pytest.mark.parametrize(
    ("option", "valid"),
    [
        (["--type", "prodution"], "experiment, production, evaluation, development, analysis"),
        (["--status", "done"], "running, finished, failed, stopped"),
    ],
)
def test_a_type_or_status_that_there_is_not_is_refused_with_those_that_there_are(
    store: Store, ref: Ref, option: list[str], valid: str
) -> None:
    done = runs(store, "list", *option)
    assert (done.exit_code, type(done.exception)) == (1, Refused)
    assert valid in str(done.exception)


def test_what_used_a_value_comes_as_a_tree_each_run_once(store: Store, ref: Ref) -> None:
    model = store.manifest("second").outputs["model"]
    report = store.put(b"report", name="report")
    store.add_manifest("score", inputs={"model": model, "data": ref}, outputs={"report": report}, run_type="evaluation")
    store.add_manifest("print", inputs={"report": report})
    store.add_manifest("mail", inputs={"report": report, "model": model})
    lines = runs(store, "find", "--data", "data").stdout.splitlines()
    assert [line.split("  ")[0] or line.split("  ")[1] for line in lines] == [
        "first",
        "score",
        "mail",
        "print",
        "second",
    ]
    assert [len(line) - len(line.lstrip()) for line in lines] == [0, 0, 2, 2, 0]
    assert "evaluation  -> report" in lines[1]
    assert lines[0].endswith(f"-> model {store.manifest('first').outputs['model'][:19]}"), "no name of the store"
    assert len(runs(store, "find", "--data", "data", "--depth", "1").stdout.splitlines()) == 3
    up = runs(store, "find", "--data", "report", "--upstream").stdout.splitlines()
    assert (up[0].split()[0], up[1].split()[0]) == ("score", "second")
    assert ("<- " in up[0], up[1].endswith("<- data")) == (True, True)
    found = answer(store, "find", "--data", ref.digest)
    assert (found["data"], found["direction"]) == (ref.digest, "downstream")
    assert found["uses"][0] == {"run": "first", "role": "read"}
    assert {"depth": 2, "run": "print", "step": "", "read": report.digest, "wrote": None, "by": None} in found["hops"]


def test_what_only_a_run_as_a_whole_used_is_found_too(store: Store, ref: Ref) -> None:
    other = store.put(b"other")
    store.add_manifest("steps", inputs={"other": other}, steps=(Step("one", {"data": ref.digest}),))
    assert runs(store, "find", "--data", other.digest).stdout.startswith("steps  20")


def test_a_part_of_what_was_used_is_found_and_that_is_said(store: Store, ref: Ref) -> None:
    tree = store.put({"frames": np.arange(5)}, name="tree")
    store.add_manifest("solve", inputs={"scan": tree})
    done = runs(store, "find", "--data", store.record(tree).children["frames"])
    assert done.stdout.startswith("solve  20")
    assert "no run used the value itself" in done.stderr
    assert runs(store, "find", "--data", "tree", "--parts").stderr == ""


def test_who_wrote_it_is_said_where_nobody_read_it(store: Store, ref: Ref) -> None:
    model = store.manifest("second").outputs["model"]
    done = runs(store, "find", "--data", model)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "no recorded run read it; it was written by second\n"


def test_nothing_recorded_is_said(store: Store) -> None:
    store.put(np.arange(3), name="data")
    for command in (["list"], ["find", "--data", "data"]):
        done = runs(store, *command)
        assert (done.exit_code, done.stdout) == (0, "")
        assert "recorded with store.add_manifest" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["find", "--data", "sha256:" + "0" * 64], "is not in the store at"),
        (["find", "--data", "nothing"], "'nothing' is neither a name nor a digest"),
        (["show", "firs"], "no manifest of a run 'firs'. Similar names: first."),
        (["show", "f"], "Similar names: first."),
        (["show", "zzz"], "`smalti runs list` lists the runs."),
    ],
)
def test_what_is_not_there_is_one_sentence(store: Store, ref: Ref, arguments: list[str], sentence: str) -> None:
    done = runs(store, *arguments)
    assert done.exit_code == 1
    assert isinstance(done.exception, NotFound)
    assert sentence in str(done.exception)
    assert done.stdout == ""


def test_a_prefix_of_two_values_is_one_sentence(store: Store, ref: Ref) -> None:
    (Path(store.place) / "data" / ref.digest[7:9] / (ref.digest[7:-1] + "!")).mkdir()
    done = runs(store, "find", "--data", ref.digest[7:20])
    assert (done.exit_code, type(done.exception)) == (1, Ambiguous)


def test_manifests_that_cannot_be_read_are_named_on_stderr_and_hide_nothing(store: Store, ref: Ref) -> None:
    (Path(store.place) / "manifests" / "new.json").write_bytes(seal({"format": 3, "run": "new"}))
    for command in (["list"], ["find", "--data", "data"], ["show", "first"]):
        done = runs(store, *command)
        assert (done.exit_code, "first" in done.stdout) == (0, True)
        assert done.stderr == (
            "left out: the manifest manifests/new.json has format 3, but this version of Smalti reads up to 2; "
            "upgrade Smalti.\n"
        )
    assert "format 3" in str(runs(store, "show", "new").exception)
    assert "format 3" in str(CliRunner().invoke(app, ["gc", "--store", store.place]).exception)


def test_a_release_happens_only_when_told_to(store: Store, ref: Ref) -> None:
    assert runs(store, "release", "first").stdout.endswith("1 run would be released\n")
    assert not store.manifest("first").released_at
    assert runs(store, "release", "first", "--no-dry-run").stdout.endswith("1 run released\n")
    assert store.manifest("first").released_at
    assert "  released 20" in runs(store, "list").stdout


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


def test_a_collection_says_what_becomes_of_the_links(store: Store) -> None:
    store.add_manifest("run", outputs={"x": store.put(np.arange(1000.0))}, views=["all"])
    store.release("run")

    def collect() -> Result:
        return CliRunner().invoke(app, ["gc", "--no-dry-run", "--grace-hours", "0", "--store", store.place])

    assert collect().stderr == "", "condemned, and there as yet"
    time.sleep(0.01)
    assert "smalti runs views --rebuild takes them away" in collect().stderr
    runs(store, "views", "--rebuild")
    assert not [link for link in (Path(store.place) / "runs").rglob("*") if link.is_symlink() and not link.exists()]


@pytest.mark.parametrize("age", ["36501d", "99999999999w", "-1d", "7", "1.5d"])
def test_an_age_that_is_none_is_refused_in_a_sentence(store: Store, age: str) -> None:
    for command in (["list", "--since", age], ["release", "--older-than", age]):
        refused = runs(store, *command)
        assert refused.exit_code == 2
        assert "age" in refused.stderr
