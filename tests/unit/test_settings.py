"""Laws of settings: which source counts, names that mean nothing, and places found without the class of all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import AliasChoices

from smalti.errors import Refused
from smalti.settings import Settings, names, places


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


@pytest.mark.parametrize("line", ["root: ../elsewhere", "remote: data", "{root: ../elsewhere}", "'root': ../elsewhere"])
@pytest.mark.parametrize("folder", ["root", "root/below"])
def test_places_are_where_the_shared_file_says(root: Path, line: str, folder: str) -> None:
    file = root.parent / folder / ".smalti.yml"
    file.write_text(f"# ours\n{line}\n")
    assert places().root == Settings().root
    assert (places().root.resolve() == (file.parent / "../elsewhere").resolve()) == ("root" in line)


def test_a_setting_comes_from_the_call_then_the_environment_then_dotenv_then_the_nearest_shared_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bucket() -> str | None:
        return Settings().s3_bucket

    assert bucket() is None
    (root / ".smalti.yml").write_text("s3_bucket: shared-above\n")
    assert bucket() == "shared-above"
    Path(".smalti.yml").write_text("s3_bucket: shared\n")
    assert bucket() == "shared"
    Path(".env").write_text("SMALTI_S3_BUCKET=dotenv\n")
    assert bucket() == "dotenv"
    monkeypatch.setenv("MLTRACK_S3_BUCKET", "alias")
    assert bucket() == "alias"
    monkeypatch.setenv("SMALTI_S3_BUCKET", "environment")
    assert bucket() == "environment"
    assert Settings(s3_bucket="given").s3_bucket == "given"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SMALTI_REMOT", "SMALTI_REMOTE"),
        ("smalti_rot", "SMALTI_ROOT"),
        ("MLTRACK_DEFAULT_RUN_TYP", "MLTRACK_DEFAULT_RUN_TYPE"),
        ("MLTRACK_BUCKET", "MLTRACK_S3_BUCKET"),
        ("SMALTI_BLASS", "SMALTI_BLAS"),
    ],
)
def test_a_name_of_the_environment_that_means_nothing_is_refused_and_the_nearest_said(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "x")
    for ask in (Settings, places):
        with pytest.raises(Refused, match=rf"the environment sets {name}, but .* the nearest is {nearest}\.$"):
            ask()
    monkeypatch.delenv(name)
    if name != "SMALTI_BLASS":
        Path(".env").write_text(f"OTHER=1\nexport {name}=x\n")
        for ask in (Settings, places):
            with pytest.raises(Refused, match=rf"\.env sets {name}, but .* the nearest is {nearest}\.$"):
                ask()


@pytest.mark.parametrize("name", ["SMALTI_BLAS", "SMALTI_CACHE", "SMALTI_TEST_DATA", "OTHER_ROOT"])
def test_what_something_else_reads_stays_valid_where_that_reads_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "x")
    assert Settings().root == places().root == root
    Path(".env").write_text(f"{name}=x\n")
    if name.startswith("SMALTI"):
        with pytest.raises(Refused, match=f"sets {name}, which is read from the environment alone; export it there"):
            places()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("remot: x", "sets remot, but there is no setting of that name; the nearest is remote"),
        ("SMALTI_REMOTE: x", "the nearest is"),
        ("1: x", "sets 1, but there is no setting"),
        ("dataset_api_key: x", "holds dataset_api_key, a secret, .* set it in the environment"),
        ("kaggle_key: x", "a secret"),
        ("root: [a]", "gives root a list; a setting is one text"),
        ("- root", "is not a mapping"),
        ("root: [", "is not YAML"),
        ("root: \x00", "is not YAML"),
    ],
)
def test_a_shared_file_that_is_wrong_is_refused_in_a_sentence(root: Path, text: str, sentence: str) -> None:
    Path(".smalti.yml").write_text(text)
    with pytest.raises(Refused, match=sentence) as refused:
        places()
    assert "\n" not in str(refused.value)


def test_the_shared_file_of_a_stranger_where_anybody_writes_is_not_trusted(root: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    Path(".smalti.yml").write_text("contracts: evil.py\n")
    os.chown(".smalti.yml", 12345, 12345)
    assert Settings().contracts == Path.cwd() / "evil.py"
    Path.cwd().chmod(0o1777)
    with pytest.raises(Refused, match="belongs to another user and lies where anybody may write"):
        Settings()


def test_a_value_that_cannot_be_is_refused_in_a_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALTI_DISABLE_MEMOIZE", "perhaps")
    with pytest.raises(
        Refused, match="the setting disable_memoize has no possible value: Input should be a valid bool"
    ):
        Settings()
    with pytest.raises(Refused, match=r"Settings\(memoise=\.\.\.\) .* the nearest is"):
        Settings(memoise=True)


def test_the_names_that_are_known_without_the_class_are_those_of_the_class() -> None:
    aliases = {name: field.validation_alias for name, field in Settings.model_fields.items()}
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert secret == names.SECRET
    assert {name for name, alias in aliases.items() if alias is None} | names.OF_MLTRACK == names.PLAIN
    assert set(aliases) - names.PLAIN - names.SECRET == names.OF_OTHERS
    for name in names.OF_MLTRACK:
        assert aliases[name] == AliasChoices(f"SMALTI_{name.upper()}", f"MLTRACK_{name.upper()}")


def test_ordinary_settings_in_the_files_do_not_take_pydantic(root: Path) -> None:
    Path(".env").write_text("SMALTI_REMOTE=s3://bucket/prefix\n")
    Path(".smalti.yml").write_text("# ours\ndefault_run_type: production\n")
    program = "import sys; from smalti.settings import places; places(); print({'pydantic', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
