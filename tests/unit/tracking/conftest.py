"""A root with a store and a cache, and a git repository, for what is tracked."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from smalti import Store, open_store
from smalti.tracking import StatCache

Git = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in ``store``."""
    return open_store(tmp_path / "store")


@pytest.fixture
def cache(tmp_path: Path) -> StatCache:
    """What is remembered of the files below ``tmp_path``."""
    return StatCache(tmp_path)


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Make ``tmp_path`` a git repository, and run git there."""

    def run(*arguments: str) -> str:
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    run("init", "-q")
    return run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of three files, one executable, in two folders, and an empty folder."""
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "a.png").write_bytes(b"a")
    (folder / "b.png").write_bytes(b"b\r\n")
    (folder / "sub" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (folder / "sub" / "run.sh").chmod(0o755)
    return folder
