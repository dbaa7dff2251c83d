"""Four arrays taken in and read back, in memory beside the peers and on a disk beside a copy."""

from __future__ import annotations

import math
import os
import shutil
import site
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.line import Line, Section, at_most
from benchmarks.store.measure import in_fresh_process
from benchmarks.store.ours import Smalti
from benchmarks.store.peers import PEERS, Copy, Peer
from benchmarks.store.rounds import PHASES, Turn, take_turn
from benchmarks.store.setup import Setup, in_turns, where
from benchmarks.store.workload import Scale, write_versions

EVERYONE: tuple[type[Peer], ...] = (Smalti, *PEERS)
_MB = 1e6


@dataclass(frozen=True)
class Figure:
    """One figure of a turn: what it is, how it is taken and written, what is to be reached and what was before."""

    what: str
    of: Callable[[Turn], float]
    form: str
    limit: float
    before: str


def _wall(phase: str) -> Callable[[Turn], float]:
    return lambda turn: turn.ingest[phase].wall_s / turn.yardstick.sha256.wall_s


def _cpu(phase: str) -> Callable[[Turn], float]:
    return lambda turn: turn.ingest[phase].cpu_s / turn.yardstick.sha256.cpu_s


def _added_mb(phase: str) -> Callable[[Turn], float]:
    return lambda turn: turn.added_nbytes[phase] / _MB


def _sha256_s(turn: Turn) -> float:
    return turn.yardstick.sha256.wall_s


def _touch_s(turn: Turn) -> float:
    return turn.yardstick.touch.wall_s


def _load(turn: Turn) -> float:
    return turn.load.wall_s / turn.yardstick.touch.wall_s


def _load_changed(turn: Turn) -> float:
    return turn.load_changed.wall_s / turn.yardstick.touch.wall_s


def _load_unverified(turn: Turn) -> float:
    return turn.load_unverified.wall_s / turn.yardstick.touch.wall_s if turn.load_unverified else math.nan


def _slice_ms(turn: Turn) -> float:
    return 1e3 * turn.slice_s if turn.slice_s is not None else math.nan


_LOAD = "whole load / touching plain maps"
SLICE = Figure("1 % slice of 4 files, verified", _slice_ms, "{:.1f} ms", 2, "3.8 ms")
INGEST = (
    Figure("first ingest / a SHA-256 pass", _wall("first"), "{:.2f} ×", 0.8, "0.9 to 1.1 ×"),
    Figure("the same bytes again / a SHA-256 pass", _wall("again"), "{:.2f} ×", 0.3, "0.40 ×"),
    Figure("1 % of rows changed / a SHA-256 pass", _wall("changed"), "{:.2f} ×", 0.38, "0.46 ×"),
)
ADDED = (
    Figure("bytes added by the same again", _added_mb("again"), "{:.1f} MB", 0, "0.0 MB"),
    Figure("bytes added by 1 % of rows changed", _added_mb("changed"), "{:.1f} MB", 6, "5.4 MB"),
    Figure("bytes added by 3 rows inserted in each", _added_mb("inserted"), "{:.1f} MB", 2, "1.8 MB"),
)
READ = (
    Figure(f"{_LOAD}, not verified", _load_unverified, "{:.1f} ×", 1.5, "0.9 ×"),
    Figure(f"{_LOAD}, verified", _load, "{:.1f} ×", 2.5, "2.1 ×"),
    Figure(f"{_LOAD}, of the version with 1 % changed, verified", _load_changed, "{:.1f} ×", 2.5, "2.5 ×"),
    SLICE,
)


def measure_in_memory(setup: Setup) -> list[Line | Section]:
    """Return the lines of four arrays in memory, and a table of the peers beside us."""
    packages = use(setup.peers) if setup.peers else None
    wanted = EVERYONE if setup.peers else (Smalti,)
    here = [peer for peer in wanted if in_fresh_process(packages, peer.is_installed)]
    with setup.in_memory() as folder:
        table = f"Four arrays {where(folder)}"
        turns = take_turns(folder, setup.scale, here, setup.rounds, packages)
    versions = {peer: in_fresh_process(packages, peer.version) for peer in here}
    beside = Section(f"Four arrays {where(setup.memory)}, beside the peers", of_peers(turns, versions))
    missing = [f"- {peer.name}: it is not installed; {peer.install}." for peer in wanted if peer not in here]
    left_out = [Section("Peers left out", "\n".join(missing))] if missing else []
    return [*lines(turns, table), beside, *left_out]


