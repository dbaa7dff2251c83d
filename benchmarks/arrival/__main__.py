"""``python -m benchmarks.arrival``: drop many files at once and write docs/benchmarks/arrival.md."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg

from benchmarks.arrival.soak import LIMIT_S, Soak, counted, drop, soak
from benchmarks.page import file_system
from sensors.arrivals import TICK_S


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arrival", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="how many files (default 10,000)")
    parser.add_argument("--bad", type=int, default=100, help="how many of them are broken (default 100)")
    parser.add_argument("--folder", type=Path, help="where to work (default: the system's temporary folder)")
    parser.add_argument("--report", type=Path, default=Path("docs/benchmarks/arrival.md"), help="what to write")
    given = parser.parse_args(arguments)
    start = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - start:5.0f} s  {what}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="bench-arrival-", dir=given.folder) as folder:
        root, home = Path(folder) / "root", Path(folder) / "dagster"
        os.environ["SMALTI_ROOT"] = str(root)
        home.mkdir()
        say("writing the files")
        good, bad = given.files - given.bad, given.bad
        drop(root / "data" / "raw", good, bad)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            ticks, idle_s = soak(root, instance, say)
            say("counting")
            result = counted(root, instance, good, bad, ticks, idle_s)
        text = markdown(result, file_system(Path(folder)))
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(text)
    print(text)
    sys.exit(1 if result.faults else 0)


def markdown(result: Soak, disk: str) -> str:
    """Return the whole page; every figure comes from the run."""
    files = result.good + result.bad
    walls = sorted(tick.wall_s for tick in result.ticks)
    resident = [tick.resident_nbytes / 2**20 for tick in result.ticks]
    half = resident[len(resident) // 2]
    rows = [
        ("files dropped at once", f"{files:,}, {result.bad:,} of them broken in four ways"),
        ("validated, different files", f"{result.validated:,}"),
        ("validated more than once", f"{result.validated_twice}"),
        ("files listed as rejected in Dagster", f"{result.rejected:,}"),
        ("materializations in Dagster", f"{result.materialized:,}"),
        ("partitions materialized more than once", f"{result.materialized_twice}"),
        ("scans that runs were asked for, and twice", f"{result.scans_asked:,} and {result.scans_asked_twice}"),
        ("runs asked for, each ingests many scans", f"{result.runs_asked:,}"),
        ("moved to quarantine, left in the folder", f"{result.quarantined:,} and {result.left_in_raw:,}"),
        ("all ticks together", f"{result.wall_s:.0f} s, {1e3 * result.wall_s / files:.1f} ms a file"),
        ("ticks", f"{len(walls)}"),
        (
            f"longest tick (Dagster's limit: {LIMIT_S:.0f} s; nothing is begun after {TICK_S:.0f} s)",
            f"{walls[-1]:.1f} s",
        ),
        ("a tick when nothing has changed", f"{result.idle_s:.2f} s"),
        ("memory of the sensor's process after the first tick", f"{resident[0]:.0f} MiB"),
        ("after half of the ticks, after the last", f"{half:.0f} MiB and {resident[-1]:.0f} MiB"),
        ("largest child process", f"{result.child_peak_nbytes / 2**20:.0f} MiB"),
        ("the cursor", f"{max(tick.cursor_nbytes for tick in result.ticks)} bytes"),
        ("the ledger", f"{result.ledger_nbytes / 1e6:.1f} MB"),
    ]
    conclusion = (
        "Every file was validated and recorded exactly once." if not result.faults else "; ".join(result.faults)
    )
    machine = (
        f"Measured on {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{os.getloadavg()[0]:.1f} processes running when it ended; on {disk}; "
        f"Python {platform.python_version()}, Dagster {dg.__version__}."
    )
    parts = [
        "# Ten thousand files at once" if files == 10_000 else f"# {files:,} files at once",
        "Written by `make bench-arrival`; no figure on this page is typed by hand. Tiny scans are dropped into an "
        "empty `data/raw/`, and the sensor `raw_files` is evaluated, tick after tick, on a Dagster instance of its own "
        "(SQLite), until it finds nothing new. Runs are asked for, not executed.",
        machine,
        "\n".join(["| | |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)]),
        conclusion,
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
