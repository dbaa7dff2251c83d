"""What can be reached from some objects over what each of them needs, as numbers in columns: a million in a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def closure(needs: Sequence[bytes], roots: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the id of each object, and for every id whether it can be reached from the roots.

    Args:
        needs: of each object its own id and those of what it needs, eight bytes each.
        roots: ids.

    Returns:
        (N,) int64, in the order of ``needs``; (highest id + 1,) bool.
    """
    start = np.array(roots, np.int64)
    sizes = np.fromiter(map(len, needs), np.int64, len(needs)) // 8
    ids = np.frombuffer(b"".join(needs), "<i8")
    heads = np.cumsum(sizes) - sizes
    own = ids[heads]
    highest = max(ids.max(initial=0), start.max(initial=0))
    first, counts = np.zeros((2, highest + 1), np.int64)
    first[own], counts[own] = heads + 1, sizes - 1
    live, last = np.zeros(highest + 1, bool), np.empty(highest + 1, np.int64)
    frontier = start
    while len(frontier):
        live[frontier] = True
        some = counts[frontier]
        within = np.arange(some.sum()) - np.repeat(np.cumsum(some) - some, some)
        below = ids[np.repeat(first[frontier], some) + within]
        below = below[~live[below]]
        turns = np.arange(len(below))
        last[below] = turns
        frontier = below[last[below] == turns]  # each once, and nothing sorted
    return own, live
