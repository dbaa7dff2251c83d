"""One turn of one peer: every phase in a fresh process, the hash pass it is compared with before and after it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import numpy as np

from benchmarks.store.measure import Cost, allocated_nbytes, in_fresh_process, timed, touch, warm_memory
from benchmarks.store.peers import Peer
from benchmarks.store.workload import files

# Name of the phase -> the version that is taken in.
PHASES = {"first": "first", "again": "first", "changed": "changed", "inserted": "inserted"}
_SLICES = 5
_MEMORY_NEEDED = 1.25  # what a peer writes while it is timed, buffers included, per byte of a version


@dataclass(frozen=True)
class Yardstick:
    """What the same bytes cost without any tool: one SHA-256 pass on one thread, and touching a plain memory map."""

    sha256: Cost
    touch: Cost


@dataclass(frozen=True)
class Turn:
    """One peer in one round.

    Attributes:
        ingest: phase -> what taking that version in cost.
        added_nbytes: phase -> what the repository grew by on disk.
        load: of the first version, every page touched.
        load_changed: the same of the version with 1 % of its rows changed.
        load_unverified: the same of the first version without looking for damage; None where there is no choice.
        slice_s: 1 % of the rows of all four arrays; None where there is no partial read.
    """

    yardstick: Yardstick
    ingest: Mapping[str, Cost]
    added_nbytes: Mapping[str, int]
    load: Cost
    load_changed: Cost
    load_unverified: Cost | None
    slice_s: float | None


def take_turn(peer: type[Peer], folder: Path, versions: Path, packages: Path | None) -> Turn:
    """Put a peer through every phase in a new repository in ``folder``, and remove it again."""
    folder.mkdir(parents=True)
    before = in_fresh_process(packages, _yardstick, versions)
    in_fresh_process(packages, _create, peer, folder)
    size = allocated_nbytes(folder / peer.kept_in)
    ingest, added, loads = {}, {}, {}
    slice_s = unverified = None
    for phase, version in PHASES.items():
        ingest[phase] = in_fresh_process(packages, _ingest, peer, folder, files(versions, version))
        previous, size = size, allocated_nbytes(folder / peer.kept_in)
        added[phase] = size - previous
        if phase in ("first", "changed"):
            loads[phase] = in_fresh_process(packages, _load, peer, folder, files(versions, version))
        if phase == "first":
            if hasattr(peer, "load_unverified"):
                unverified = in_fresh_process(packages, _load, peer, folder, files(versions, version), verify=False)
            slice_s = in_fresh_process(packages, _slice, peer, folder, files(versions, version))
    after = in_fresh_process(packages, _yardstick, versions)
    _remove(folder)
    yardstick = Yardstick(_mean(before.sha256, after.sha256), _mean(before.touch, after.touch))
    return Turn(yardstick, ingest, added, loads["first"], loads["changed"], unverified, slice_s)


def _yardstick(versions: Path) -> Yardstick:
    named = files(versions, "first").values()
    arrays = [np.load(file, mmap_mode="r") for file in named]
    touch(arrays)
    sha256, _ = timed(lambda: [hashlib.sha256(array).digest() for array in arrays])
    mapped, _ = timed(lambda: touch(np.load(file, mmap_mode="r") for file in named))
    return Yardstick(sha256, mapped)


def _mean(one: Cost, other: Cost) -> Cost:
    return Cost(fmean((one.wall_s, other.wall_s)), fmean((one.cpu_s, other.cpu_s)))


def _create(peer: type[Peer], folder: Path) -> None:
    peer(folder).create()


def _ingest(peer: type[Peer], folder: Path, named: Mapping[str, Path]) -> Cost:
    tool = peer(folder)
    tool.stage(named)
    _warm_memory_for(named)
    return timed(tool.ingest)[0]


def _warm_memory_for(named: Mapping[str, Path]) -> None:
    warm_memory(int(_MEMORY_NEEDED * sum(file.stat().st_size for file in named.values())))


def _load(peer: type[Peer], folder: Path, named: Mapping[str, Path], *, verify: bool = True) -> Cost:
    tool = peer(folder)
    tool.forget()
    _warm_memory_for(named)

    def load() -> dict[str, np.ndarray]:
        arrays = tool.load(list(named)) if verify else tool.load_unverified(list(named))
        touch(arrays.values())
        return arrays

    cost, arrays = timed(load)
    for name, file in named.items():
        _must_be_equal(peer, arrays[name], np.load(file, mmap_mode="r"))
    return cost


def _slice(peer: type[Peer], folder: Path, named: Mapping[str, Path]) -> float | None:
    """Return the median of a few, each of other rows, found anew: one alone would be the interpreter's start."""
    tool = peer(folder)
    plain = {name: np.load(file, mmap_mode="r") for name, file in named.items()}
    seconds = []
    for number in range(_SLICES):
        first = {name: len(array) * number // _SLICES for name, array in plain.items()}
        wanted = {name: slice(row, row + max(1, len(plain[name]) // 100)) for name, row in first.items()}

        def read(wanted: Mapping[str, slice] = wanted) -> list[np.ndarray | None]:
            found = [tool.rows(name, rows) for name, rows in wanted.items()]
            touch(np.ascontiguousarray(block) for block in found if block is not None)
            return found

        cost, found = timed(read)
        if found[0] is None:
            return None
        for block, (name, rows) in zip(found, wanted.items(), strict=True):
            _must_be_equal(peer, block, plain[name][rows])
        seconds.append(cost.wall_s)
    return median(seconds)


def _must_be_equal(peer: type[Peer], found: np.ndarray | None, wanted: np.ndarray) -> None:
    if found is None or found.dtype != wanted.dtype or not np.array_equal(found, wanted):
        raise RuntimeError(f"{peer.name} gave back something else than it was given")


def _remove(folder: Path) -> None:
    """Remove a tree although some tools make their folders read-only."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)
