"""A store of runs in an empty folder, with nothing set that would change its defaults."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smalti.runs import FlexibleDataStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlexibleDataStore:
    for name in [name for name in os.environ if name.startswith(("SMALTI_", "MLTRACK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return FlexibleDataStore(root=tmp_path / "store")
