"""An interrupted download goes on where it stopped, or starts anew where it must."""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets.fetch import Downloaded
from smalti.errors import Refused, Unavailable

CONTENT = bytes(range(256)) * 4096  # what the server gives
SHA256 = hashlib.sha256(CONTENT).hexdigest()

Fetch = Callable[..., Downloaded]
Left = Callable[[], list[str]]


def test_a_body_that_is_cut_is_gone_on_with(server: Any, fetch: Fetch) -> None:
    server.answer = lambda handler: handler.give(cut=300_000)
    assert fetch().sha256 == SHA256
    assert [asked.get("range") for asked in server.asked] == [None, "bytes=299999-", "bytes=599998-", "bytes=899997-"]


def test_the_next_call_goes_on_where_an_interrupt_came(server: Any, fetch: Fetch, tmp_path: Path, left: Left) -> None:
    def interrupt(done: int, _: int | None) -> None:
        if done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(progress=interrupt)
    came = (tmp_path / "a.npz.part").stat().st_size
    assert came > 500_000
    assert fetch().sha256 == SHA256
    assert server.asked[1]["range"] == f"bytes={came - 1}-"
    assert left() == ["a.npz"]


def test_a_part_that_is_complete_costs_one_more_byte(server: Any, fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"mine")
    with pytest.raises(Refused, match=r"compare it with a\.npz\.part"):
        fetch()
    (tmp_path / "a.npz").unlink()
    assert fetch().sha256 == SHA256
    assert server.asked[1]["range"] == f"bytes={len(CONTENT) - 1}-"


def give_up_after(server: Any, fetch: Fetch, nbytes: int) -> None:
    """Leave a part of so many bytes."""

    def answer(handler: Any) -> None:
        handler.give(cut=nbytes) if "Range" not in handler.headers else handler.head(503, Content_Length=0)

    server.answer = answer
    with pytest.raises(Unavailable, match=f"{nbytes} bytes are kept"):
        fetch()
    server.answer = lambda handler: handler.give()
    server.asked.clear()


def test_a_resource_that_changed_starts_anew(server: Any, fetch: Fetch) -> None:
    give_up_after(server, fetch, 300_000)
    server.content, server.etag = CONTENT[::-1], '"v2"'
    assert fetch().sha256 == hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert len(server.asked) == 1


def test_a_server_that_knows_no_ranges_starts_anew(server: Any, fetch: Fetch) -> None:
    give_up_after(server, fetch, 300_000)
    server.answer = lambda handler: handler.give(ranges=False)
    assert fetch().sha256 == SHA256


@pytest.mark.parametrize(
    ("span", "etag"),
    [
        ("bytes 5-7/{all}", '"v1"'),
        ("bytes 299998-300000/{all}", '"v1"'),
        ("bytes 299999-300001/{all}", '"v2"'),
        ("bytes 299999-{last}/{all}", '"v1"'),
        ("bytes 299999-300001/*", '"v1"'),
        ("bytes 299999-300001/5", '"v1"'),
        ("nonsense", '"v1"'),
        ("", '"v1"'),
    ],
)
def test_an_answer_with_another_range_or_version_is_thrown_away(
    server: Any, fetch: Fetch, span: str, etag: str
) -> None:
    give_up_after(server, fetch, 300_000)

    def answer(handler: Any) -> None:
        if len(server.asked) == 1:
            whole = span.format(last=len(CONTENT) - 1, all=len(CONTENT))
            handler.head(206, Content_Length=3, Content_Range=whole, ETag=etag)
            handler.wfile.write(b"bad")
        else:
            handler.give()

    server.answer = answer
    assert fetch().sha256 == SHA256


def test_a_server_may_give_less_of_a_range_than_was_asked_for(server: Any, fetch: Fetch) -> None:
    give_up_after(server, fetch, 300_000)

    def answer(handler: Any) -> None:
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        piece = CONTENT[start : start + 200_000]
        span = f"bytes {start}-{start + len(piece) - 1}/{len(CONTENT)}"
        handler.head(206, Content_Length=len(piece), Content_Range=span, ETag=server.etag)
        handler.wfile.write(piece)

    server.answer = answer
    assert fetch().sha256 == SHA256


