"""A page of figures: its cases are measured, kept one by one, and written as one table."""

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.line import Line

VERDICTS = {True: "reached", False: "**falls short**", None: ""}
Measure = Callable[[Path | None, int], Sequence[Line]]


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        name: of the target ``bench-<name>``, of the page in docs/benchmarks, and of the folder of the results.
        title, about: how the page begins.
        cases: what is measured, given the Python of the environment of the peers, or None, and how many rounds.
        versions: distributions of ours that the figures depend on.
        peers: distributions in the environment of the peers.
    """

    name: str
    title: str
    about: str
    cases: Mapping[str, Measure]
    versions: tuple[str, ...]
    peers: tuple[str, ...]


def main(page: Page, arguments: list[str] | None = None) -> None:
    """Measure the cases that are asked for and write the page of all that were ever measured here."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{page.name}")
    parser.add_argument(
        "--peers", type=lambda text: Path(text).absolute(), help="the Python of the environment of the peers"
    )
    cases, results = [*page.cases], Path("outputs/benchmarks") / page.name
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=cases, default=cases, help=", ".join(cases))
    parser.add_argument("--rounds", type=int, default=5, help="of what is measured in turns (default 5)")
    parser.add_argument("--results", type=Path, default=results, help=f"what was measured, case by case ({results})")
    report = Path("docs/benchmarks") / f"{page.name}.md"
    parser.add_argument("--report", type=Path, default=report, help=f"what to write ({report})")
    given = parser.parse_args(arguments)

    start = time.perf_counter()
    given.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"bench-{page.name}-") as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder  # kernels are compiled without waiting for other processes
        for case in given.only:
            print(f"{time.perf_counter() - start:5.0f} s  {case}", file=sys.stderr, flush=True)
            lines = [asdict(line) for line in page.cases[case](given.peers, given.rounds)]
            about = {"machine": machine(page, given.peers), "load": os.getloadavg()[0], "lines": lines}
            (given.results / f"{case}.json").write_text(json.dumps(about, indent=1))
    files = {case: given.results / f"{case}.json" for case in cases}
    found = {case: json.loads(file.read_text()) for case, file in files.items() if file.is_file()}
    text = markdown(page, found)
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(text)
    print(text)


def machine(page: Page, peers: Path | None) -> str:
    """Return, in a phrase, what was measured on: nothing that names the machine or a place on it."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in page.versions]
    if peers:
        ask = (
            f"from importlib.metadata import version as v; print(*(f'{{n}} {{v(n)}}' for n in {page.peers}), sep=', ')"
        )
        versions.append(subprocess.run([peers, "-c", ask], capture_output=True, text=True, check=True).stdout.strip())
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{', '.join(versions)}"
    )


def markdown(page: Page, results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the whole page.

    Args:
        results: case -> ``machine``, ``load`` (processes running when it ended) and ``lines``, the fields of ``Line``.
    """
    lines = [Line(**line) for result in results.values() for line in result["lines"]]
    rows = [f"| {line.measure} | {line.to_reach} | {line.measured} | {VERDICTS[line.reached]} |" for line in lines]
    loads = ", ".join(f"`{case}` {result['load']:.1f}" for case, result in results.items())
    machines = sorted({result["machine"] for result in results.values()})
    missing = [case for case in page.cases if case not in results]
    parts = [
        f"# {page.title}",
        f"Written by `make bench-{page.name}` (`python -m benchmarks.{page.name} --help` lists what can be chosen); no "
        "figure on this page is typed by hand.",
        page.about,
        "\n".join(["| measure | to reach | measured | |", "|---|---|---|---|", *rows]),
        "\n".join(f"- {each}" for each in machines) + f"\n- processes running when a case ended: {loads}",
        *([f"Not measured: {', '.join(missing)}."] if missing else []),
    ]
    return "\n\n".join(parts) + "\n"
