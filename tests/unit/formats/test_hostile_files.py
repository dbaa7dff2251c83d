"""More than 120 hostile or broken files, made here and judged in the real sandbox: each is refused in plain words."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sandboxed.validating import Answer, validated
from tests.unit.formats.hostile import archives, hdf5_files, tables

FORMS = {"archive": archives.CASES, "hdf5": hdf5_files.CASES, "table": tables.CASES}
CASES = {f"{form}: {name}": case for form, cases in FORMS.items() for name, case in cases.items()}
MOST_S, MOST_NBYTES = 5.0, 512 << 20
# Alone in a process of its own, through the command: one of each form, and those that ask for most.
SAMPLE = (
    "archive: pipe", "archive: 20 GB, sparse", "archive: deflate bomb", "archive: bzip2 bomb",
    "archive: 100,000 entries", "archive: pickled array", "hdf5: external storage", "hdf5: virtual dataset on itself",
    "hdf5: deflate bomb", "hdf5: 5000 groups", "table: short row", "table: 50,000 brackets", "table: dictionary bomb",
    "table: a name of its own on each line",
    "table: Arrow bomb", "table: table of 8 EB",
)  # fmt: skip

# A process starts with the peak of the one it comes from, so a small one has to lie between.
WAITER = """
import os, sys
pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every hostile file, each in a folder of its own."""
    root = tmp_path_factory.mktemp("hostile")
    places = {name: root / str(number) / case.name for number, (name, case) in enumerate(CASES.items())}
    for name, path in places.items():
        path.parent.mkdir()
        CASES[name].make(path)
    return places


@pytest.fixture(scope="module")
def answers(made: dict[str, Path]) -> dict[str, Answer]:
    """What the sandbox says of each."""
    return dict(zip(made, validated(list(made.values())), strict=True))


def test_there_are_more_than_120_of_them() -> None:
    assert len(CASES) > 120


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused_in_words_that_help(name: str, answers: dict[str, Answer]) -> None:
    answer = answers[name]
    reason = answer.document["reason"]
    assert not answer.document["accepted"]
    assert CASES[name].says in reason
    assert "Traceback" not in reason
    assert len(reason) < 2000
    assert all(line.isprintable() for line in reason.split("\n"))
    assert answer.seconds < MOST_S


@pytest.mark.parametrize("name", SAMPLE)
def test_the_command_refuses_it_in_time_and_memory(name: str, made: dict[str, Path]) -> None:
    path = made[name]
    before = {p.name for p in path.parent.iterdir()}
    command = [sys.executable, "-c", "from smalti.cli import main; main()", "validate", str(path)]
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-S", "-c", WAITER, *command], capture_output=True, text=True, check=True)
    assert time.monotonic() - begin < MOST_S
    *printed, measured = done.stdout.splitlines()
    status, peak_nbytes = (int(word) for word in measured.split())
    assert (status, printed) == (1, [])
    assert peak_nbytes < MOST_NBYTES
    said = done.stderr
    assert CASES[name].says in said
    assert all(line.startswith(f"{path.name}: ") for line in said.splitlines())
    assert {p.name for p in path.parent.iterdir()} == before
