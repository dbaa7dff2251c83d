"""Credentials: read in one place, shown as asterisks, and a header for the one who asks."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest

from smalti.compute.child import SECRETS
from smalti.datasets.credentials import Credentials
from smalti.errors import Refused
from smalti.settings import Settings, dotenv_files

NAMES = (*SECRETS, "KAGGLE_CONFIG_DIR")
CANARY = "canary-hunter2"
URL = "https://example.org/a.zip?token=1"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root without credentials, and a home without Kaggle's file."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def decoded(headers: dict[str, str]) -> str:
    return b64decode(headers["Authorization"].removeprefix("Basic ")).decode()


def test_an_api_key_alone_is_a_bearer_token() -> None:
    assert Credentials(Settings(dataset_api_key=CANARY)).for_dataset(URL) == {"Authorization": f"Bearer {CANARY}"}


def test_a_user_name_and_a_key_are_basic_authentication_in_utf_8() -> None:
    settings = Settings(dataset_api_key="a:b", dataset_username="Jürgen")
    assert decoded(Credentials(settings).for_dataset(URL)) == "Jürgen:a:b"


def test_a_missing_key_is_one_sentence_that_names_it_and_the_file(root: Path) -> None:
    with pytest.raises(Refused) as caught:
        Credentials().for_dataset(URL)
    assert str(caught.value) == (
        f"https://example.org/a.zip needs credentials, but DATASET_API_KEY is not set; "
        f"put DATASET_API_KEY=... into {root / '.env'}."
    )


@pytest.mark.parametrize(
    "url", ["http://data.beamline/a.zip", "http://10.0.0.1/a", "file:///a.zip", "http://localhost.evil.org/"]
)
def test_no_credential_goes_in_the_clear(url: str) -> None:
    settings = Settings(dataset_api_key=CANARY, huggingface_token=CANARY, kaggle_username="me", kaggle_key=CANARY)
    credentials = Credentials(settings)
    for header in (credentials.for_dataset, credentials.for_hub, credentials.for_kaggle):
        with pytest.raises(Refused, match="go by https only") as caught:
            header(url)
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/a", "http://[::1]/a", "http://localhost/a"])
def test_within_one_machine_nothing_travels(url: str) -> None:
    assert Credentials(Settings(huggingface_token="t")).for_hub(url) == {"Authorization": "Bearer t"}


def test_without_a_token_the_hub_is_asked_without_one() -> None:
    assert Credentials().for_hub(URL) == {}


@pytest.mark.parametrize("name", ["HUGGINGFACE_TOKEN", "HF_TOKEN"])
def test_the_hub_s_token_has_two_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, CANARY)
    assert Credentials().hub_token(URL) == CANARY


def test_the_environment_comes_before_the_folder_and_the_folder_before_the_root(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "below").mkdir()
    (root / ".env").write_text("DATASET_API_KEY=root\nDATASET_USERNAME=\nHF_TOKEN=root\nKAGGLE_KEY=root\nOTHER=1\n")
    (root / "below" / ".env").write_text("HF_TOKEN=folder\nKAGGLE_KEY=folder\n")
    monkeypatch.chdir(root / "below")
    monkeypatch.setenv("KAGGLE_KEY", "environment")
    found = Settings()
    secrets = (found.dataset_api_key, found.huggingface_token, found.kaggle_key)
    assert [secret.get_secret_value() for secret in secrets if secret] == ["root", "folder", "environment"]
    assert found.dataset_username is None, "set to nothing is not set"
    assert dotenv_files() == (root / ".env", root / "below" / ".env")


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    (root / ".env").write_text("".join(f"{name}={CANARY}\n" for name in SECRETS if "USERNAME" not in name))
    settings = Settings()
    assert settings.kaggle_key is not None
    assert settings.kaggle_key.get_secret_value() == CANARY
    shown = (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump()), repr(Credentials()))
    assert CANARY not in "".join(shown)
    monkeypatch.setenv("SMALTI_DISABLE_MEMOIZE", CANARY)
    with pytest.raises(ValueError, match="disable_memoize") as caught:
        Settings()
    assert CANARY not in str(caught.value)


def test_kaggle_s_variables_come_before_its_file(root: Path) -> None:
    settings = Settings(kaggle_username="me", kaggle_key=CANARY)
    assert decoded(Credentials(settings).for_kaggle(URL)) == f"me:{CANARY}"


def kaggle_json(root: Path, text: str, mode: int = 0o600) -> Path:
    (root / ".kaggle").mkdir()
    path = root / ".kaggle" / "kaggle.json"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_kaggle_s_own_file_is_read(root: Path) -> None:
    kaggle_json(root, json.dumps({"username": "me", "key": CANARY}))
    assert decoded(Credentials().for_kaggle(URL)) == f"me:{CANARY}"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_kaggle_s_file_is_refused_while_others_may_read_it(root: Path, mode: int) -> None:
    path = kaggle_json(root, json.dumps({"username": "me", "key": CANARY}), mode)
    with pytest.raises(Refused, match=f"others on this machine may read {path} .mode {mode:o}.; run chmod 600 {path}"):
        Credentials().for_kaggle(URL)


@pytest.mark.parametrize("text", ["", CANARY, "[]", f'{{"key": "{CANARY}"}}', f'{{"username": "me", "key": "{CANARY}'])
def test_what_kaggle_did_not_write_is_refused_without_its_text(root: Path, text: str) -> None:
    kaggle_json(root, text)
    with pytest.raises(Refused, match="is not what Kaggle wrote") as caught:
        Credentials().for_kaggle(URL)
    assert CANARY not in repr((caught.value, caught.value.__cause__))


def test_half_of_kaggle_s_credentials_is_named(root: Path) -> None:
    with pytest.raises(Refused, match=r"KAGGLE_KEY is not set; put KAGGLE_KEY=\.\.\. into"):
        Credentials(Settings(kaggle_username="me")).for_kaggle(URL)
    with pytest.raises(
        Refused, match=r"put KAGGLE_USERNAME=\.\.\. and KAGGLE_KEY=\.\.\. into .*, or save Kaggle's token as"
    ):
        Credentials().for_kaggle(URL)


def test_what_children_do_without_is_all_that_the_settings_keep_secret() -> None:
    aliases = [field.validation_alias for field in Settings.model_fields.values() if "Secret" in str(field.annotation)]
    names = {name for alias in aliases for name in ([alias] if isinstance(alias, str) else alias.choices)}
    assert names <= set(SECRETS)
