"""A root directory for each test, and settings that are as they were afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smalti.directory import (
    check_size_on_init,
    enforce_config_match,
    set_root_dir,
    set_scope,
    set_verbosity_level,
)


@pytest.fixture(autouse=True)
def root(tmp_path: Path) -> Iterator[Path]:
    """The root directory, an empty folder."""
    folder = tmp_path / "root"
    folder.mkdir()
    set_root_dir(folder)
    yield folder
    set_root_dir(None)
    set_scope(None)
    set_verbosity_level(1)
    enforce_config_match(True)
    check_size_on_init(False)
