"""The page on training: its example runs, and every name and setting on it exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import smalti.training
from smalti.codecs import checkpoint, checkpoint_folder
from smalti.training import Saving, TrainingSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "training.md").read_text()


def test_the_example_runs_as_it_is_and_learns(tmp_path: Path) -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    program = f"{example}\nassert best.state['best']['validation_loss'] < 0.05, best.state['best']"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "line  epoch 1 of 40, loss" in done.stderr


def test_every_call_on_the_page_is_offered() -> None:
    calls = set(re.findall(r"`(\w+)\(", PAGE)) | {"read_weights"}
    assert {name for name in calls if not hasattr(smalti.training, name)} == set()


def test_every_setting_on_the_page_exists() -> None:
    known = {field.name for cls in (TrainingSettings, Saving) for field in fields(cls)}
    assert set(re.findall(r"`(metric|patience|accumulate|higher_is_better)\b", PAGE)) <= known
    assert set(re.findall(r"(\w+)=", re.findall(r"Saving\((.*?)\)", PAGE)[0])) == {f.name for f in fields(Saving)}


def test_the_files_of_a_folder_are_those_on_the_page() -> None:
    parts = checkpoint_folder
    ours = [parts.MODEL, parts.OPTIMIZER, parts.CONFIG, checkpoint.TOKENIZER, parts.STATE]
    assert re.findall(r"^\| `(\S+)` \|", PAGE, re.M) == ours
