"""A competition of 30 houses as files."""

from __future__ import annotations

from pathlib import Path

import pytest


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
