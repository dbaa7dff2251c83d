"""Laws of ``smalti migrate``: it plans first, says what it did and what it could not do, in sentences or in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from smalti import Store
from smalti.cli import app

Command = Callable[..., Result]


@pytest.fixture
def migrate(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))

    def migrate(source: Path, *options: str) -> Result:
        return CliRunner().invoke(app, ["migrate", str(source), *options, "--store", store.place])

    return migrate


def test_the_plan_comes_first_and_stores_nothing(migrate: Command, store: Store, v1_run: Path) -> None:
    done = migrate(v1_run)
    assert done.exit_code == 0
    assert "run    run_a  <- mltrack/experiments/7/runs/run_a" in done.stdout
    assert "  wrote  result  array, " in done.stdout
    assert "  wrote  model  folder of 4 files, " in done.stdout
    assert "1 run would be stored, 8 files" in done.stdout
    assert not Path(store.place).exists()


def test_it_brings_what_it_planned_and_says_so(migrate: Command, store: Store, v1_run: Path) -> None:
    planned = json.loads(migrate(v1_run, "--json").stdout)
    done = json.loads(migrate(v1_run, "--no-dry-run", "--json").stdout)
    assert (planned["dry_run"], done["dry_run"]) == (True, False)
    assert [run["run"] for run in planned["runs"]] == [one["name"] for one in done["brought"]] == ["run_a"]
    (values,) = [one["values"] for one in done["brought"]]
    assert set(values) == {f"inputs/{name}" for name in planned["runs"][0]["inputs"]} | {
        f"outputs/{name}" for name in planned["runs"][0]["outputs"]
    }
    again = migrate(v1_run, "--no-dry-run")
    assert "1 of 1 brought and compared; the store grew by 0 B" in again.stdout


def test_what_could_not_be_brought_is_named_with_exit_code_1(migrate: Command, v1, v1_run: Path) -> None:
    v1.data("7", "bad", "inputs", "x", np.arange(3), "20250301_120000")
    v1.write(v1.key("7", "bad", "", "manifest.json"), b"{")
    for options in ((), ("--no-dry-run",)):
        done = migrate(v1_run, *options)
        assert done.exit_code == 1
        assert "mltrack/experiments/7/runs/bad  " in done.stdout
        assert "run_a" in done.stdout


def test_names_begin_with_the_prefix_and_the_system_can_be_said(
    migrate: Command, store: Store, datamate_tree: Path
) -> None:
    done = migrate(datamate_tree, "--from", "datamate", "--prefix", "lab/old", "--no-dry-run")
    assert done.exit_code == 0, done.output
    assert {named.name for named in store.names()} == {"lab/old/exp", "lab/old/exp/sub"}


def test_foreign_names_cannot_obey_a_terminal(migrate: Command, mlruns: Path) -> None:
    (mlruns / "42" / ("a" * 32) / "artifacts/\x1b[31mred").write_text("x")
    done = migrate(mlruns)
    assert "\x1b" not in done.stdout
    assert "control characters" in done.stdout


def test_how_many_files_were_left_is_said_at_the_end(migrate: Command, v1_run: Path) -> None:
    run = next(v1_run.rglob("run_a"))
    (run / "inputs" / "x_20250301_120000_00000000.json").symlink_to("/etc/hostname")
    done = migrate(v1_run, "--no-dry-run")
    assert "is a symbolic link, which is not followed" in done.stdout
    assert "1 of 1 brought and compared, 1 left as listed above; the store grew by" in done.stdout
