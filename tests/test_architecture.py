"""What keeps the house in order: layers, names, lengths."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = [
    p for folder in ("src", "assets", "resources", "jobs", "sensors", "tests") for p in (ROOT / folder).rglob("*.py")
]
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "lib", "tools", "stuff"}


def test_imports_point_down_only() -> None:
    program = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_module_is_a_drawer_for_everything() -> None:
    assert not [path for path in CODE if FORBIDDEN_NAMES & set(path.relative_to(ROOT).with_suffix("").parts)]


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_holds_and_is_read_in_one_sitting(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 400
    assert lines[0].startswith('"""')


def test_nothing_names_a_package_registry_or_a_folder_of_one_machine() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    forbidden = re.compile(
        r"pypi\.org|pythonhosted|registry\.npmjs|deb\.debian|(^|[\s\"'=(])/(home|root|work|opt)/", re.M
    )
    texts = {name: (ROOT / name).read_bytes().decode(errors="ignore") for name in tracked.split("\0") if name}
    assert not [name for name, text in texts.items() if forbidden.search(text) and name != "tests/test_architecture.py"]


def test_mlx_is_imported_only_where_a_child_process_runs() -> None:
    rooms = ("loaders", "models", "ptycho", "tabular", "training")
    allowed = (*(f"src/smalti/{room}/" for room in rooms), "src/smalti/compute/blas.py", "tests", "benchmarks")
    importing = [
        p.relative_to(ROOT).as_posix() for p in CODE if re.search(r"^\s*import mlx|^\s*from mlx", p.read_text(), re.M)
    ]
    assert not [name for name in importing if not name.startswith(allowed)]
