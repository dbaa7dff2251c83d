"""``python -m benchmarks.ptychography``: reconstruct, evaluate, and write docs/benchmarks/ptychography.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.ptychography.cases import CASES, Workplace
from benchmarks.ptychography.report import machine, markdown

RESULTS = Path("outputs/benchmarks/ptychography")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ptychography", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=CASES, default=[*CASES], help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=3, help="of what is measured in turns (default 3)")
    parser.add_argument("--peers-venv", type=Path, help="a virtual environment that holds pty-chi")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"what was measured, case by case ({RESULTS})")
    parser.add_argument("--pictures", type=Path, help="what it iterations like (default: a folder of the results)")
    parser.add_argument("--report", type=Path, default=Path("docs/benchmarks/ptychography.md"), help="what to write")
    given = parser.parse_args(arguments)

    start = time.perf_counter()
    given.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-ptycho-") as folder:
        at = Workplace(
            store=Path(folder, "store"),
            folder=Path(folder),
            pictures=given.pictures or given.results / "pictures",
            peers=given.peers_venv.absolute() / "bin" / "python" if given.peers_venv else None,
            rounds=given.rounds,
        )
        for case in given.only:
            print(f"{time.perf_counter() - start:5.0f} s  {case}", file=sys.stderr, flush=True)
            lines = [asdict(line) for line in CASES[case](at)]
            measured = {"machine": machine(), "load": os.getloadavg()[0], "lines": lines}
            (given.results / f"{case}.json").write_text(json.dumps(measured, indent=1))
    files = {case: given.results / f"{case}.json" for case in CASES}
    results = {case: json.loads(file.read_text()) for case, file in files.items() if file.is_file()}
    text = markdown(results, [case for case in CASES if case not in results])
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
