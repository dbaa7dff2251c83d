"""Committing a directory of 1 GB of which one row in a hundred changed, beside one pass of SHA-256, and beside DVC."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import h5py
import numpy as np

from benchmarks.line import Line
from benchmarks.runs.peer import ask

if TYPE_CHECKING:
    from smalti import Directory

GOAL_PASS, GOAL_NEW = 0.5, 0.012
ROWS, COLUMNS, ARRAYS = 12_500, 2500, 4  # 250 MB each
_GROWN_ROWS = 500  # 10 MB


def measure(peers: Path | None, rounds: int) -> list[Line]:
    """Return what a commit takes in passes of SHA-256 over the same bytes, and how much it adds."""
    whole, added, theirs = commits(write_whole, rounds, ARRAYS, peers)
    grown, grown_added, _ = commits(grow, rounds, ARRAYS)
    one, _, _ = commits(write_whole, rounds, 1)
    dvc = "not measured: no --peers"
    if peers:
        dvc = f"{median(r for r, _ in theirs):.2f} passes, {100 * max(n for _, n in theirs):.1f} % new bytes"
    what, goal = "commit 1 GB, 1 % of the rows changed", f"{GOAL_PASS:g}"
    of_grown = f"{what}, of arrays that were grown by 10 MB each time / a pass"
    return [
        Line(f"{what} / a pass of SHA-256", goal, f"{whole:.2f}", whole <= GOAL_PASS),
        Line("its new bytes", f"{100 * GOAL_NEW:g} %", f"{100 * added:.2f} %", added <= GOAL_NEW),
        Line("the same with DVC", "", dvc),
        Line(of_grown, goal, f"{grown:.2f}", grown <= GOAL_PASS),
        Line("its new bytes", f"{100 * GOAL_NEW:g} %", f"{100 * grown_added:.2f} %", grown_added <= GOAL_NEW),
        Line(f"commit 1 GB, 1 % of the rows of one of {ARRAYS} files changed / a pass over all", "", f"{one:.2f}"),
    ]


def commits(
    fill: Callable[[Directory, str, np.random.Generator], None], rounds: int, changed: int, peers: Path | None = None
) -> tuple[float, float, list[tuple[float, float]]]:
    """Return the median passes of a commit, the largest share of new bytes, and both of each commit with DVC.

    Args:
        fill: writes an array under a name.
        changed: in how many of the arrays rows are changed before each commit.
    """
    from smalti import Directory, open_store, set_root_dir

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        set_root_dir(folder)
        directory, store = Directory("tree"), open_store(folder / "store")
        random = np.random.default_rng(0)
        for number in range(ARRAYS):
            fill(directory, f"array_{number}", random)
        directory.commit("first", store=store)
        if peers:
            ask(peers, "dvc_init", folder, 0)
        ratios, new, theirs = [], [], []
        for number in range(rounds):
            change(folder / "tree", random, changed)
            pass_s = sha256_s(folder / "tree")
            before, start = _nbytes(folder / "store"), time.perf_counter()
            directory.commit(f"change {number}", store=store)
            ratios.append((time.perf_counter() - start) / pass_s)
            new.append((_nbytes(folder / "store") - before) / 1e9)
            if peers:
                answer = ask(peers, "dvc_commit", folder, 0)
                theirs.append((answer["s"] / pass_s, answer["new_nbytes"] / 1e9))
        shutil.rmtree(folder / "tree")
    return median(ratios), max(new), theirs


def write_whole(directory: Directory, name: str, random: np.random.Generator) -> None:
    """Write an array at once."""
    directory[name] = random.random((ROWS, COLUMNS))


def grow(directory: Directory, name: str, random: np.random.Generator) -> None:
    """Write an array some rows at a time."""
    for _ in range(0, ROWS, _GROWN_ROWS):
        directory.extend(name, random.random((_GROWN_ROWS, COLUMNS)))


def change(tree: Path, random: np.random.Generator, arrays: int) -> None:
    """Write other numbers into one row in a hundred, a block in each of some arrays, in place as any tool does."""
    count = ROWS // 100
    for number in range(arrays):
        at = int(random.integers(0, ROWS - count))
        with h5py.File(tree / f"array_{number}.h5", "r+") as file:
            file["data"][at : at + count] = random.random((count, COLUMNS))


def sha256_s(tree: Path) -> float:
    """Return the seconds that one pass of SHA-256 over the files takes, read before so that they are in memory."""
    for path in sorted(tree.glob("*.h5")):
        path.read_bytes()
    start = time.perf_counter()
    for path in sorted(tree.glob("*.h5")):
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
    return time.perf_counter() - start


def _nbytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
