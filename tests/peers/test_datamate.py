"""What the real datamate wrote is read, and it reads what we write."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smalti.directory import Directory, set_root_dir

WRITES = """
import sys, warnings, numpy as np, pandas as pd, datamate
datamate.set_root_dir(sys.argv[1])
class Built(datamate.Directory):
    def __init__(self, n: int = 3, rate: float = 1e-05, name: str = "yes"):
        self.x = np.arange(n)
Built(n=4)
d = datamate.Directory("plain", {"rate": 1e-05, "date": "2024-03-20", "lists": [[1, 2], []], "none": None})
d.a = np.eye(2)
d.extend("rows", [[1.0, 2.0]])
d.extend("rows", [[3.0, 4.0]])
d.table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
d.deep.text = b"bytes"
"""
READS = """
import json, sys, warnings, datamate
datamate.set_root_dir(sys.argv[1])
class Built(datamate.Directory):
    def __init__(self, n: int = 3, rate: float = 1e-05, name: str = "yes"):
        raise AssertionError("built again")
found = Built(n=4)
d = datamate.Directory("plain")
print(json.dumps({
    "built": found.path.name, "x": found.x[:].tolist(), "config": d.config.to_dict(), "status": d.status,
    "modified": d.meta.modified, "a": d.a[:].tolist(), "rows": d.rows[:].tolist(), "table": d.table.to_dict("list"),
    "text": d.deep.text[()].decode(), "keys": sorted(d),
}))
"""
CONFIG = {"rate": 1e-05, "date": "2024-03-20", "lists": [[1, 2], []], "none": None}


class Built(Directory):
    """The class of this name that both sides know."""

    def __init__(self, n: int = 3, rate: float = 1e-05, name: str = "yes") -> None:
        self.x = np.arange(n)


@pytest.fixture
def datamate(tmp_path: Path) -> Callable[..., str]:
    """Run a program with the real datamate."""
    python = os.environ.get("SMALTI_TEST_RUN_PEERS")
    if not python:
        pytest.skip("the peers are not installed here; make test-peers installs them and runs these tests")

    def run(program: str, *arguments: str) -> str:
        file = tmp_path / "program.py"  # datamate looks into the source of a class
        file.write_text(program)
        done = subprocess.run([python, str(file), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def root(tmp_path: Path) -> Any:
    set_root_dir(tmp_path / "root")
    yield tmp_path / "root"
    set_root_dir(None)


def test_a_directory_of_datamate_is_read_and_found_by_its_configuration(
    datamate: Callable[..., str], root: Path
) -> None:
    datamate(WRITES, str(root))
    assert Built(n=4).path == root / "Built_0000"
    plain = Directory("plain")
    assert plain.config == {"type": "Directory", **CONFIG}
    assert (plain.status, plain.modified) == ("done", True)
    assert plain.a[:].tolist() == [[1, 0], [0, 1]]
    assert plain.rows[:].tolist() == [[1, 2], [3, 4]]
    assert plain.table.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    assert plain.deep.text[()] == b"bytes"
    plain.extend("rows", [[5.0, 6.0]])
    assert plain.rows.shape == (3, 2)


def test_datamate_reads_and_finds_a_directory_of_ours(datamate: Callable[..., str], root: Path) -> None:
    Built(n=4)
    plain = Directory("plain", CONFIG)
    plain.a = np.eye(2)
    plain.extend("rows", [[1.0, 2.0]])
    plain.extend("rows", [[3.0, 4.0]])
    plain.table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    plain.deep.text = b"bytes"
    assert json.loads(datamate(READS, str(root)).splitlines()[-1]) == {
        "built": "Built_0000",
        "x": [0, 1, 2, 3],
        "config": {"type": "Directory", **CONFIG},
        "status": "done",
        "modified": True,
        "a": [[1, 0], [0, 1]],
        "rows": [[1, 2], [3, 4]],
        "table": {"a": [1, 2], "b": ["x", "y"]},
        "text": "bytes",
        "keys": ["a", "deep", "rows", "table"],
    }
