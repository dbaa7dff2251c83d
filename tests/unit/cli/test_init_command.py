"""Laws of a store that is not there: init makes it, the first put and push do, and nothing else creates anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smalti import open_store
from smalti.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def smalti(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in ``tmp_path``, which is its root; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["smalti", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_init_makes_a_store_once_and_says_where_and_which(tmp_path: Path, smalti: Run) -> None:
    code, said, _ = smalti("init")
    store = open_store(tmp_path / "store")
    assert code == 0
    assert said == f"an empty store was made at {tmp_path / 'store'}: format 2, id {store.id}\n"
    assert smalti("init")[1].startswith(f"there is a store already at {tmp_path / 'store'}: format 2, id {store.id}")
    found = json.loads(smalti("init", "--store", "other", "--json")[1])
    assert found == {"place": str(tmp_path / "other"), "id": found["id"], "format": 2, "made": True}
    assert found["id"] != store.id
    code, said, _ = smalti("fsck")
    assert (code, said) == (0, "0 objects, 0 B: clean\n")


@pytest.mark.parametrize(
    "command",
    ["ls", "get a", "show a", "tree a", "diff a b", "stats", "pin a", "unpin a", "forget a", "gc", "gc --no-dry-run",
     "fsck", "fsck --full", "fsck --rebuild-index", "verify other", "push other", "pull other", "runs list",
     "runs find --data a", "report a", "crate export a -o crate.zip"],
)  # fmt: skip
def test_without_a_store_a_command_says_so_and_creates_nothing(tmp_path: Path, smalti: Run, command: str) -> None:
    code, out, err = smalti(*command.split())
    assert code in ({2} if command.startswith("diff") else {1})
    assert out == ""
    assert "there is no store at" in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_push_makes_the_other_store_and_says_so(tmp_path: Path, smalti: Run) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    smalti("put", "a.npy", "--name", "a")
    assert smalti("push", "copy")[2] == f"there was no store at {tmp_path / 'copy'}; one was made.\n"
    assert smalti("push", "copy")[2] == ""
    assert open_store(tmp_path / "copy").id != open_store(tmp_path / "store").id


def test_a_store_of_another_format_is_left_alone(tmp_path: Path, smalti: Run) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text('{"format": 9, "id": "x"}')
    for command in ("init", "ls", "fsck", "put a.txt"):
        (tmp_path / "a.txt").write_text("a")
        code, out, err = smalti(*command.split())
        assert (code, out) == (1, "")
        assert "has the format 9, and this version reads 2" in err
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["store.json"]
