"""Which positions of a scan belong together: the nearest ones, and groups of gridsize x gridsize neighbours.

Everything here is a pure function of positions and small numbers, so that what it returns may be memoized.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from smalti.errors import Refused
from smalti.memoize import memoize

Coordinates = NDArray[np.float64]


def nearest(xcoords: Coordinates, ycoords: Coordinates, size: int) -> NDArray[np.int64]:
    """Return (N, size) positions: for each position those nearest to it, itself first; (N, N) when there are fewer.

    Args:
        xcoords, ycoords: (N,) positions in pixels; the time grows as N log N, the memory as N * size.
    """
    positions = np.stack([xcoords, ycoords], axis=1)
    ranks = np.arange(1, min(size, len(positions)) + 1)
    near: NDArray[np.int64] = cKDTree(positions).query(positions, k=ranks)[1].astype(np.int64)
    own = np.arange(len(near))
    at = np.argmax(near == own[:, None], axis=1)  # 0 where it is not there, as many others lie at the very same place
    near[own, at], near[:, 0] = near[:, 0].copy(), own
    return near


@memoize(version=1)
def group_positions(
    xcoords: Coordinates, ycoords: Coordinates, gridsize: int, candidates: int, seed: int = 0
) -> NDArray[np.int64]:
    """Return (N, C) groups, C = gridsize**2: each position and C - 1 of its neighbours, all different.

    The members of a group stand in the order of a raster: by rows of ``gridsize``, downwards, and in a row from left
    to right, so that a network finds the same corner of a group at the same place.

    Args:
        xcoords, ycoords: (N,) positions in pixels.
        gridsize: 1 or more.
        candidates: K, how many of the nearest positions, itself among them, the members are chosen from.
        seed: decides the choice; with K = C there is none.

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
    """Return (M, C): those of the (N, C) groups that are needed for every position to be in one of them.

    Group i has to hold position i, as ``group_positions`` makes them.
    """
    covered = np.zeros(len(groups), dtype=bool)
    kept = []
    for position, group in enumerate(groups):
        if not covered[position]:
            kept.append(position)
            covered[group] = True
    return groups[kept]
