"""A credential reaches the server it is for, and nothing else: no file, output, log, message or other server."""

from __future__ import annotations

import logging
import traceback
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets.credentials import Credentials
from smalti.datasets.external import ExternalCache, download_dataset, fetch_kaggle
from smalti.datasets.fetch import Patience
from smalti.errors import NotFound, Refused, SmaltiError
from smalti.settings import Settings
from tests.unit.datasets.external.conftest import FILES

CANARY = "canary-hunter2-4711"
ENCODED = b64encode(f"me:{CANARY}".encode()).decode()
PATIENCE = Patience(idle_s=5, total_s=20, attempts=2, backoff_s=0)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A root whose secrets all hold the canary, out of the environment."""
    for name in ("DATASET_API_KEY", "HUGGINGFACE_TOKEN", "KAGGLE_KEY"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    return Settings(root=tmp_path, allowed_origins=settings.allowed_origins, cache_quota="1MB")


def test_a_private_dataset_is_asked_for_with_the_key_and_a_public_one_without(server: Any, settings: Settings) -> None:
    download_dataset(f"{server.origin}/a.zip", "public", settings=settings)
    download_dataset(f"{server.origin}/a.zip", "private", auth=True, settings=settings)
    assert [asked.get("authorization") for asked in server.asked] == [None, f"Bearer {CANARY}"]


def test_what_is_there_needs_no_credential(server: Any, settings: Settings) -> None:
    folder = download_dataset(f"{server.origin}/a.zip", "private", auth=True, settings=settings)
    without = settings.model_copy(update={"dataset_api_key": None})
    assert download_dataset(f"{server.origin}/a.zip", "private", auth=True, settings=without) == folder
    with pytest.raises(Refused, match="DATASET_API_KEY is not set"):
        download_dataset(f"{server.origin}/a.zip", "other", auth=True, settings=without)
    assert len(server.asked) == 1


def test_another_server_that_is_redirected_to_gets_no_credential(
    server: Any, other_server: Any, settings: Settings
) -> None:
    both = settings.model_copy(update={"allowed_origins": f"{server.origin}, {other_server.origin}"})
    other_server.content = b"from elsewhere"
    server.answer = lambda handler: handler.head(302, Location=f"{other_server.origin}/b.bin")
    download_dataset(f"{server.origin}/a.bin", "private", auth=True, settings=both)
    assert CANARY in str(server.asked)
    assert len(other_server.asked) == 1
    assert CANARY not in str(other_server.asked)


@pytest.mark.parametrize(
    ("status", "auth", "said"),
    [
        (401, True, "DATASET_API_KEY was not accepted; correct it in .env"),
        (403, True, "DATASET_API_KEY was not accepted"),
        (401, False, "if it is private, pass auth=True, with DATASET_API_KEY in .env"),
    ],
)
def test_a_login_that_fails_says_what_to_do(
    server: Any, settings: Settings, status: int, auth: bool, said: str
) -> None:
    server.answer = lambda handler: handler.head(status, Content_Length=0)
    with pytest.raises(Refused, match=said):
        download_dataset(f"{server.origin}/a.zip", "private", auth=auth, settings=settings, patience=PATIENCE)


def test_a_competition_is_downloaded_with_kaggle_s_credentials(server: Any, settings: Settings, tree: Any) -> None:
    folder = fetch_kaggle("titanic", api=f"{server.origin}/api/v1", settings=settings)
    assert folder == settings.external / "titanic"
    assert tree(folder) == FILES
    assert server.asked[0]["path"] == "/api/v1/competitions/data/download-all/titanic"
    assert server.asked[0]["authorization"] == f"Basic {ENCODED}"
    assert ExternalCache.of(settings).source("titanic").source == "https://www.kaggle.com/c/titanic"


def test_rules_that_were_not_accepted_are_named(server: Any, settings: Settings) -> None:
    server.answer = lambda handler: handler.head(403, Content_Length=0)
    with pytest.raises(Refused, match=r"accept the rules at https://www\.kaggle\.com/c/titanic/rules"):
        fetch_kaggle("titanic", api=server.origin, settings=settings)


def test_what_is_no_competition_is_refused(settings: Settings) -> None:
    with pytest.raises(Refused, match="is no competition"):
        fetch_kaggle("../titanic", settings=settings)


def test_the_canary_is_nowhere(
    server: Any,
    other_server: Any,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    both = settings.model_copy(update={"allowed_origins": f"{server.origin},{other_server.origin}"})
    other_server.answer = lambda handler: handler.head(404, Content_Length=0)
    answers: dict[str, Callable[[Any], Any]] = {
        "fine": lambda handler: handler.give(),
        "login": lambda handler: handler.head(401, Content_Length=0),
        "missing": lambda handler: handler.head(404, Content_Length=0),
        "away": lambda handler: handler.head(302, Location=f"{other_server.origin}/x", Content_Length=0),
        "broken": lambda handler: handler.head(500, Content_Length=0),
        "cut": lambda handler: handler.give(cut=100),
    }
    said, received = [repr(both), repr(Credentials(both))], []
    with caplog.at_level(logging.DEBUG):
        for name, answer in answers.items():
            server.answer = answer
            url = f"{server.origin}/{name}.zip?key={CANARY}"
            for fetch in (
                lambda url=url, name=name: download_dataset(url, name, auth=True, settings=both, patience=PATIENCE),
                lambda name=name: fetch_kaggle(name, f"k-{name}", api=server.origin, settings=both, patience=PATIENCE),
            ):
                try:
                    said.append(str(fetch()))
                except SmaltiError as error:
                    said.append("".join(traceback.format_exception(error)))
        received = [*server.asked]
    assert CANARY in str(received)
    assert ENCODED in str(received)
    assert caplog.records
    kept = {path: path.read_bytes() for path in settings.root.rglob("*") if path.is_file()}
    assert any(path.suffix == ".json" for path in kept)
    everything = "".join([*said, caplog.text, *capfd.readouterr(), *map(str, kept), str([*kept.values()])])
    for secret in (CANARY, ENCODED):
        assert secret not in everything
        assert secret not in str(other_server.asked)


def test_a_wrong_address_is_no_question_of_credentials(server: Any, settings: Settings) -> None:
    server.answer = lambda handler: handler.head(404, Content_Length=0)
    with pytest.raises(NotFound, match="correct the address"):
        download_dataset(f"{server.origin}/a.zip", "private", auth=True, settings=settings)
