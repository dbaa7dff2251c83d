"""What a loader reads from: rows by number, as columns or as samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smalti.loaders.buffers import Buffers
from smalti.loaders.collate import Columns

Sample = Mapping[str, Any]
Block = Columns | list[Sample]  # what reading gives: columns where the source has such, else samples


class Source(Protocol):
    """A dataset as a loader reads it. ``read`` and ``read_range`` may be called from several threads at once."""

    @property
    def what(self) -> str:
        """What it is, for messages."""

    @property
    def digests(self) -> Mapping[str, str]:
        """Name -> digest of what is read, as far as it is known: it tells one version of the data from another."""

    @property
    def bound_to_thread(self) -> bool:
        """Whether only the consumer's thread may read, because samples hold arrays of MLX."""

    @property
    def row_nbytes(self) -> int | None:
        """How long a row is, where rows of several batches may be read at once; None where each batch is read alone."""

    def __len__(self) -> int: ...

    def read(self, rows: NDArray[np.int64], buffers: Buffers) -> Block:
        """Return rows by number, in the order given."""

    def read_range(self, start: int, stop: int, buffers: Buffers) -> Block:
        """Return the rows from ``start`` to ``stop``, holding in memory little more than these."""

    def cuts(self, samples: int) -> Sequence[int]:
        """Return where ranges of about so many rows begin and end, from 0 to the number of rows."""


def regular_cuts(count: int, samples: int) -> list[int]:
    """Return 0, ``samples``, 2 ``samples``, ..., ``count``."""
    return [*range(0, count, samples), count] if count else [0]