def test_a_range_that_brings_more_than_there_is_is_thrown_away(server: Any, fetch: Fetch) -> None:
    give_up_after(server, fetch, 300_000)

    def answer(handler: Any) -> None:
        if "Range" in handler.headers:
            span = f"bytes 299999-{len(CONTENT) - 1}/{len(CONTENT)}"
            handler.head(206, Transfer_Encoding="chunked", Content_Range=span, ETag=server.etag)
            handler.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(CONTENT), CONTENT))
        else:
            handler.give()

    server.answer = answer
    assert fetch().sha256 == SHA256
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [206, 416])
def test_a_range_that_nobody_asked_for_is_not_taken(server: Any, fetch: Fetch, status: int) -> None:
    server.answer = lambda handler: handler.head(status, Content_Length=0)
    with pytest.raises(Unavailable, match="another part than it was asked for"):
        fetch()


@pytest.mark.parametrize("etag", ['W/"v1"', "v1", '"a\x01b"'])
def test_without_a_strong_validator_nothing_is_gone_on_with(server: Any, fetch: Fetch, left: Left, etag: str) -> None:
    server.etag = etag
    server.answer = lambda handler: handler.give(cut=300_000)
    with pytest.raises(Unavailable, match="ended after 300000 of 1048576 bytes; 300000 bytes are kept"):
        fetch()
    assert all("range" not in asked for asked in server.asked)
    assert left() == ["a.npz.part"]


def test_a_settled_date_is_a_validator_too(server: Any, fetch: Fetch) -> None:
    modified = "Wed, 01 Jan 2020 00:00:00 GMT"

    def answer(handler: Any) -> None:
        start = 299_999 if handler.headers.get("If-Range") == modified else 0
        span = {"Content_Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"} if start else {}
        handler.head(206 if start else 200, Content_Length=len(CONTENT) - start, Last_Modified=modified, **span)
        handler.wfile.write(CONTENT[start : None if start else 300_000])

    server.answer = answer
    assert fetch().sha256 == SHA256
    assert len(server.asked) == 2


def test_wrong_bytes_of_an_earlier_call_do_not_spoil_a_pinned_download(
    server: Any, fetch: Fetch, tmp_path: Path
) -> None:
    give_up_after(server, fetch, 300_000)
    (tmp_path / "a.npz.part").write_bytes(b"\0" * 300_000)
    assert fetch(sha256=SHA256).sha256 == SHA256


def test_a_note_that_is_not_ours_starts_anew(server: Any, fetch: Fetch, tmp_path: Path) -> None:
    for note in (b"[]", b"{", b"\xff", json.dumps({"url_sha256": "0", "validator": '"v1"'}).encode()):
        (tmp_path / "a.npz.part").write_bytes(b"\0" * 300_000)
        (tmp_path / "a.npz.part.json").write_bytes(note)
        assert fetch().sha256 == SHA256
        (tmp_path / "a.npz").unlink()
    assert all("range" not in asked for asked in server.asked)


def test_a_chunked_body_that_is_cut_is_gone_on_with(server: Any, fetch: Fetch) -> None:
    def answer(handler: Any) -> None:
        handler.give() if "Range" in handler.headers else handler.give_chunked(CONTENT[:300_000], end=False)

    server.answer = answer
    assert fetch().sha256 == SHA256


def test_a_full_disk_is_said_and_what_came_is_gone_on_with(server: Any, fetch: Fetch, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(Unavailable, match=r"could not finish downloading a\.npz: File too large"):
            fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(server.asked) == 1
    assert fetch().sha256 == SHA256
    assert "range" in server.asked[1]


def test_a_killed_download_is_gone_on_with(server: Any, fetch: Fetch, tmp_path: Path) -> None:
    def slowly(handler: Any) -> None:
        handler.head(200, Content_Length=len(CONTENT), ETag=server.etag)
        handler.wfile.write(CONTENT[:700_000])
        time.sleep(5)

    server.answer = slowly
    program = (
        "import sys; from pathlib import Path; from smalti.datasets.fetch import download\n"
        "download(sys.argv[1] + '/a.npz', Path(sys.argv[2]), allow=[sys.argv[1]])"
    )
    child = subprocess.Popen([sys.executable, "-c", program, server.origin, tmp_path / "a.npz"])
    part = tmp_path / "a.npz.part"
    until = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size > 100_000) and time.monotonic() < until:
        time.sleep(0.01)
    child.kill()
    child.wait()
    server.answer = lambda handler: handler.give()
    assert fetch().sha256 == SHA256
    assert int(server.asked[-1]["range"].removeprefix("bytes=").removesuffix("-")) > 99_000
