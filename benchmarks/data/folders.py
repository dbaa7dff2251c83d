"""A folder of 10,000 files under version control: ``smalti`` and ``dvc`` in turns, each command a whole process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.line import Line
from benchmarks.store.measure import Cost, timed

FILES, FILE_NBYTES = 10_000, 1000
GOAL = 0.1
_SETTLED_S = 2.5  # a file written to just before it was read has to be read again, by either
_SMALTI = [sys.executable, "-c", "from smalti.cli import main; main()"]


@dataclass(frozen=True)
class _Tool:
    """Attributes:
    command: what runs it.
    init, add, checkout: its arguments.
    """

    command: list[str]
    init: list[str]
    add: list[str]
    checkout: list[str]


def measure(peers_python: Path, rounds: int) -> list[Line]:
    """Return what it costs to add the folder, to add it again after one file changed, and to check it out.

    Args:
        peers_python: the Python of an environment that holds DVC.
        rounds: how often each is measured, in turns, after one round that is not counted.
    """
    dvc = str(peers_python.with_name("dvc"))
    tools = {
        "smalti": _Tool(_SMALTI, [], ["put", "images"], ["checkout"]),
        "dvc": _Tool([dvc], ["init", "-q"], ["add", "-q", "images"], ["checkout", "-q"]),
    }
    costs: dict[tuple[str, str], list[Cost]] = {}
    # All rounds are removed together, at the end: ext4 makes files several times more slowly for minutes after many
    # were removed, since it looks for inodes that were not in use just now.
    with tempfile.TemporaryDirectory(prefix="smalti-folders-", ignore_cleanup_errors=True) as place:
        for number in range(rounds + 1):
            for name, tool in tools.items():
                for action, cost in _round(tool, number, Path(place) / f"{name}-{number}").items():
                    if number:
                        costs.setdefault((action, name), []).append(cost)
    return [
        _row("adding a folder of 10,000 files of 1 kB", "add", costs, None),
        _row("adding it again after one file changed", "again", costs, GOAL),
        _row("checking it out where it is missing", "checkout", costs, None),
    ]


def _round(tool: _Tool, number: int, place: Path) -> dict[str, Cost]:
    """Do everything once, in a fresh repository."""
    root = place / "repository"
    images = root / "images"
    images.mkdir(parents=True)
    content = np.random.default_rng(number).bytes(FILES * FILE_NBYTES)
    for file in range(FILES):
        (images / f"{file:05}.png").write_bytes(content[file * FILE_NBYTES : (file + 1) * FILE_NBYTES])

    def run(command: list[str]) -> Cost:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return timed(lambda: subprocess.run(command, cwd=root, env=_environment(place), check=True, **quiet))[0]

    subprocess.run(["git", "init", "-q", root], check=True)
    if tool.init:
        run([*tool.command, *tool.init])
    os.sync()  # or the first to sync would write what the other has left
    time.sleep(_SETTLED_S)
    costs = {"add": run([*tool.command, *tool.add])}
    (images / "00100.png").write_bytes(b"changed")
    costs["again"] = run([*tool.command, *tool.add])
    images.rename(place / "images that are gone")
    costs["checkout"] = run([*tool.command, *tool.checkout])
    if len(list(images.iterdir())) != FILES or (images / "00100.png").read_bytes() != b"changed":
        raise RuntimeError(f"{tool.command} did not bring the folder back")
    return costs


def _environment(place: Path) -> dict[str, str]:
    """Return an environment in which neither knows of an earlier round, and both are compiled once for all rounds."""
    left_out = {"PYTHONDONTWRITEBYTECODE", "SMALTI_ROOT", "SMALTI_REMOTE"}
    dvc = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": f"{place}/site", "DVC_GLOBAL_CONFIG_DIR": f"{place}/global"}
    paths = {"PYTHONPYCACHEPREFIX": f"{tempfile.gettempdir()}/smalti-compiled"}
    return {name: value for name, value in os.environ.items() if name not in left_out} | dvc | paths


def _row(name: str, action: str, costs: dict[tuple[str, str], list[Cost]], goal: float | None) -> Line:
    ours, theirs = costs[action, "smalti"], costs[action, "dvc"]
    ratio = median(cost.wall_s for cost in ours) / median(cost.wall_s for cost in theirs)
    cpu_ratio = median(cost.cpu_s for cost in ours) / median(cost.cpu_s for cost in theirs)
    words = (
        f"{ratio:.2f} times ({cpu_ratio:.2f} in CPU seconds): {_seconds(ours)} against {_seconds(theirs)} for dvc; "
        f"{len(ours)} alternating rounds"
    )
    to_reach = "" if goal is None else f"at most {goal} times what dvc takes"
    return Line(f"{name}, whole process", to_reach, words, None if goal is None else ratio <= goal)


def _seconds(costs: list[Cost]) -> str:
    return f"{median(cost.wall_s for cost in costs):.2f} s ({median(cost.cpu_s for cost in costs):.2f} CPU s)"
