"""Batches of files to be stored: so many that they share the wait for the disk, so few that a kill costs little."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

File = TypeVar("File")

_NBYTES = 256 * 1024 * 1024


def batches(files: Iterable[File], nbytes_of: Callable[[File], int], most: int = 2048) -> Iterator[list[File]]:
    """Yield the files in order, a batch of up to ``most`` files and about 256 MiB at a time."""
    batch: list[File] = []
    nbytes = 0
    for file in files:
        batch.append(file)
        nbytes += nbytes_of(file)
        if len(batch) >= most or nbytes >= _NBYTES:
            yield batch
            batch, nbytes = [], 0
    if batch:
        yield batch
