"""Groups of neighbouring scan positions, gridsize x gridsize each, and the nearest neighbours they are chosen from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from smalti.errors import Refused
from smalti.memoize import memoize

Coordinates = NDArray[np.float64]


def nearest(xcoords: Coordinates, ycoords: Coordinates, size: int) -> NDArray[np.int64]:
    """Return (N, min(size, N)) indexes: the positions nearest to each, itself first.

    Args:
        xcoords, ycoords: (N,) positions in pixels. Memory grows as N * size.
    """
    positions = np.stack([xcoords, ycoords], axis=1)
    ranks = np.arange(1, min(size, len(positions)) + 1)
    near: NDArray[np.int64] = cKDTree(positions).query(positions, k=ranks)[1].astype(np.int64)
    own = np.arange(len(near))
    at = np.argmax(near == own[:, None], axis=1)  # 0 if absent, which happens where size others coincide
    near[own, at], near[:, 0] = near[:, 0].copy(), own
    return near


@memoize(version=1)
def group_positions(
    xcoords: Coordinates, ycoords: Coordinates, gridsize: int, candidates: int, seed: int = 0
) -> NDArray[np.int64]:
    """Return (N, C) indexes, C = gridsize**2: group i is position i and C - 1 of its neighbours, all different.

    The members of a group are in raster order: rows of ``gridsize`` from top to bottom, each from left to right.

    Args:
        xcoords, ycoords: (N,) positions in pixels.
        gridsize: 1 or more.
        candidates: K, the members are chosen at random from the K nearest positions, itself included.
        seed: of that choice; with K = C all candidates are members.

    Raises:
        Refused: fewer than C positions, or fewer than C candidates.

    Source: PtychoPINN's groups, O. Hoidn, A. A. Mishra, A. Mehta, Sci Rep 13, 22789 (2023).
    """
    members = gridsize**2
    if gridsize < 1 or len(xcoords) < members or candidates < members:
        raise Refused(
            f"{len(xcoords)} positions and {candidates} candidates give no groups of gridsize {gridsize}; "
            f"give at least gridsize**2 = {members} of both, and a gridsize of 1 or more."
        )
    near = nearest(xcoords, ycoords, candidates)
    lot = np.random.default_rng(seed).random(near.shape)
    lot[:, 0] = -1  # the position itself is always in
    chosen = np.argpartition(lot, members - 1, axis=1)[:, :members]
    groups = np.take_along_axis(near, chosen, axis=1)
    downwards = np.take_along_axis(groups, np.argsort(ycoords[groups], axis=1, kind="stable"), axis=1)
    rows = downwards.reshape(-1, gridsize, gridsize)
    rightwards = np.argsort(xcoords[rows], axis=2, kind="stable")
    return np.take_along_axis(rows, rightwards, axis=2).reshape(-1, members)


def covering(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (M, C): a subset of the (N, C) groups in which every position occurs, chosen greedily.

    Group i must contain position i, as those of ``group_positions`` do.
    """
    covered = np.zeros(len(groups), dtype=bool)
    kept = []
    for position, group in enumerate(groups):
        if not covered[position]:
            kept.append(position)
            covered[group] = True
    return groups[kept]
