"""A page of figures: its cases are measured, kept one by one, and written as one page."""

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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.line import Line, Section

VERDICTS = {True: "reached", False: "**falls short**", None: ""}
Measure = Callable[[Path | None, int], Sequence[Line | Section]]


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        name: of the page in docs/benchmarks, of the folder of the results, and of the target ``bench-<name>``.
        title, about: how the page begins.
        cases: what is measured, given the Python of the environment of the peers, or None, and how many rounds.
        versions: distributions of ours that the figures depend on.
        peers: distributions in the environment of the peers.
        target: of make, where it has another name.
    """

    name: str
    title: str
    about: str
    cases: Mapping[str, Measure]
    versions: tuple[str, ...]
    peers: tuple[str, ...] = ()
    target: str = ""


def main(page: Page, arguments: list[str] | None = None) -> None:
    """Measure the cases that are asked for and write the page of all that were ever measured here."""
    write(page, parser(page.name, page.cases).parse_args(arguments))


def parser(name: str, cases: Iterable[str]) -> argparse.ArgumentParser:
    """Return what reads the arguments of a page; a page may add its own."""
    arguments = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    arguments.add_argument("--peers", type=_python, help="the Python of the environment of the peers, or none")
    listed, results, report = [*cases], Path("outputs/benchmarks") / name, Path("docs/benchmarks") / f"{name}.md"
    arguments.add_argument("--only", nargs="+", metavar="CASE", choices=listed, default=listed, help=", ".join(listed))
    arguments.add_argument("--rounds", type=int, default=5, help="of what is measured in turns (default 5)")
    arguments.add_argument("--results", type=Path, default=results, help=f"what was measured, case by case ({results})")
    arguments.add_argument("--report", type=Path, default=report, help=f"what to write ({report})")
    return arguments


def _python(text: str) -> Path | None:
    return None if text == "none" else Path(text).absolute()


def write(page: Page, given: argparse.Namespace) -> None:
    """Measure the cases that are asked for and write the page of all that were ever measured here."""
    start = time.perf_counter()
    given.results.mkdir(parents=True, exist_ok=True)
    with _own_temporary_files(page.name):
        for case in given.only:
            print(f"{time.perf_counter() - start:5.0f} s  {case}", file=sys.stderr, flush=True)
            about = {"machine": machine(page, given.peers), **found(page.cases[case](given.peers, given.rounds))}
            (given.results / f"{case}.json").write_text(json.dumps(about, indent=1))
    files = {case: given.results / f"{case}.json" for case in page.cases}
    text = markdown(page, {case: json.loads(file.read_text()) for case, file in files.items() if file.is_file()})
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(text)
    print(text)


@contextmanager
def _own_temporary_files(name: str) -> Iterator[None]:
    """Give temporary files a folder of their own: kernels are compiled without waiting for other processes."""
    was = tempfile.tempdir, os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            tempfile.tempdir = was[0]
            os.environ.pop("TMPDIR")
            os.environ.update({"TMPDIR": was[1]} if was[1] else {})


def found(measured: Iterable[Line | Section]) -> dict[str, Any]:
    """Return what one case measured as JSON: ``load`` (processes running when it ended), ``lines`` and ``sections``."""
    kinds: dict[type, list[dict[str, Any]]] = {Line: [], Section: []}
    for one in measured:
        kinds[type(one)].append(asdict(one))
    return {"load": os.getloadavg()[0], "lines": kinds[Line], "sections": kinds[Section]}


def machine(page: Page, peers: Path | None) -> str:
    """Return, in a phrase, what was measured on: nothing that names the machine or a place on it."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in page.versions]
    if peers and page.peers:
        ask = (
            f"from importlib.metadata import version as v; print(*(f'{{n}} {{v(n)}}' for n in {page.peers}), sep=', ')"
        )
        versions.append(subprocess.run([peers, "-c", ask], capture_output=True, text=True, check=True).stdout.strip())
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{', '.join(versions)}"
    )


def file_system(folder: Path) -> str:
    """Return the kind of the file system that holds ``folder``, where the system tells it."""
    table = Path("/proc/self/mounts")
    if not table.exists():
        return "a local disk"
    mounts = [line.split()[1:3] for line in table.read_text().splitlines()]
    holding = [(point, kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1]


def markdown(page: Page, results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the whole page.

    Args:
        results: case -> ``machine``, ``load``, and ``lines`` and ``sections``: the fields of ``Line`` and ``Section``.
    """
    tables: dict[str, list[Line]] = {}
    for result in results.values():
        for line in result["lines"]:
            tables.setdefault(line.get("table", ""), []).append(Line(**line))
    top = [_table(lines) for heading, lines in tables.items() if not heading]
    rest = [f"## {heading}\n\n{_table(lines)}" for heading, lines in tables.items() if heading]
    sections = [Section(**section) for result in results.values() for section in result.get("sections", [])]
    missing = [case for case in page.cases if case not in results]
    parts = [
        f"# {page.title}",
        f"Written by `make bench-{page.target or page.name}` (`python -m benchmarks.{page.name} --help` lists what can "
        "be chosen); no measured figure on this page is typed by hand.",
        page.about,
        *top,
        _machines(results),
        *rest,
        *(f"## {section.title}\n\n{section.text}" for section in sections),
        *([f"Not measured: {', '.join(missing)}."] if missing else []),
    ]
    return "\n\n".join(parts) + "\n"


def _table(lines: Sequence[Line]) -> str:
    """Return a table, with what was reached before where that is known of any of its lines."""
    compared = any(line.before for line in lines)
    head = ["measure", *(["before"] if compared else []), "to reach", "measured"]
    rows = [f"| {' | '.join(head)} | |", "|---" * (len(head) + 1) + "|"]
    for line in lines:
        before = [line.before] if compared else []
        cells = (line.measure, *before, line.to_reach, line.measured, VERDICTS[line.reached])
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _machines(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what the cases were measured on, those together that share it, and how busy that was."""
    alike: dict[str, dict[str, float]] = {}
    for case, result in results.items():
        alike.setdefault(result["machine"], {})[case] = result["load"]
    return "\n".join(
        f"- {', '.join(f'`{case}`' for case in loads)}: {machine}; {min(loads.values()):.1f} to "
        f"{max(loads.values()):.1f} processes running when a case ended."
        for machine, loads in alike.items()
    )
