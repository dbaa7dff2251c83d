"""Laws of the commands that check, move and compare: what they say, their exit codes, and Ctrl-C."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from smalti import Store, open_store
from smalti.cli import app
from smalti.cli.progress import shown
from smalti.cli.stored.keeping import _unneeded
from smalti.errors import SmaltiError
from smalti.store import Progress
from smalti.store.maintenance.gc import Unneeded

STACK = np.random.default_rng(0).random((100, 2048))
Run = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / "store")
    changed = np.insert(STACK, 50, 0, 0)
    changed[3] = 0
    store.put({"stack": STACK, "copy": STACK, "deep": {"x": b"1"}, "energy_eV": 8800.0}, name="scan/one")
    store.put({"stack": changed, "deep": {"x": b"1", "y": b"2"}, "energy_eV": 9000.0}, name="scan/two")
    return store


@pytest.fixture
def run(store: Store) -> Run:
    """Run a command on the store; return its output, or with ``--json`` what that says."""

    def run(*arguments: str, exit_code: int = 0, refused: bool = False) -> Any:
        done = CliRunner().invoke(app, [*arguments, "--store", store.place])
        if refused:
            assert isinstance(done.exception, SmaltiError)
            return str(done.exception)
        assert done.exit_code == exit_code, done.output
        return json.loads(done.stdout) if "--json" in arguments else done.output

    return run


def damage(store: Store, ref: str) -> str:
    """Flip a bit in an object's file, or in its record where its content is kept there; return its address."""
    address = store.resolve(ref)
    path = store.file(ref) or object_folder(store, address) / "metadata.json"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    return address


def object_folder(store: Store, address: str) -> Path:
    digits = address.removeprefix("sha256:")
    return Path(store.place) / "data" / digits[:2] / digits


