"""The code of docs/directory.md runs from top to bottom, in one program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smalti import set_root_dir

PAGE = Path(__file__).parents[2] / "docs" / "directory.md"


def test_the_page_on_directories_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    note = tmp_path / "notes.txt"
    note.write_text("a note")
    names: dict[str, Any] = {"frame": pd.DataFrame({"a": [1]}), "path": note, "weights": np.ones(3)}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 3
    try:
        for block in blocks:
            exec(compile(block, PAGE.name, "exec"), names)
    finally:
        set_root_dir(None)
    assert [version.message for version in names["exp"].log()] == ["doubled", "baseline"]
    assert names["exp"].images[:].max() < 1, "checked out as it was committed"
