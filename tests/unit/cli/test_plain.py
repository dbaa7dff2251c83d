"""Laws of the commands that are run without the parser of options: they do what the parser would, and load little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smalti.cli.plain import run_plain

PROGRAM = "import sys; from smalti.cli import main; main()"
HEAVY = """
import sys
from smalti.cli import main
try:
    main()
finally:
    print(sorted({"numpy", "pyarrow", "pandas", "pydantic", "typer", "mlx"} & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a folder and a file in it, which is the current folder."""
    monkeypatch.delenv("SMALTI_ROOT", raising=False)
    made = _repository(tmp_path / "repository")
    monkeypatch.chdir(made)
    return made


def _repository(path: Path) -> Path:
    subprocess.run(["git", "init", "-q", path], check=True)
    (path / "images").mkdir()
    (path / "images" / "a.png").write_bytes(b"a")
    (path / "scan.npz").write_bytes(b"content")
    return path


def run(*arguments: str, program: str = PROGRAM) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["put", "images"], ["put", "scan.npz"], ["put", "nothing"], ["status"], ["status", "images"],
     ["status", "nothing"], ["checkout"], ["checkout", "images"], ["checkout", "nothing"]],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("change", ["none", "changed", "removed"])
def test_without_options_the_same_is_done_and_said(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], change: str
) -> None:
    outcomes = []
    for place, options in ((repository, []), (_repository(tmp_path / "other"), ["--store", "store"])):
        monkeypatch.chdir(place)
        run("put", "images")
        if change == "changed":
            (place / "images" / "a.png").write_bytes(b"other")
        elif change == "removed":
            (place / "images" / "a.png").unlink()
        said = run(arguments[0], *options, *arguments[1:])
        files = [path for path in (*place.iterdir(), *(place / "images").iterdir()) if path.is_file()]
        outcomes.append((said, {path.name: path.read_bytes() for path in files}))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("arguments", [["put", "images"], ["put", "scan.npz"], ["status"]], ids=" ".join)
def test_nothing_heavy_is_loaded(repository: Path, arguments: list[str]) -> None:
    run("put", "images")
    (repository / "images" / "a.png").write_bytes(b"other")
    assert run(*arguments, program=HEAVY)[2].splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [[], ["put"], ["put", ""], ["put", "a", "b"], ["put", "images", "--json"], ["put", "--help"], ["ls"],
     ["status", "-x"]],
    ids=" ".join,
)  # fmt: skip
def test_what_takes_a_parser_is_left_to_it(repository: Path, arguments: list[str]) -> None:
    assert not run_plain(arguments)


def test_a_value_outside_of_git_is_left_to_the_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.npy").write_bytes(b"no array")
    monkeypatch.chdir(tmp_path)
    assert not run_plain(["put", "x.npy"])


def test_a_reader_that_goes_away_is_no_error_that_is_told(repository: Path) -> None:
    run("put", "images")
    command = [sys.executable, "-c", PROGRAM, "status"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
