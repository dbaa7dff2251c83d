"""Laws of the settings' places: what is found without the class of all settings is what the class says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smalti.settings import Settings, places


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a folder in it, which is the current one."""
    (tmp_path / "root" / "below").mkdir(parents=True)
    (tmp_path / "root" / "workspace.yaml").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "root" / "below")
    monkeypatch.delenv("SMALTI_ROOT", raising=False)
    return tmp_path / "root"


@pytest.mark.parametrize("name", ["SMALTI_ROOT", "smalti_root"])
@pytest.mark.parametrize("value", ["", "../../elsewhere"])
@pytest.mark.parametrize("where", ["nowhere", "environment", ".env", ".env of the root"])
def test_places_are_where_the_settings_say(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, where: str
) -> None:
    line = f"OTHER=1\nexport {name}='{value}'\n"
    if where == "environment":
        monkeypatch.setenv(name, value)
    elif where != "nowhere":
        (Path(".env") if where == ".env" else root / ".env").write_text(line)
    assert places().root == Settings().root
    assert places().store == Settings().store
    assert (places().root.name == "elsewhere") == bool(value and where != "nowhere")


def test_the_root_that_nothing_mentions_is_found_without_pydantic(root: Path) -> None:
    Path(".env").write_text("HUGGINGFACE_TOKEN=secret\n")
    program = "import sys; from smalti.settings import places; print(places().root.name, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "root False\n"
