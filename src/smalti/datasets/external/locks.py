"""Locks between processes, and threads, on files that are never removed; whoever dies lets go."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOG = logging.getLogger(__name__)
_A_WHILE_S = 0.05


@contextmanager
def locked(path: Path, *, shared: bool = False, waiting_for: str = "") -> Iterator[int]:
    """Wait for a lock and hold it; give the descriptor of its file. ``waiting_for`` is logged if that takes a while."""
    descriptor = _for_reading(path) if shared else _for_writing(path)
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        if not _taken(descriptor, how):
            time.sleep(_A_WHILE_S)
            if waiting_for and not _taken(descriptor, how):
                _LOG.warning("waiting for %s", waiting_for)
            fcntl.flock(descriptor, how)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold a lock for oneself alone, if nobody else has it; tell whether that is so."""
    descriptor = _for_writing(path)
    try:
        yield _taken(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def is_held_alone(path: Path) -> bool:
    """Tell whether someone holds a lock for himself alone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _taken(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _taken(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _for_writing(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _for_reading(path: Path) -> int:
    """Open a lock file that is there also where nothing can be written: a folder of another user, a read-only disk."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return _for_writing(path)
