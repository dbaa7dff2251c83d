"""``python -m benchmarks.store``: measure the store beside its peers and write docs/benchmarks/store.md."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import page
from benchmarks.line import Line, Section
from benchmarks.page import Page
from benchmarks.store import arrays, garbage, odd_rows, peak_memory, raw_files, slices, small_values, tables
from benchmarks.store.setup import Setup
from benchmarks.store.workload import Scale

ABOUT = """\
Four float32 arrays, {gigabytes:.3g} GB: two diffraction stacks {frames} (square roots of Poisson counts) and two \
weight matrices {weights}. They are stored, stored again, stored with 1 % of their rows changed (scattered), and \
stored with three rows inserted in the middle of each. Each turn is in new folders, each phase in a new process; \
figures are medians of alternating rounds.

**×** is wall time divided by that of one single-thread SHA-256 pass over the same bytes, taken before and after each \
turn; **load ×** by that of touching every page of plain memory maps of the files, which are in the page cache; \
**CPU ×** is user and system time, child processes included, by that of the SHA-256 pass. Libraries are handed arrays \
in memory, command-line tools files, and their time includes the start of the command. Loads end with every page \
touched; every value loaded was compared with what was stored. A slice is the median of five, each of other rows. \
Bytes are blocks allocated on disk.

Garbage is collected among fewer objects than a million unless `--objects` says so; the goal for a million, 10 s, is \
taken in proportion. The huge array is a hole in a file, so that nobody has to write 64 GiB.

**Before** is what format 1 of the store reached on two cores like these. What is measured on a disk depends on what \
others do with it, and on ext4 without a journal on how many files were removed in the last minute."""

CASES: Mapping[str, Callable[[Setup], Sequence[Line | Section]]] = {
    "small": small_values.measure,
    "arrays": arrays.measure_in_memory,
    "disk": arrays.measure_on_disk,
    "rows": odd_rows.measure,
    "raw": raw_files.measure,
    "slices": slices.measure,
    "gc": garbage.measure,
    "tables": tables.measure,
    "memory": peak_memory.measure,
}
_MEMORY_FILE_SYSTEM = Path("/dev/shm")
_VERSIONS_AT_ONCE = 9  # three to store, and up to six that a peer keeps, works on and gives back


def main(arguments: list[str] | None = None) -> None:
    parser = page.parser("store", CASES)
    parser.set_defaults(peers=Path(sys.executable))
    parser.add_argument("--objects", type=int, default=Scale.gc_objects, help="of the gc (20,000; the goal: 1,000,000)")
    parser.add_argument("--memory", type=Path, help="where most is measured (default: in memory, where there is room)")
    parser.add_argument("--disk", type=Path, default=Path("/var/tmp"), help="a folder on a disk (/var/tmp)")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave no gigabytes in memory when told to stop
    scale = replace(Scale(), gc_objects=given.objects)
    page.write(page_of(scale, given.memory or default_folder(scale), given.disk), given)


def page_of(scale: Scale, memory: Path, disk: Path) -> Page:
    """Return the page that measures at a scale, in a folder in memory and in one on a disk."""

    def measure(case: str) -> page.Measure:
        return lambda peers, rounds: CASES[case](Setup(scale, memory, disk, peers, rounds))

    return Page(
        name="store",
        title="The store: what is reached, and beside whom",
        about=ABOUT.format(gigabytes=scale.nbytes / 1e9, frames=scale.frames, weights=scale.weights),
        cases={case: measure(case) for case in CASES},
        versions=("numpy", "blake3", "pyarrow"),
    )


def default_folder(scale: Scale) -> Path:
    """Return a folder in memory if it has room, because a disk's moods are larger than what is measured."""
    if _MEMORY_FILE_SYSTEM.is_dir() and shutil.disk_usage(_MEMORY_FILE_SYSTEM).free > _VERSIONS_AT_ONCE * scale.nbytes:
        return _MEMORY_FILE_SYSTEM
    return Path(tempfile.gettempdir())


if __name__ == "__main__":
    main()
