"""Servers that fail: what is tried again, how often, how long, and what is said."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets.fetch import Downloaded, Patience, download
from smalti.errors import NotFound, Refused, Unavailable

CONTENT = bytes(range(256)) * 4096  # what the server gives
SHA256 = hashlib.sha256(CONTENT).hexdigest()

Fetch = Callable[..., Downloaded]
Left = Callable[[], list[str]]


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_a_status_that_passes_is_tried_again(server: Any, fetch: Fetch, status: int) -> None:
    server.answer = lambda h: h.give() if len(server.asked) == 3 else h.head(status, Content_Length=0, Retry_After=0)
    assert fetch().sha256 == SHA256


def test_tries_are_limited(server: Any, fetch: Fetch, left: Left, patience: Patience) -> None:
    server.answer = lambda handler: handler.head(503, Content_Length=0)
    with pytest.raises(Unavailable, match=r"answered 503; nothing was kept, try again later\.$"):
        fetch()
    assert len(server.asked) == patience.attempts
    assert left() == []


def test_tries_that_bring_nothing_new_are_limited_however_much_each_brings(
    server: Any, fetch: Fetch, patience: Patience
) -> None:
    server.answer = lambda handler: handler.give(cut=300_000 if len(server.asked) % 2 else 100_000, ranges=False)
    with pytest.raises(Unavailable, match="ended after"):
        fetch()
    assert len(server.asked) == patience.attempts


def test_a_server_that_wants_a_long_pause_is_not_waited_for_beyond_the_total_time(server: Any, fetch: Fetch) -> None:
    server.answer = lambda handler: handler.head(503, Content_Length=0, Retry_After=3600)
    with pytest.raises(Unavailable, match="answered 503"):
        fetch()
    assert len(server.asked) == 1


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (410, NotFound), (403, Refused), (401, Refused)])
def test_a_status_that_stays_is_said_at_once(
    server: Any, fetch: Fetch, left: Left, status: int, kind: type[Exception]
) -> None:
    server.answer = lambda handler: handler.head(status, Content_Length=0)
    with pytest.raises(kind, match=f"status {status}"):
        fetch()
    assert len(server.asked) == 1
    assert left() == []


def test_a_body_over_the_limit_is_refused_by_its_declared_size(server: Any, fetch: Fetch, left: Left) -> None:
    with pytest.raises(Refused, match="has 1048576 bytes or more, wanted at most 1000"):
        fetch(most_nbytes=1000)
    assert left() == []


def test_a_body_without_a_length_is_refused_where_it_passes_the_limit(server: Any, fetch: Fetch, left: Left) -> None:
    server.answer = lambda handler: handler.give_chunked(CONTENT)
    with pytest.raises(Refused, match="wanted at most 150000"):
        fetch(most_nbytes=150_000)
    assert left() == []
    assert fetch().sha256 == SHA256


def test_a_body_whose_end_cannot_be_told_needs_a_digest(server: Any, fetch: Fetch) -> None:
    def answer(handler: Any) -> None:
        handler.head(200)
        handler.wfile.write(CONTENT)

    server.answer = answer
    with pytest.raises(Refused, match="without its length"):
        fetch()
    assert fetch(sha256=SHA256).sha256 == SHA256


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 40_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 " + b"A" * 120_000,
    ],
    ids=["nothing", "nonsense", "headers", "chunks", "line"],
)
def test_an_answer_that_is_not_http_is_unavailable(server: Any, fetch: Fetch, answer: bytes) -> None:
    server.answer = lambda handler: handler.wfile.write(answer)
    with pytest.raises(Unavailable, match=r"(could not be read|ended after 0 bytes).*; nothing was kept"):
        fetch()


def test_nobody_there_is_unavailable(tmp_path: Path, patience: Patience) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        origin = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(Unavailable, match=r"could not be read \(Connection refused\)"):
        download(f"{origin}/a", tmp_path / "a", allow=[origin], patience=patience)


def test_silence_ends_a_try_and_the_next_one_follows(server: Any, fetch: Fetch) -> None:
    server.answer = lambda handler: time.sleep(0.5)
    with pytest.raises(Unavailable, match="silent for too long"):
        fetch(patience=Patience(idle_s=0.05, total_s=20, attempts=3, backoff_s=0))
    assert len(server.asked) == 3


def drip(handler: Any, *, head: bool) -> None:
    if not head:
        handler.head(200, Content_Length=len(CONTENT))
    for _ in range(100):
        handler.wfile.write(b"H")
        time.sleep(0.01)


@pytest.mark.parametrize(
    "answer",
    [lambda _: time.sleep(1), partial(drip, head=True), partial(drip, head=False)],
    ids=["silence", "head", "body"],
)
def test_neither_silence_nor_a_byte_now_and_then_outlasts_the_total_time(
    server: Any, fetch: Fetch, answer: Callable[[Any], None]
) -> None:
    server.answer = answer
    with pytest.raises(Unavailable, match="longer than the whole download may"):
        fetch(patience=Patience(idle_s=20, total_s=0.15, attempts=3, backoff_s=0))
    assert len(server.asked) == 1


def test_pauses_grow_as_the_server_asks_but_not_beyond_a_minute() -> None:
    patience = Patience(backoff_s=1)
    assert [patience.pause_s(failures) for failures in (1, 2, 3, 7, 5000)] == [1, 2, 4, 60, 60]
    assert [patience.pause_s(2, asked_s) for asked_s in (0, 1, 30, 3600)] == [2, 2, 30, 60]


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_body_that_is_encoded_unasked_needs_a_digest(server: Any, fetch: Fetch, encoding: str) -> None:
    def answer(handler: Any) -> None:
        handler.head(200, Content_Length=len(CONTENT), Content_Encoding=encoding)
        handler.wfile.write(CONTENT)

    server.answer = answer
    with pytest.raises(Refused, match=rf"comes encoded \({encoding}\), unasked; give its SHA-256"):
        fetch("/a.csv")
    assert all(asked["accept-encoding"] == "identity" for asked in server.asked)
    assert fetch("/a.csv", sha256=SHA256).path.read_bytes() == CONTENT
    assert fetch("/a.csv.gz").path.read_bytes() == CONTENT
