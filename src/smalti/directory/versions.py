"""Stub until the versions are here."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def commit(folder: Path, message: str, store: Any = None) -> Any:
    """Store a version."""
    raise NotImplementedError


def log(folder: Path, store: Any = None) -> Any:
    """Return the versions."""
    raise NotImplementedError


def checkout(folder: Path, version: Any, store: Any = None, force: bool = False) -> Any:
    """Write the files of a version."""
    raise NotImplementedError


def diff(folder: Path, store: Any = None, version: Any = None, other: Any = None) -> Any:
    """Compare with a version."""
    raise NotImplementedError
