"""Credentials reach the server that the caller named, and nothing else: no other origin, file, message or log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets.fetch import Downloaded
from smalti.errors import Refused, Unavailable

Fetch = Callable[..., Downloaded]
SECRET = "hunter2-canary"
HEADERS = {"authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET}


def test_headers_reach_the_origin_of_the_url_and_its_own_redirects(server: Any, fetch: Fetch) -> None:
    server.answer = lambda handler: handler.head(302, Location="/b") if handler.path == "/a.npz" else handler.give()
    fetch(headers=HEADERS)
    assert [(asked["path"], asked["authorization"], asked["x-api-key"]) for asked in server.asked] == [
        (path, f"Bearer {SECRET}", SECRET) for path in ("/a.npz", "/b")
    ]


def test_headers_follow_to_no_other_origin_and_not_back_from_there(
    server: Any, other_server: Any, fetch: Fetch
) -> None:
    there, back = f"{other_server.origin}/b", f"{server.origin}/c"
    server.answer = lambda handler: handler.head(302, Location=there) if handler.path == "/a.npz" else handler.give()
    other_server.answer = lambda handler: handler.head(302, Location=back)
    fetch(headers=HEADERS, allow=[server.origin, other_server.origin])
    assert SECRET in str(server.asked[0])
    assert SECRET not in str([*server.asked[1:], *other_server.asked])


def test_a_header_may_say_what_is_wanted(server: Any, fetch: Fetch) -> None:
    fetch(headers={"accept": "application/octet-stream"})
    assert server.asked[0]["accept"] == "application/octet-stream"


@pytest.mark.parametrize("name", ["range", "If-Range", "HOST", "accept-encoding", "Connection"])
def test_headers_that_are_the_download_s_own_are_refused(server: Any, fetch: Fetch, name: str) -> None:
    with pytest.raises(Refused, match=f"sets the header {name} itself"):
        fetch(headers={name: "x"})
    assert not server.asked


@pytest.mark.parametrize("value", [f"{SECRET}\r\nX: y", f"{SECRET}\n", f"{SECRET}é", f" {SECRET}", ""])
def test_a_header_that_is_none_is_refused_without_its_value(server: Any, fetch: Fetch, value: str) -> None:
    with pytest.raises(Refused, match="the header X-Key is empty or holds what no header may") as caught:
        fetch(headers={"X-Key": value})
    assert SECRET not in str(caught.value)
    assert not server.asked


def test_nothing_secret_is_kept_said_or_logged(
    server: Any, fetch: Fetch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = lambda handler: handler.give(cut=10) if "Range" not in handler.headers else handler.head(503)
    with caplog.at_level(logging.DEBUG), pytest.raises(Unavailable) as caught:
        fetch(f"/a.npz?token={SECRET}", headers=HEADERS)
    assert caplog.records
    kept = "".join(path.read_text("latin-1") for path in tmp_path.iterdir())
    assert SECRET not in str(caught.value) + kept + caplog.text


def test_the_environment_gives_neither_proxy_nor_password(
    server: Any, other_server: Any, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, other_server.origin)
    fetch()
    assert not other_server.asked
    assert "authorization" not in server.asked[0]
