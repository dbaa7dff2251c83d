"""Laws of code versions: code that decides a value changes it; comments, docstrings and layout do not."""

import importlib
import sys
from pathlib import Path

import pytest

from assets import code_versions
from assets.code_versions import code_version
from definitions import defs


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "of_a_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    return folder


def version(package: Path, source: str, name: str = "module.py") -> str:
    (package / name).write_text(source)
    importlib.invalidate_caches()
    code_versions._digest.cache_clear()
    return code_version(package.name)


def test_code_counts_and_comments_docstrings_and_layout_do_not(package: Path) -> None:
    first = version(package, "def half(x):\n    return x / 2\n")
    told = '"""Numbers."""\n\n\ndef half(x):\n    """Return half."""\n    return (x / 2)  # exact\n'
    assert version(package, told) == first
    assert version(package, "def half(x):\n    return x / 3\n") != first


def test_a_new_module_and_a_renamed_one_count(package: Path) -> None:
    first = version(package, "A = 1\n")
    assert version(package, "", "other.py") != first


def test_what_is_read_is_not_imported(package: Path) -> None:
    assert version(package, "raise RuntimeError('imported')\n")
    assert f"{package.name}.module" not in sys.modules


def test_every_asset_that_is_made_has_a_code_version_of_code_and_not_of_a_run() -> None:
    graph = defs.resolve_asset_graph()
    made = [graph.get(key) for key in graph.materializable_asset_keys]
    made = [node for node in made if node.group_name in ("ptychography", "tables")]
    assert len(made) > 10
    assert [node.key.to_user_string() for node in made if not node.code_version] == []
