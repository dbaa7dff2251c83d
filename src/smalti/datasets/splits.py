"""Which positions of a scan and which rows of a table train a model, and which validate and test it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.scan import Scan
from smalti.errors import Refused

ROW_SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}  # parts of the rows


def split_positions(scan: Scan, validation_fraction: float = 0.1, seed: int = 0) -> dict[str, Any]:
    """Return ``train`` and ``validation`` position numbers, both (n,) int64 and sorted, with what made them.

    Every position is in exactly one of the two and neither is empty; the same seed gives the same split.

    Raises:
        Refused: fewer than two positions, or a fraction that is not between 0 and 1.
    """
    count = scan.xcoords.size
    if count < 2:
        raise Refused(f"a scan of {count} position cannot be split in two; give a scan of at least 2.")
    if not 0 < validation_fraction < 1:
        raise Refused(f"validation_fraction is {validation_fraction}; give a number between 0 and 1.")
    held_out = min(max(round(validation_fraction * count), 1), count - 1)
    order = np.random.default_rng(seed).permutation(count).astype(np.int64)
    return {
        "train": np.sort(order[held_out:]),
        "validation": np.sort(order[:held_out]),
        "seed": seed,
        "validation_fraction": validation_fraction,
    }


def split_in_three(count: int, seed: int = 0) -> dict[str, NDArray[np.int64]]:
    """Return the row numbers of ``train``, ``validation`` and ``test``, each (n,) int64 and sorted.

    Every row is in exactly one of the three, 80 %, 10 % and 10 % of them; the same seed gives the same split.

    Raises:
        Refused: there are fewer than ten rows, so that one of the three would be empty.
    """
    if count < 10:
        raise Refused(f"a table of {count} rows cannot be split in three; give at least 10.")
    order = np.random.default_rng(seed).permutation(count).astype(np.int64)
    ends = np.cumsum([round(part * count) for part in list(ROW_SPLITS.values())[:-1]])
    parts = np.split(order, ends)
    return {name: np.sort(rows) for name, rows in zip(ROW_SPLITS, parts, strict=True)}