def test_fsck_repairs_from_another_store(store: Store, run: Run, tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    run("push", remote)
    address = damage(store, store.record("scan/one").children["stack"])
    said = run("fsck", "--full", exit_code=1)
    assert f"{address}: data.npy of {address} is damaged in" in said
    assert "Needed by: scan/one, scan/two." in said
    assert said.splitlines()[-1].endswith("2 problems")
    said = run("fsck", "--repair-from", remote)
    assert "It was repaired." in said
    assert said.splitlines()[-1].endswith(": 2 repaired")
    assert run("fsck", "--full", "--rebuild-index", "--json")["problems"] == []


def test_a_repair_that_fails_says_why(store: Store, run: Run, tmp_path: Path) -> None:
    address = damage(store, store.record("scan/one").children["stack"])
    open_store(tmp_path / "empty").init()
    report = run("fsck", "--repair-from", str(tmp_path / "empty"), "--json", exit_code=1)
    problem = next(problem for problem in report["problems"] if problem["place"] == address)
    assert (report["clean"], problem["repaired"]) == (False, False)
    assert f"It could not be repaired: {address} is not in the store at" in problem["what"]


def test_fsck_goes_on_past_a_file_that_cannot_be_read(store: Store, run: Run) -> None:
    address = store.record("scan/one").children["stack"]
    record = object_folder(store, address) / "metadata.json"
    record.unlink()
    record.mkdir()  # nobody can read that as a file, root neither
    other = damage(store, store.record("scan/two").children["stack"])
    said = run("fsck", "--full", exit_code=1)
    assert f"{address}: " in said
    assert f"{other}: " in said
    assert said.splitlines()[-1].endswith("2 problems")


def test_gc_says_what_is_kept_and_why_and_what_would_go(store: Store, run: Run) -> None:
    store.pin(loose := store.put(np.arange(3.0)))
    store.forget("scan/two")
    lines = [line.split(maxsplit=2) for line in run("gc", "--grace-hours", "0").splitlines()]
    digest = store.resolve("scan/one")
    assert ["kept", digest[:19], "the name scan/one"] in lines
    assert ["kept", loose.digest[:19], "a pin"] in lines
    assert {line[0] for line in lines[2:-1]} == {"condemned"}
    assert "may go in 0 min" in run("gc", "--grace-hours", "0")
    assert "younger than the grace period for 24.0 h" in run("gc")
    run("gc", "--no-dry-run", "--grace-hours", "0")
    found = run("gc", "--json", "--grace-hours", "0")
    assert found["roots"][digest] == "the name scan/one"
    assert {item["state"] for item in found["unneeded"]} == {"removed"}


@pytest.mark.parametrize(
    ("item", "state", "why"),
    [
        (Unneeded("a", 1, "young", None, 7200), "young", "; younger than the grace period for 2.0 h"),
        (Unneeded("a", 1, "condemned", None, 86400), "condemned", "; condemned from now on, may go in 24.0 h"),
        (Unneeded("a", 1, "condemned", 10800, 75600), "waiting", "; condemned 3.0 h ago, may go in 21.0 h"),
        (Unneeded("a", 1, "removed", 90000, 0), "removed", ""),
    ],
)
def test_gc_says_how_long_each_waits(item: Unneeded, state: str, why: str) -> None:
    assert _unneeded(item) == (state, "a", "1 B", f"no name, pin or run leads to it{why}")


def test_gc_removes_nothing_where_something_needed_is_missing_and_names_it(store: Store, run: Run) -> None:
    store.forget("scan/two")
    for _ in range(2):
        store.gc(dry_run=False, grace_seconds=0)
    store.put(np.arange(9.0))
    address = store.record("scan/one").children["stack"]
    shutil.rmtree(object_folder(store, address))
    before = sorted(Path(store.place, "data").rglob("*"))
    for option in ("--dry-run", "--no-dry-run"):
        refused = run("gc", option, "--grace-hours", "0", exit_code=1, refused=True)
        assert f"{address}, which the name scan/one needs, is missing" in refused
        assert "nothing was removed" in refused
    assert sorted(Path(store.place, "data").rglob("*")) == before
    other = store.put(b"small", name="small").digest
    damage(store, other)
    store.forget("scan/one")
    refused = run("gc", "--no-dry-run", "--grace-hours", "0", exit_code=1, refused=True)
    assert other in refused
    assert "the name small needs it; nothing was removed." in refused


def test_verify_is_0_when_all_is_there_and_1_with_what_is_not_named(store: Store, run: Run, tmp_path: Path) -> None:
    remote = open_store(tmp_path / "remote")
    run("push", remote.place)
    assert run("verify", remote.place).splitlines()[-1].endswith("clean")
    address = damage(remote, store.record(store.record("scan/one").children["deep"]).children["x"])
    assert address in run("verify", remote.place, exit_code=1)
    found = run("verify", remote.place, "scan/two", "--json", exit_code=1)
    assert {name for problem in found["problems"] for name in problem["names"]} == {"scan/two"}


def test_push_says_what_was_read_and_what_the_target_grew_by(run: Run, tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    first = run("push", remote, "--json")
    assert first["sent"] == first["needed"] == 8
    assert STACK.nbytes < first["nbytes_read"] < first["nbytes"] < 1.1 * STACK.nbytes
    assert "0 of 8 objects sent, 0 B read" in run("push", remote)


def test_diff_is_0_when_equal_1_when_different_and_2_when_it_cannot_tell(run: Run) -> None:
    assert run("diff", "scan/one", "scan/one") == "equal\n"
    said = run("diff", "scan/one", "scan/two", exit_code=1)
    assert "energy_eV: 8.8 keV -> 9 keV (+2.27 %)" in said
    assert "removed  copy  array float64 (100, 2048), 1.64 MB" in said
    assert "added    deep/y  bytes, 1 B" in said
    assert "rows: 1 changed, 1 inserted (now 101): 3:4, 50:51 inserted" in said
    assert said.splitlines()[-1] == "1 child is the same"
    found = run("diff", "scan/one", "scan/two", "--json", exit_code=1)
    assert (found["equal"], found["same"]) == (False, 1)
    assert {change["path"] for change in found["changes"]} == {"", "copy", "deep/y", "stack"}
    assert "'nothing' is neither a name" in run("diff", "scan/one", "nothing", exit_code=2)


def test_tree_shows_what_occurs_again_once(store: Store, run: Run) -> None:
    said = run("tree", "scan/one")
    assert "├── stack  array <f8 (100, 2048), 1.64 MB" in said
    assert "the same as stack" in next(line for line in said.splitlines() if "copy" in line)
    assert "└── deep  tree, 1 B" in said
    assert "    └── x  bytes, 1 B" in said
    found = run("tree", "scan/one", "--json")
    assert found["digest"] == store.resolve("scan/one")
    assert found["children"]["copy"]["same_as"] == "stack"
    assert found["children"]["deep"]["children"]["x"]["nbytes"] == 1


def test_names_that_a_terminal_might_obey_are_escaped(store: Store, run: Run) -> None:
    store.put({"\x1b[31mred": b"1", "[bold]x": b"2"}, name="foreign")
    store.put({"[bold]x": b"3"}, name="other")
    for said in (run("tree", "foreign"), run("diff", "foreign", "other", exit_code=1), run("show", "foreign")):
        assert "\x1b" not in said
        assert "[bold]x" in said


def test_stats_say_what_deduplication_saves(run: Run) -> None:
    found = run("stats", "--json")
    assert found["nbytes"] > 2.9 * STACK.nbytes > 2 * found["nbytes_kept"]
    assert {kind["kind"] for kind in found["kinds"]} == {"array", "tree", "bytes"}
    said = run("stats", "--largest", "1")
    assert "8 objects, 2 names with 2 versions" in said
    assert "keeping every piece once saves" in said
    assert said.splitlines()[-1].split() == ["3.28", "MB", "scan/one"]


def test_ctrl_c_ends_with_one_sentence_that_says_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        with shown("checking", "the same command goes on.") as show:
            show(Progress(3, 10, 5_000_000, 20_000_000))
            raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        interrupted()
    assert ended.value.code == 130
    sentence = "smalti: stopped after 3 of 10 objects, 5 MB of 20 MB; the same command goes on.\n"
    assert capsys.readouterr().err == sentence
