"""The report in Markdown: what was to be reached, and the peers side by side; every figure comes from the run."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.store.ours import Smalti
from benchmarks.store.peers import Peer
from benchmarks.store.rounds import PHASES, Turn
from benchmarks.store.single import RunLookup, SmallPuts, TableGrowth
from benchmarks.store.workload import Scale

_MB = 1e6


@dataclass(frozen=True)
class PeakMemory:
    """Bytes resident beyond the array and the interpreter."""

    put_nbytes: int
    read_nbytes: int


@dataclass(frozen=True)
class Results:
    """All that one run measured; ``table`` may be the sentence that says why there is no figure."""

    scale: Scale
    rounds: int
    machine: str
    turns: Mapping[type[Peer], Sequence[Turn]]
    versions: Mapping[type[Peer], str]
    small_puts: SmallPuts
    table: TableGrowth | str
    gc_mark_s: float
    run_lookup: RunLookup
    memory: PeakMemory | None


@dataclass(frozen=True)
class Target:
    """A figure to reach: at most ``limit``, in the unit that ``form`` writes."""

    measure: str
    limit: float
    measured: float
    form: str

    def line(self) -> str:
        verdict = "reached" if self.measured <= self.limit else "**falls short**"
        return f"| {self.measure} | {self.form.format(self.limit)} | {self.form.format(self.measured)} | {verdict} |"


def markdown(results: Results, left_out: Sequence[type[Peer]]) -> str:
    """Return the whole page."""
    scale = results.scale
    gigabytes = scale.nbytes / 1e9
    sha256 = [turn.yardstick.sha256.wall_s for turns in results.turns.values() for turn in turns]
    mapped = [turn.yardstick.touch.wall_s for turns in results.turns.values() for turn in turns]
    parts = [
        "# The store beside its peers",
        "Written by `make bench-store` (`python -m benchmarks.store --help` lists what can be chosen); "
        "no figure on this page is typed by hand.",
        f"Four float32 arrays, {gigabytes:.3g} GB: two diffraction stacks {scale.frames} (square roots of Poisson "
        f"counts) and two weight matrices {scale.weights}. They are stored, stored again, stored with 1 % of their "
        "rows changed (scattered), and stored with three rows inserted in the middle of each. "
        f"Medians of {results.rounds} alternating rounds; each round in new folders, each phase in a new process.",
        f"**×** is wall time divided by that of one single-thread SHA-256 pass over the same bytes "
        f"({_range(sha256)} s here), taken before and after each peer's turn; **load ×** by that of touching "
        f"every page of plain memory maps of the files ({_range(mapped)} s); **CPU ×** is user and system time, "
        "child processes included, by that of the SHA-256 pass. Libraries are handed arrays in memory, command-line "
        "tools files, and their time includes the start of the command. Loads end with every page touched; every "
        "value loaded was compared with what was stored. A slice is the median of five, each of other rows. "
        "Bytes are blocks allocated on disk.",
        results.machine,
        "## What was to be reached",
        _targets(results),
        "## Beside the peers",
        _peers(results.turns, results.versions),
        *_table(results.table),
        "## Not measured",
        _not_measured(results, left_out),
    ]
    return "\n\n".join(parts) + "\n"


def _range(values: Sequence[float]) -> str:
    return f"{median(values):.2f}, from {min(values):.2f} to {max(values):.2f}"


def _median(turns: Sequence[Turn], of: Callable[[Turn], float]) -> float:
    return median(of(turn) for turn in turns)


def _wall(phase: str) -> Callable[[Turn], float]:
    return lambda turn: turn.ingest[phase].wall_s / turn.yardstick.sha256.wall_s


def _cpu(phase: str) -> Callable[[Turn], float]:
    return lambda turn: turn.ingest[phase].cpu_s / turn.yardstick.sha256.cpu_s


def _load(turn: Turn) -> float:
    return turn.load.wall_s / turn.yardstick.touch.wall_s


def _load_changed(turn: Turn) -> float:
    return turn.load_changed.wall_s / turn.yardstick.touch.wall_s


def _load_unverified(turn: Turn) -> float:
    return turn.load_unverified.wall_s / turn.yardstick.touch.wall_s if turn.load_unverified else math.nan


def _targets(results: Results) -> str:
    targets = []
    if ours := results.turns.get(Smalti):
        slices_ms = [1e3 * turn.slice_s for turn in ours if turn.slice_s is not None]
        added = {phase: _median(ours, lambda turn, phase=phase: turn.added_nbytes[phase] / _MB) for phase in PHASES}
        targets += [
            Target("first ingest, wall", 1.0, _median(ours, _wall("first")), "{:.2f} ×"),
            Target("the same bytes again, wall", 0.35, _median(ours, _wall("again")), "{:.2f} ×"),
            Target("1 % of rows changed, wall", 0.45, _median(ours, _wall("changed")), "{:.2f} ×"),
            Target("bytes added by the same again", 0, added["again"], "{:.1f} MB"),
            Target("bytes added by 1 % of rows changed", 6, added["changed"], "{:.1f} MB"),
            Target("bytes added by 3 rows inserted in each", 2, added["inserted"], "{:.1f} MB"),
            Target("whole load, not verified", 1.5, _median(ours, _load_unverified), "{:.1f} ×"),
            Target("whole load, verified", 2.5, _median(ours, _load), "{:.1f} ×"),
            Target("whole load of the deduplicated version, verified", 2.5, _median(ours, _load_changed), "{:.1f} ×"),
            Target("1 % slice of 4 files, verified", 3, median(slices_ms), "{:.1f} ms"),
        ]
    targets.append(Target("durable small put", 2, results.small_puts.put_ms, "{:.2f} ms"))
    targets.append(
        Target("durable small put, a thousand in one call", 0.3, results.small_puts.together_ms, "{:.2f} ms")
    )
    objects = f"{results.scale.gc_objects:,} objects, {3 * results.scale.gc_objects:,} references"
    targets.append(Target(f"gc: mark and difference, {objects}", 2, results.gc_mark_s, "{:.2f} s"))
    runs, lookup = f"runs by digest, {results.scale.runs:,} runs", results.run_lookup
    targets.append(Target(f"{runs}, median", 30, lookup.median_us, "{:.0f} µs"))
    targets.append(Target(f"{runs}, 99 of 100 below", 200, lookup.p99_us, "{:.0f} µs"))
    if isinstance(results.table, TableGrowth):
        for edit, limit in (("appended", 1.2), ("inserted", 1.0), ("deleted", 1.0)):
            name = next(name for name in results.table.added_nbytes if name.endswith(edit))
            percent = 100 * results.table.added_nbytes[name] / results.table.first_nbytes
            targets.append(Target(f"table: bytes added by {name}", limit, percent, "{:.2f} %"))
    if results.memory:
        for what, nbytes in (("put", results.memory.put_nbytes), ("verified read", results.memory.read_nbytes)):
            name = f"peak memory of a {what} of {results.scale.large_nbytes / 2**30:g} GiB beyond the array"
            targets.append(Target(name, 128, nbytes / 2**20, "{:.0f} MiB"))
    note = (
        f"A file of the same size made durable by hand (write, fsync, rename, fsync of the folder) took "
        f"{results.small_puts.by_hand_ms:.2f} ms beside the small puts."
    )
    return "\n".join(
        ["| measure | to reach | measured | |", "|---|---|---|---|", *(t.line() for t in targets), "", note]
    )


def _peers(turns: Mapping[type[Peer], Sequence[Turn]], versions: Mapping[type[Peer], str]) -> str:
    columns = ["peer", "ingest ×", "again ×", "1 % ×", "insert ×", "load ×", "load of 1 % ×", "slice ms"]
    columns += ["MB first + again + 1 % + insert", "CPU × of the four"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for peer, of_peer in turns.items():
        walls = [f"{_median(of_peer, _wall(phase)):.2f}" for phase in PHASES]
        loads = [f"{_median(of_peer, load):.1f}" for load in (_load, _load_changed)]
        slices = [turn.slice_s for turn in of_peer if turn.slice_s is not None]
        added = [_median(of_peer, lambda turn, phase=phase: turn.added_nbytes[phase]) / _MB for phase in PHASES]
        cells = [
            f"{peer.name} {versions[peer]}",
            *walls,
            *loads,
            f"{1e3 * median(slices):.1f}" if slices else "whole only",
            " + ".join(f"{megabytes:.3g}" if megabytes < 10 else f"{megabytes:.0f}" for megabytes in added),
            " / ".join(f"{_median(of_peer, _cpu(phase)):.1f}" for phase in PHASES),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _table(table: TableGrowth | str) -> list[str]:
    if isinstance(table, str):
        return []
    lines = [f"| edit | MB added to {table.first_nbytes / _MB:.1f} |", "|---|---|"]
    lines += [f"| {name} | {nbytes / _MB:.2f} |" for name, nbytes in table.added_nbytes.items()]
    return ["## A table", "\n".join(lines)]


def _not_measured(results: Results, left_out: Sequence[type[Peer]]) -> str:
    lines = [f"{peer.name}: it is not installed; {peer.install}." for peer in left_out]
    if isinstance(results.table, str):
        lines.append(f"The table: {results.table}")
    if not results.memory:
        lines.append("Peak memory of a 2 GiB array: add `--large`.")
    return "\n".join(f"- {line}" for line in lines) or "Nothing was left out."


def file_system(folder: Path) -> str:
    """Return the kind of the file system that holds ``folder``, where the system tells it."""
    table = Path("/proc/self/mounts")
    if not table.exists():
        return "a local disk"
    mounts = [line.split()[1:3] for line in table.read_text().splitlines()]
    holding = [(point, kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1]


def machine(folder: Path, disk: Path) -> str:
    """Return, in a sentence, what was measured on: nothing that names the machine or a place on it."""
    versions = {
        "Python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("numpy", "blake3", "pyarrow")},
    }
    load = f", {os.getloadavg()[0]:.1f} processes running when it ended" if hasattr(os, "getloadavg") else ""
    return (
        f"Measured on {platform.system()} {platform.machine()}, {os.cpu_count()} cores{load}; "
        f"on {file_system(folder)}, small puts on {file_system(disk)}; "
        f"{', '.join(f'{name} {version}' for name, version in versions.items())}."
    )
