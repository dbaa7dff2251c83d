"""The example on the page about the design is what the code makes."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from smalti import open_store

PAGE = (Path(__file__).parents[4] / "docs/design.md").read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index("### 2.1") : PAGE.index("### 2.2")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the example was run."""
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", SECTION, re.S)
    exec(program, {"open_store": open_store, "np": np})
    return tmp_path


def test_the_example_makes_the_files_that_the_page_lists(folder: Path) -> None:
    listed = set(re.findall(r"^store/\S+$", SECTION, re.M))
    made = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in made if "index.sqlite" not in name} == listed


def test_the_records_are_those_on_the_page(folder: Path) -> None:
    shown = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", SECTION, re.S)]
    assert len(shown) == 2
    made = [path.read_text() for path in sorted(folder.glob("store/data/*/*/metadata.json"))]
    as_written = [json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n" for record in shown]
    assert made == as_written


def test_what_the_shell_hashes_is_the_address(folder: Path) -> None:
    ((spelled, address),) = re.findall(r"\$ printf %s '(.*?)' \| sha256sum\n([0-9a-f]{64})", SECTION)
    assert hashlib.sha256(spelled.encode()).hexdigest() == address
    assert open_store(folder / "store").ref("star").digest == f"sha256:{address}"


def test_what_comes_back_is_what_the_page_says(folder: Path) -> None:
    store = open_store(folder / "store")
    ref = store.put({"b": 1, "a": (1, -0.0, 8800.0, 2**70)})
    assert repr(store.get(ref)) == "{'b': 1, 'a': (1, -0.0, 8800.0, 1180591620717411303424)}"
    assert store.put({"a": (1, -0.0, 8800.0, 2**70), "b": 1}).digest == ref.digest
    assert repr(store.get(ref)).startswith("{'b'"), "the order is that of the first"
    assert store.put({"b": 1, "a": (1, 0.0, 8800.0, 2**70)}).digest != ref.digest
