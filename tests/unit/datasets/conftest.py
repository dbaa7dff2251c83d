"""A competition of 30 houses as files, and the converter of rows to text."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest


class _Converter:
    """What the datasets ask of ``TabularTextConverter``."""

    def convert_row(self, row: Any) -> str:
        return ", ".join(f"{name} {value}" for name, value in row.items() if pd.notna(value))


@pytest.fixture
def converter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real converter of rows to text, or where that is not there one with the same method."""
    if importlib.util.find_spec("smalti.templates.converters") is None:
        module = ModuleType("smalti.templates.converters")
        vars(module)["TabularTextConverter"] = _Converter
        monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    """A folder with ``train.csv``, 30 rows with ids from 1001 and prices, and ``test.csv``, 5 rows without prices."""
    folder = tmp_path / "houses"
    folder.mkdir()
    rows = [f"{1001 + n},{['brick', 'wood', 'stone'][n % 3]},{60 + n}" for n in range(35)]
    train = [f"{row},{100_000 + 1000 * n}" for n, row in enumerate(rows[:30])]
    (folder / "train.csv").write_text("\n".join(["Id,Walls,Area,SalePrice", *train, ""]))
    (folder / "test.csv").write_text("\n".join(["Id,Walls,Area", *rows[30:], ""]))
    return folder
