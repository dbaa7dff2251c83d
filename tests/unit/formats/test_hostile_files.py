"""Laws of hostile and broken files, made here and validated in the real sandbox: each is refused in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalti.errors import ContractBroken
from smalti.formats.sniff import recognise
from smalti.formats.source import DEFAULT_LIMITS, Source
from tests.sandboxed import command
from tests.sandboxed.validating import Answer, validated
from tests.unit.formats.hostile.cases import CASES

MOST_NBYTES = 512 << 20  # what may be claimed at first, and the code of the libraries
# Alone in a process of its own, through the command: one of each form, and those that ask for most.
SAMPLE = (
    "archive: pipe", "archive: 20 GB, sparse", "archive: deflate bomb", "archive: bzip2 bomb",
    "archive: 100,000 entries", "archive: pickled array", "hdf5: external storage", "hdf5: virtual dataset on itself",
    "hdf5: deflate bomb", "hdf5: 5000 groups", "table: short row", "table: 50,000 brackets", "table: dictionary bomb",
    "table: a name of its own on each line",
    "table: Arrow bomb", "table: table of 8 EB",
)  # fmt: skip
TEXT = (".csv", ".tsv", ".jsonl")
# What holds neither arrays nor tables: under a name that claims none, such a file is kept as bytes, with a warning.
NO_FORMAT = {"archive: noise", "archive: web page", "archive: TIFF", "archive: program"}


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


def test_the_first_bytes_of_a_format_hold_a_file_to_it_under_any_name(made: dict[str, Path]) -> None:
    regular = {name: path for name, path in made.items() if path.is_file() and not path.is_symlink()}
    binary = {name: path for name, path in regular.items() if path.suffix not in TEXT}
    assert {name for name, path in binary.items() if claims_nothing(path)} == NO_FORMAT


def claims_nothing(path: Path) -> bool:
    nbytes = path.stat().st_size
    with path.open("rb") as file:
        try:
            recognise(Source(file, "thing", nbytes, nbytes, DEFAULT_LIMITS))
        except ContractBroken as error:
            return [violation.code for violation in error.violations] == ["file.unknown"]
    return False


@pytest.mark.parametrize("name", SAMPLE)
def test_the_command_refuses_it_within_its_limits(name: str, made: dict[str, Path]) -> None:
    path = made[name]
    before = {p.name for p in path.parent.iterdir()}
    ran = command.validate(path)  # which ends what takes longer than it may
    assert (ran.status, ran.stdout) == (1, [])
    assert ran.peak_nbytes < MOST_NBYTES
    assert CASES[name].says in ran.stderr
    assert all(line.startswith(f"{path.name}: ") for line in ran.stderr.splitlines())
    assert {p.name for p in path.parent.iterdir()} == before
