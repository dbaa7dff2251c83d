"""``python -m benchmarks.store``: measure the store beside its peers and write docs/benchmarks/store.md."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.store import single
from benchmarks.store.measure import in_fresh_process
from benchmarks.store.ours import Smalti
from benchmarks.store.peers import PEERS, Peer
from benchmarks.store.report import PeakMemory, Results, machine, markdown
from benchmarks.store.rounds import Turn, take_turn
from benchmarks.store.workload import Scale, write_versions

EVERYONE: tuple[type[Peer], ...] = (Smalti, *PEERS)
_MEMORY_FILE_SYSTEM = Path("/dev/shm")
_VERSIONS_AT_ONCE = 9  # three to store, and up to six that a peer keeps, works on and gives back


def measure(
    folder: Path,
    disk: Path,
    scale: Scale,
    rounds: int,
    peers: Sequence[type[Peer]],
    packages: Path | None = None,
    large: bool = False,
) -> Results:
    """Measure everything in the empty folder ``folder``; small puts, which are about syncing, in ``disk``."""
    start = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - start:5.0f} s  {what}", file=sys.stderr, flush=True)

    say("making the data")
    versions = folder / "versions"
    in_fresh_process(packages, write_versions, versions, scale)
    turns: dict[type[Peer], list[Turn]] = {peer: [] for peer in peers}
    for number in range(rounds):
        first = number % len(peers)  # nobody always comes first
        for peer in (*peers[first:], *peers[:first]):
            say(f"round {number + 1} of {rounds}: {peer.name}")
            turns[peer].append(take_turn(peer, folder / f"{number}-{peer.__name__}", versions, packages))
    shutil.rmtree(versions)
    say("small puts, the table, marking, runs")
    versions_of = {peer: in_fresh_process(packages, peer.version) for peer in peers}
    small_puts = in_fresh_process(packages, single.small_puts, disk, scale)
    table = in_fresh_process(packages, single.table_growth, folder / "table", scale)
    lookup = in_fresh_process(packages, single.runs_of, folder / "runs", scale)
    mark_s = in_fresh_process(packages, single.gc_mark_s, folder / "gc", scale)
    memory = None
    if large:
        say("peak memory")
        put = in_fresh_process(packages, single.put_large, folder / "large", scale)
        memory = PeakMemory(put, in_fresh_process(packages, single.read_large, folder / "large"))
    return Results(scale, rounds, machine(folder, disk), turns, versions_of, small_puts, table, mark_s, lookup, memory)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds; medians are reported (default 5)")
    parser.add_argument("--folder", type=Path, help="where to measure (default: in memory, where there is room)")
    parser.add_argument("--disk", type=Path, default=Path("/var/tmp"), help="where small puts are synced (/var/tmp)")
    parser.add_argument("--only", nargs="+", metavar="WORD", default=[""], help="peers whose names hold a word")
    parser.add_argument("--peers-venv", type=Path, help="a virtual environment that holds more of the peers")
    parser.add_argument("--large", action="store_true", help="also the peak memory of a 2 GiB array")
    parser.add_argument("--report", type=Path, default=Path("docs/benchmarks/store.md"), help="what to write")
    given = parser.parse_args(arguments)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave no gigabytes in memory when told to stop
    packages = _use(given.peers_venv.absolute()) if given.peers_venv else None
    peers = [peer for peer in EVERYONE if any(word.lower() in peer.name.lower() for word in given.only)]
    here = [peer for peer in peers if in_fresh_process(packages, peer.is_installed)]
    scale = Scale()
    with (
        tempfile.TemporaryDirectory(prefix="bench-store-", dir=given.folder or _default_folder(scale)) as folder,
        tempfile.TemporaryDirectory(prefix="bench-store-", dir=given.disk) as disk,
    ):
        results = measure(Path(folder), Path(disk), scale, given.rounds, here, packages, given.large)
        text = markdown(results, left_out=[peer for peer in peers if peer not in here])
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(text)
    print(text)


def _use(environment: Path) -> Path:
    """Put the commands of a virtual environment on the path and return the folder of its packages."""
    os.environ["PATH"] = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return next(environment.glob("lib/python3*/site-packages"))


def _default_folder(scale: Scale) -> Path:
    """Return a folder in memory if it has room, because a disk's moods are larger than what is measured."""
    if _MEMORY_FILE_SYSTEM.is_dir() and shutil.disk_usage(_MEMORY_FILE_SYSTEM).free > _VERSIONS_AT_ONCE * scale.nbytes:
        return _MEMORY_FILE_SYSTEM
    return Path(tempfile.gettempdir())


if __name__ == "__main__":
    main()
