"""What a case is measured with: the scale, folders in memory and on a disk, and what is compared taking turns."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.page import file_system
from benchmarks.store.workload import Scale

T = TypeVar("T")


@dataclass(frozen=True)
class Setup:
    """What every case is given.

    Attributes:
        memory: a folder in memory where there is one: a disk's moods are larger than most of what is measured.
        disk: a folder on a disk, for what is about syncing.
        peers: the Python of the environment that the peers run in; None leaves them out.
        rounds: how many turns everyone takes.
    """

    scale: Scale
    memory: Path
    disk: Path
    peers: Path | None
    rounds: int

    @contextmanager
    def in_memory(self) -> Iterator[Path]:
        """Give an empty folder in memory."""
        with tempfile.TemporaryDirectory(prefix="bench-store-", dir=self.memory) as folder:
            yield Path(folder)

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """Give an empty folder on the disk, with nothing of others on the way there."""
        os.sync()
        with tempfile.TemporaryDirectory(prefix="bench-store-", dir=self.disk) as folder:
            yield Path(folder)


def where(folder: Path) -> str:
    """Return the words that say where something was measured."""
    return f"on {file_system(folder)}"


def in_turns(actions: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Do every action once in each round, another one first each time, and return what each gave."""
    given: dict[str, list[T]] = {name: [] for name in actions}
    names = list(actions)
    for number in range(rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            given[name].append(actions[name]())
    return given


@contextmanager
def removed_after(folder: Path) -> Iterator[Path]:
    """Give a folder that does not exist yet; what was made of it is removed."""
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
