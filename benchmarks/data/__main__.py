"""``python -m benchmarks.data``: the data module beside its peers; writes docs/benchmarks/data.md."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.data.line import Line

RESULTS = Path("outputs/benchmarks/data")
CASES = ("loaders", "templates", "bert_step", "accuracy", "folders")
PEERS = ("torch", "transformers", "mlx-data", "grain", "dvc", "scikit-learn")
VERDICTS = {True: "reached", False: "**falls short**", None: ""}
ABOUT = """\
Each ratio is of one run in which the two take turns, each in a process of its own with one thread a library: medians, \
or where it says so the best of several. Peers run in the environment of `make .venv/peers/installed`, each as \
its manual says is quickest. memcpy is a copy of the same bytes from the mapped file into a buffer that is there."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    parser.add_argument(
        "--peers",
        type=lambda text: Path(text).absolute(),
        help="the Python of an environment with requirements-peers.txt",
    )
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=CASES, default=[*CASES], help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=5, help="of what is measured in turns (default 5)")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"what was measured, case by case ({RESULTS})")
    parser.add_argument("--report", type=Path, default=Path("docs/benchmarks/data.md"), help="what to write")
    given = parser.parse_args(arguments)

    start = time.perf_counter()
    given.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-data-") as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder  # kernels are compiled without waiting for other processes
        for case in given.only:
            print(f"{time.perf_counter() - start:5.0f} s  {case}", file=sys.stderr, flush=True)
            lines = [asdict(line) for line in _measured(case, given.peers, given.rounds)]
            about = {"machine": machine(given.peers), "load": os.getloadavg()[0], "lines": lines}
            (given.results / f"{case}.json").write_text(json.dumps(about, indent=1))
    files = {case: given.results / f"{case}.json" for case in CASES}
    results = {case: json.loads(file.read_text()) for case, file in files.items() if file.is_file()}
    text = markdown(results, [case for case in CASES if case not in results])
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(text)
    print(text)


def _measured(case: str, peers: Path | None, rounds: int) -> Sequence[Line]:
    from benchmarks.data import accuracy, bert_step, folders, loaders, templates

    if case == "templates":
        return templates.measure(rounds=rounds).lines()
    if case == "accuracy":
        return accuracy.measure(peers)
    if case == "loaders":
        return loaders.measure(peers, rounds)
    if peers is None:
        return [Line(case, "", "not measured: no --peers")]
    return bert_step.measure(peers, 3 * rounds) if case == "bert_step" else folders.measure(peers, rounds)


def machine(peers: Path | None) -> str:
    """Return, in a phrase, what was measured on: nothing that names the machine or a place on it."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("mlx", "numpy", "pyarrow")]
    if peers:
        ask = f"from importlib.metadata import version as v; print(*(f'{{n}} {{v(n)}}' for n in {PEERS}), sep=', ')"
        versions.append(subprocess.run([peers, "-c", ask], capture_output=True, text=True, check=True).stdout.strip())
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{', '.join(versions)}"
    )


def markdown(results: Mapping[str, Mapping[str, Any]], missing: Sequence[str]) -> str:
    """Return the whole page.

    Args:
        results: case -> ``machine``, ``load`` (processes running when it ended) and ``lines``, the fields of ``Line``.
        missing: cases that were not measured.
    """
    lines = [Line(**line) for result in results.values() for line in result["lines"]]
    rows = [f"| {line.measure} | {line.to_reach} | {line.measured} | {VERDICTS[line.reached]} |" for line in lines]
    loads = ", ".join(f"`{case}` {result['load']:.1f}" for case, result in results.items())
    machines = sorted({result["machine"] for result in results.values()})
    parts = [
        "# The data module: what is reached, and beside whom",
        "Written by `make bench-data` (`python -m benchmarks.data --help` lists what can be chosen); no figure on this "
        "page is typed by hand.",
        ABOUT,
        "\n".join(["| measure | to reach | measured | |", "|---|---|---|---|", *rows]),
        "\n".join(f"- {each}" for each in machines) + f"\n- processes running when a case ended: {loads}",
        *([f"Not measured: {', '.join(missing)}."] if missing else []),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
