"""Splits from a hub: asked for once, pinned to one commit, verified, and read from the cache ever after."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets.external import ExternalCache
from smalti.datasets.fetch import Patience
from smalti.datasets.hub import fetch_hub_dataset, pinned_commit
from smalti.errors import ContractBroken, Damaged, NotFound, Refused, SmaltiError, Unavailable
from smalti.settings import Settings
from tests.unit.datasets.hub.hub_server import WIKITEXT, Hub, parquet, running_hub

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: pip install 'smalti[hub]'")

Fetch = Callable[..., Any]
SMALL = ("wikitext-2-raw-v1", "test")
CANARY = "hf_canary-hunter2"


@pytest.fixture(scope="session")
def running() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def hub(running: Hub) -> Hub:
    running.reset()
    return running


@pytest.fixture
def settings(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("HUGGINGFACE_TOKEN", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return Settings(root=tmp_path, hub_endpoint=hub.endpoint)


@pytest.fixture
def fetch(settings: Settings) -> Fetch:
    def fetch(*what: str | None, **more: Any) -> Any:
        wanted = {"settings": settings, "patience": Patience(idle_s=5, total_s=20, attempts=2, backoff_s=0), **more}
        return fetch_hub_dataset(WIKITEXT, *what, **wanted)

    return fetch


def test_a_split_of_several_files_is_one_table(fetch: Fetch) -> None:
    table = fetch("wikitext-103-raw-v1", "train")
    assert table.column_names == ["text"]
    assert table.num_rows == 200
    assert table["text"][100].as_py() == "wikitext-103-raw-v1 train 1 0"


def test_only_the_files_of_the_split_are_asked_for(fetch: Fetch, hub: Hub) -> None:
    fetch(*SMALL)
    commit = hub.commit(WIKITEXT, "main")[0]
    assert [asked["path"] for asked in hub.asked] == [
        f"/api/datasets/{WIKITEXT}/revision/main",
        f"/datasets/{WIKITEXT}/resolve/{commit}/wikitext-2-raw-v1/test-00000-of-00001.parquet",
    ]


def test_what_was_fetched_is_read_without_the_network_or_the_library(
    fetch: Fetch, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch(*SMALL)
    hub.asked.clear()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert fetch(*SMALL).equals(first)
    assert not hub.asked
    with pytest.raises(NotFound, match=r"huggingface_hub is not installed.*pip install 'smalti\[hub\]'"):
        fetch("wikitext-2-raw-v1", "train")


def test_later_splits_are_of_the_commit_that_was_pinned_first(fetch: Fetch, hub: Hub, settings: Settings) -> None:
    cache = ExternalCache.of(settings)
    assert pinned_commit(WIKITEXT, cache=cache) is None
    fetch(*SMALL)
    old = hub.repositories[WIKITEXT]["main"]
    pinned = hub.commit(WIKITEXT, "main")[0]
    hub.repositories[WIKITEXT] = {"main": {path: parquet(["new"]) for path in old}, "old": old}
    assert fetch("wikitext-2-raw-v1", "train").num_rows == 100
    assert pinned_commit(WIKITEXT, cache=cache) == pinned
    assert fetch("wikitext-2-raw-v1", "train", force=True).num_rows == 1
    assert pinned_commit(WIKITEXT, cache=cache) == hub.commit(WIKITEXT, "main")[0]
    assert fetch(*SMALL).num_rows == 1, "a split of the commit before is not mixed with those of the new one"
    assert fetch(*SMALL, revision="old").num_rows == 100
    assert fetch(*SMALL, revision=pinned).num_rows == 100


def test_a_refresh_asks_for_the_commit_and_fetches_a_split_only_where_that_is_another(fetch: Fetch, hub: Hub) -> None:
    first = fetch(*SMALL)
    hub.asked.clear()
    assert fetch(*SMALL, refresh=True).equals(first)
    assert [asked["path"] for asked in hub.asked] == [f"/api/datasets/{WIKITEXT}/revision/main"]
    old = hub.repositories[WIKITEXT]["main"]
    hub.repositories[WIKITEXT] = {"main": {path: parquet(["new"]) for path in old}, "old": old}
    assert fetch(*SMALL).equals(first)
    assert fetch(*SMALL, refresh=True).num_rows == 1


def test_the_commit_and_the_licence_are_written_down(fetch: Fetch, hub: Hub, settings: Settings) -> None:
    fetch(*SMALL)
    source = ExternalCache.of(settings).source("Salesforce--wikitext--wikitext-2-raw-v1--test")
    commit = hub.commit(WIKITEXT, "main")[0]
    assert source.revision == commit
    assert source.url == f"{hub.endpoint}/datasets/{WIKITEXT}/tree/{commit}"
    assert source.licence == "cc-by-sa-3.0, gfdl"
    assert source.source == f"{hub.endpoint}/datasets/{WIKITEXT}"
    said = json.loads((settings.external / "Salesforce--wikitext.repository.json").read_text())
    assert said["main"]["commit"] == commit
    assert len(said["main"]["files"]) == 7


@pytest.mark.parametrize("small", [True, False])
def test_content_that_is_not_what_the_hub_states_is_refused(fetch: Fetch, hub: Hub, small: bool) -> None:
    path = "wikitext-2-raw-v1/test-00000-of-00001.parquet"
    hub.small = {path} if small else set()
    fetch("wikitext-2-raw-v1", "train")
    files = hub.repositories[WIKITEXT]["main"]
    wrong = bytearray(files[path])
    wrong[10] ^= 1
    real, hub.commit = hub.commit, lambda *_: (hub_commit, {**files, path: bytes(wrong)})
    hub_commit = real(WIKITEXT, "main")[0]
    try:
        with pytest.raises(Refused, match=r"has the SHA-256|is not what the hub says it is"):
            fetch(*SMALL)
    finally:
        del hub.commit
    assert fetch(*SMALL).num_rows == 100


def test_a_lost_network_leaves_what_came_and_the_next_call_goes_on(fetch: Fetch, hub: Hub) -> None:
    hub.cut = 300
    with pytest.raises(Unavailable, match="bytes are kept, try again later"):
        fetch(*SMALL)
    hub.cut = None
    hub.asked.clear()
    assert fetch(*SMALL).num_rows == 100
    assert [asked.get("range") for asked in hub.asked] != [None]
    assert hub.asked[0]["range"].startswith("bytes=")


def test_a_hub_that_does_not_answer_is_unavailable(fetch: Fetch, settings: Settings) -> None:
    with pytest.raises(Unavailable, match=r"could not be asked about Salesforce/wikitext \(ConnectError\)"):
        fetch(*SMALL, endpoint="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (500, Unavailable, "answered 500"),
        (429, Unavailable, "answered 429"),
        (401, Refused, r"correct HUGGINGFACE_TOKEN|private"),
        (418, Refused, "status 418"),
    ],
)
def test_every_status_is_a_sentence(fetch: Fetch, hub: Hub, status: int, error: type, said: str) -> None:
    hub.fails = status
    with pytest.raises((error, NotFound) if status == 401 else error, match=said) as caught:
        fetch(*SMALL)
    assert "\n" not in str(caught.value)


def test_a_repository_or_revision_that_is_not_there_is_named(fetch: Fetch, settings: Settings) -> None:
    with pytest.raises(NotFound, match=r"there is no dataset no/such at .*, or it is private"):
        fetch_hub_dataset("no/such", settings=settings)
    with pytest.raises(NotFound, match="Salesforce/wikitext has no revision 'v9'"):
        fetch(*SMALL, revision="v9")
    for wrong in ("a/b/c", "../x", "", "a b"):
        with pytest.raises(Refused, match=r"is no repository|cannot name a dataset"):
            fetch_hub_dataset(wrong, settings=settings)


def test_a_gated_repository_wants_a_token_which_goes_to_the_hub_alone(
    fetch: Fetch, hub: Hub, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = CANARY
    monkeypatch.setenv("HF_TOKEN", "found by the library itself")
    with pytest.raises(
        Refused, match=r"accept its terms at .*/datasets/Salesforce/wikitext, and put HUGGINGFACE_TOKEN"
    ):
        fetch(*SMALL)
    assert all("authorization" not in asked for asked in hub.asked), "no token of the library's own is sent"
    hub.asked.clear()
    allowed = settings.model_copy(update={"huggingface_token": Settings(huggingface_token=CANARY).huggingface_token})
    assert fetch(*SMALL, settings=allowed).num_rows == 100
    assert {asked["authorization"] for asked in hub.asked} == {f"Bearer {CANARY}"}


def test_the_canary_is_nowhere(
    fetch: Fetch, hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(root=tmp_path, hub_endpoint=hub.endpoint, huggingface_token=CANARY)
    said = []
    with caplog.at_level(logging.DEBUG):
        for fails, cut in ((0, 10), (401, None), (403, None), (404, None), (500, None), (0, None)):
            hub.fails, hub.cut = fails, cut
            try:
                said.append(repr(fetch(*SMALL, settings=settings, force=True)))
            except SmaltiError as error:
                said.append("".join(traceback.format_exception(error)))
    assert CANARY in str(hub.asked)
    kept = "".join(path.read_text("latin-1") for path in tmp_path.rglob("*") if path.is_file())
    assert "Salesforce" in kept
    assert CANARY not in "".join([*said, kept, caplog.text, *capfd.readouterr()])


def test_another_hub_is_not_taken_for_the_first(fetch: Fetch) -> None:
    fetch(*SMALL)
    with pytest.raises(Refused, match=r"was fetched from .*, not from https://other\.example"):
        fetch(*SMALL, endpoint="https://other.example")


def test_a_path_that_leads_out_of_the_folder_is_refused(fetch: Fetch, hub: Hub) -> None:
    hub.repositories[WIKITEXT]["main"]["../../train-00000-of-00001.parquet"] = parquet(["x"])
    with pytest.raises(Refused, match="leads out of its folder"):
        fetch(*SMALL)


def test_what_is_no_hub_is_refused(fetch: Fetch, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.commit = lambda *_: ("not a commit", {})
    try:
        with pytest.raises(Refused, match="states no commit"):
            fetch(*SMALL)
    finally:
        del hub.commit


def test_a_file_that_is_no_parquet_is_refused_and_named(fetch: Fetch, hub: Hub) -> None:
    hub.repositories[WIKITEXT]["main"]["wikitext-2-raw-v1/test-00000-of-00001.parquet"] = b"PAR1" + bytes(50) + b"PAR1"
    with pytest.raises(ContractBroken, match=r"test-00000-of-00001\.parquet"):
        fetch(*SMALL)


def test_a_changed_file_is_damaged_and_force_fetches_it_anew(fetch: Fetch, settings: Settings) -> None:
    fetch(*SMALL)
    path = next(settings.external.rglob("test-*.parquet"))
    path.unlink()
    path.write_bytes(parquet(["mine"]))
    with pytest.raises(Damaged, match="was changed"):
        fetch(*SMALL)
    assert fetch(*SMALL, force=True).num_rows == 100


def test_a_quota_that_is_full_is_said_before_anything_comes(fetch: Fetch, hub: Hub, settings: Settings) -> None:
    with pytest.raises(Refused, match=r"may hold 1\.0KB"):
        fetch(*SMALL, settings=settings.model_copy(update={"cache_quota": "1kB"}))
    assert not [asked for asked in hub.asked if "/resolve/" in asked["path"]]
