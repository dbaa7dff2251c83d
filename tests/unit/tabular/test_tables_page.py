"""The page on tables: its example runs, and every name and setting on it exists."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import smalti.tabular
from smalti.tabular import BertSettings, TextSplit, split_rows
from tests.unit.tabular.tables import flowers

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "tables.md").read_text()


def test_the_example_runs_as_it_is(tmp_path: Path) -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    flowers().to_csv(tmp_path / "train.csv", index=False)
    flowers(30, seed=1).drop(columns="kind").to_csv(tmp_path / "test.csv", index=False)
    quick = example.replace('{"epochs": 15}', '{"epochs": 1, "members": 1, "layers": 1}')
    program = f"{quick}\nassert submission_csv(predictions).count(b'\\n') == 31"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert quick != example


def test_every_name_on_the_page_exists() -> None:
    arguments = inspect.signature(split_rows).parameters
    assert set(re.findall(r"`(\w+)=`", PAGE)) <= set(arguments)
    settings = {field.name for field in fields(BertSettings)}
    assert {"members", "linear_share", "predict_with", "metric"} <= settings
    assert "notes" in {field.name for field in fields(TextSplit)}
    for name in ("predict_table", "write_outputs", "split_rows"):
        assert f"`{name}" in PAGE
        assert hasattr(smalti.tabular, name)