def measure_on_disk(setup: Setup) -> list[Line | Section]:
    """Return the lines of four arrays on the disk, beside a copy that is made durable."""
    with setup.on_disk() as folder:
        table = f"Four arrays {where(folder)}"
        turns = take_turns(folder, setup.scale, [Smalti, Copy], setup.rounds, None)
    return [*lines_on_disk(turns, table)]


def take_turns(
    folder: Path, scale: Scale, peers: Sequence[type[Peer]], rounds: int, packages: Path | None
) -> dict[type[Peer], list[Turn]]:
    """Let every peer take its turns, in a folder of which nothing is left."""
    versions = folder / "versions"
    in_fresh_process(packages, write_versions, versions, scale)
    os.sync()

    def turn(peer: type[Peer]) -> Turn:
        print(f"        {peer.name}", file=sys.stderr, flush=True)
        return take_turn(peer, folder / peer.__name__, versions, packages)

    taken = in_turns({peer.__name__: partial(turn, peer) for peer in peers}, rounds)
    shutil.rmtree(versions)
    return {peer: taken[peer.__name__] for peer in peers}


def lines(turns: Mapping[type[Peer], Sequence[Turn]], table: str) -> list[Line]:
    """Return the figures of our turns in memory, and whether each is reached."""
    return [
        at_most(each.limit, each.what, _median(turns[Smalti], each.of), each.form, before=each.before, table=table)
        for each in (*INGEST, *ADDED, *READ)
    ]


def lines_on_disk(turns: Mapping[type[Peer], Sequence[Turn]], table: str) -> list[Line]:
    """Return the figures of our turns on a disk; how fast it writes, and maps what it has read, is nobody's goal."""
    of_both = zip(turns[Smalti], turns[Copy], strict=True)
    ratio = median(ours.ingest["first"].wall_s / theirs.ingest["first"].wall_s for ours, theirs in of_both)
    touched = f"(plain maps: {1e3 * _median(turns[Smalti], _touch_s):.0f} ms)"
    return [
        at_most(None, "first ingest / `cp` and fsync", ratio, "{:.2f} ×", table=table),
        *(
            at_most(
                each.limit if each is SLICE else None,
                each.what,
                _median(turns[Smalti], each.of),
                each.form,
                note="" if each is SLICE or each in INGEST else touched,
                table=table,
            )
            for each in (*INGEST, *READ)
        ),
    ]


def of_peers(turns: Mapping[type[Peer], Sequence[Turn]], versions: Mapping[type[Peer], str]) -> str:
    """Return the table of everyone beside us, in Markdown."""
    columns = ["peer", "ingest ×", "again ×", "1 % ×", "insert ×", "load ×", "load of 1 % ×", "slice ms"]
    columns += ["MB first + again + 1 % + insert", "CPU × of the four"]
    written = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for peer, of_peer in turns.items():
        walls = [f"{_median(of_peer, _wall(phase)):.2f}" for phase in PHASES]
        loads = [f"{_median(of_peer, load):.1f}" for load in (_load, _load_changed)]
        slices = [turn.slice_s for turn in of_peer if turn.slice_s is not None]
        added = [_median(of_peer, _added_mb(phase)) for phase in PHASES]
        cells = [
            f"{peer.name} {versions[peer]}",
            *walls,
            *loads,
            f"{1e3 * median(slices):.1f}" if slices else "whole only",
            " + ".join(f"{megabytes:.3g}" if megabytes < 10 else f"{megabytes:.0f}" for megabytes in added),
            " / ".join(f"{_median(of_peer, _cpu(phase)):.1f}" for phase in PHASES),
        ]
        written.append(f"| {' | '.join(cells)} |")
    sha256, mapped = ([of(turn) for some in turns.values() for turn in some] for of in (_sha256_s, _touch_s))
    note = f"The SHA-256 pass took {_range(sha256)} s, touching the plain maps {_range(mapped)} s."
    return "\n".join([*written, "", note])


def use(python: Path) -> Path:
    """Put the commands beside a Python on the path and return the folder of its packages."""
    os.environ["PATH"] = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    if python == Path(sys.executable):
        return Path(site.getsitepackages()[0])
    return next(python.parent.parent.glob("lib/python3*/site-packages"))


def _range(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _median(turns: Sequence[Turn], of: Callable[[Turn], float]) -> float:
    return median(of(turn) for turn in turns)
