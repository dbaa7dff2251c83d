"""Doctor: what it says of the sandbox is what was tried."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smalti import open_store
from smalti.cli import app
from smalti.cli.doctor import _durability, _sandbox
from smalti.compute.confinement import landlock_abi
from smalti.compute.probe import Protections, protections
from smalti.compute.system_calls import missing


def test_it_says_what_a_reader_is_kept_from(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["doctor", "--json", "--store", str(tmp_path / "store")])
    said = json.loads(run.stdout)["sandbox"]
    assert said == {**asdict(protections()), "landlock": landlock_abi(), "seccomp": not missing()}
    assert said["files"] == bool(landlock_abi())
    if not missing():
        assert said["network"] is said["processes"] is said["limits"] is True


def test_what_is_not_kept_is_seen(tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    code = "import sys; from smalti.compute.probe import escape; print(*escape({'outside': sys.argv[1]}).values())"
    run = [sys.executable, "-c", code, str(tmp_path / "outside")]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.split() == ["True"] * 5


@pytest.mark.parametrize("held", [True, False])
def test_each_protection_has_a_line(held: bool) -> None:
    lines = dict(_sandbox(Protections(held, held, held, held, held), landlock=0))
    assert [label.strip() for label in lines] == ["sandbox", "files", "network", "processes", "memory", "limits"]
    assert "no Landlock" in lines["  files"]
    assert ("NOT kept" in lines["  network"]) is not held


def test_it_names_the_store_and_how_it_is_made_durable(tmp_path: Path) -> None:
    def doctor(*options: str) -> str:
        return CliRunner().invoke(app, ["doctor", *options, "--store", str(tmp_path / "store")]).stdout

    assert f"store         {tmp_path / 'store'}: none there yet: smalti init" in doctor()
    assert not (tmp_path / "store").exists()
    store = open_store(tmp_path / "store")
    store.init()
    assert f"store         {tmp_path / 'store'}: format 2, id {store.id}" in doctor()
    assert json.loads(doctor("--json"))["store"] == {
        "place": str(tmp_path / "store"),
        "made": {"format": 2, "id": store.id},
    }


@pytest.mark.parametrize(
    ("command", "tells", "said"),
    [("F_FULLFSYNC", False, "F_FULLFSYNC"), ("fsync", True, "syncfs for many"), ("fsync", False, "has no syncfs")],
)
def test_it_says_which_sync_is_used(command: str, tells: bool, said: str) -> None:
    assert said in _durability(command, tells)
