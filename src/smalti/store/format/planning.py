"""Planning a near-duplicate: which of an object's leaves others have, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.digest import LEAF_ID_NBYTES
from smalti.store.format.leaf_table import Leaves
from smalti.store.format.recipe import LEAST_SAVED_NBYTES, LONG_NBYTES, MOST_EXTENTS, OWN, Extent, Recipe
from smalti.store.format.record import Record

_LEAST_SAVED_SHARE = 0.1


def own_leaves(record: Record, recipe: Recipe | None) -> Leaves:
    """Return which of an object's leaves lie in its own file: all of them, or those its recipe does not take."""
    leaves = record.table.all
    if recipe is None:
        return leaves
    ends = np.cumsum([extent.nbytes for extent in recipe.extents])
    owner = np.array([extent.source for extent in recipe.extents])[np.searchsorted(ends, leaves.starts, "right")]
    return Leaves(leaves.ids[owner == OWN], leaves.starts[owner == OWN], leaves.sizes[owner == OWN])


def plan(record: Record, framing_nbytes: int, similar: list[str], leaves_of: Callable[[str], Leaves]) -> Recipe | None:
    """Return how to keep an object as a near-duplicate of those it resembles, or None where that saves too little.

    Args:
        record: the object to be kept.
        framing_nbytes: size of its file's packed framing.
        similar: addresses to take leaves from, best first.
        leaves_of: gives the leaves in the own file of one of them.
    """
    wanted, sizes = record.table.all.ids, record.table.all.sizes
    source = np.full(len(wanted), OWN)
    start = np.zeros(len(wanted), np.int64)
    sources: list[str] = []
    for address in similar:
        missing = np.flatnonzero(source == OWN)
        if not len(missing):
            break
        offered = leaves_of(address)
        place = _find(wanted[missing], offered.ids)
        if not (place >= 0).any():
            continue
        found = missing[place >= 0]
        source[found], start[found] = len(sources), offered.starts[place[place >= 0]]
        sources.append(address)
    saved = int(sizes[source != OWN].sum())
    if saved < max(LEAST_SAVED_NBYTES, _LEAST_SAVED_SHARE * record.nbytes):
        return None
    own = source == OWN
    start[own] = np.cumsum(sizes[own]) - sizes[own]
    extents = _runs(source, start, sizes)
    few = len(extents) <= max(MOST_EXTENTS, record.nbytes // LONG_NBYTES)
    return Recipe(framing_nbytes, tuple(sources), extents) if few else None


def _find(wanted: NDArray[np.uint8], offered: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return for each wanted id its row among the offered ones, or -1."""
    as_one = np.dtype((np.void, LEAF_ID_NBYTES))
    order = np.argsort(_keys(offered), kind="stable")
    at = np.searchsorted(_keys(offered)[order], _keys(wanted))
    row = order[np.minimum(at, len(order) - 1)] if len(order) else np.zeros(len(wanted), np.int64)
    if not len(order):
        return np.full(len(wanted), -1)
    equal = np.ascontiguousarray(wanted).view(as_one).ravel() == np.ascontiguousarray(offered[row]).view(as_one).ravel()
    return np.where(equal, row, -1)


def _keys(ids: NDArray[np.uint8]) -> NDArray[Any]:
    return np.ascontiguousarray(ids[:, :8]).view("<u8").ravel()


def _runs(source: NDArray[Any], start: NDArray[np.int64], size: NDArray[np.int64]) -> tuple[Extent, ...]:
    """Join leaves that follow one another in the same source."""
    joins = (source[1:] == source[:-1]) & (start[1:] == start[:-1] + size[:-1])
    first = np.flatnonzero(np.concatenate([[True], ~joins]))
    total = np.add.reduceat(size, first)
    return tuple(Extent(int(s), int(a), int(n)) for s, a, n in zip(source[first], start[first], total, strict=True))
