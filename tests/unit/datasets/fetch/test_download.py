"""What a download brings, where it may come from, and what it leaves alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets.fetch import Downloaded, Patience, download
from smalti.errors import NotFound, Refused, Unavailable

CONTENT = bytes(range(256)) * 4096  # what the server gives
SHA256 = hashlib.sha256(CONTENT).hexdigest()

Fetch = Callable[..., Downloaded]
Left = Callable[[], list[str]]


def test_a_file_arrives_whole_with_its_digest_and_progress(
    server: Any, fetch: Fetch, tmp_path: Path, left: Left
) -> None:
    seen: list[tuple[int, int | None]] = []
    got = fetch("/a.npz?token=1", progress=lambda *step: seen.append(step))
    assert got == Downloaded(tmp_path / "a.npz", SHA256, len(CONTENT), f"{server.origin}/a.npz?token=1")
    assert got.path.read_bytes() == CONTENT
    assert left() == ["a.npz"]
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert server.asked[0]["path"] == "/a.npz?token=1"


def test_an_empty_file_arrives(server: Any, fetch: Fetch, left: Left) -> None:
    server.content = b""
    assert fetch().sha256 == hashlib.sha256().hexdigest()
    assert left() == ["a.npz"]


@pytest.mark.parametrize("form", [SHA256, f"sha256:{SHA256}", SHA256.upper()])
def test_a_pinned_digest_is_checked(fetch: Fetch, form: str) -> None:
    assert fetch(sha256=form).sha256 == SHA256


def test_content_with_another_digest_is_refused_and_not_kept(fetch: Fetch, left: Left) -> None:
    with pytest.raises(Refused, match=rf"has the SHA-256 {SHA256}, wanted 0{{64}}"):
        fetch(sha256="0" * 64)
    assert left() == []


def test_what_is_no_digest_is_refused_before_anything_is_asked(server: Any, fetch: Fetch) -> None:
    with pytest.raises(Refused, match="64 hexadecimal digits"):
        fetch(sha256="md5:123")
    assert not server.asked


def test_a_pinned_file_that_is_there_is_not_fetched_again(server: Any, fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(CONTENT)
    assert fetch(sha256=SHA256).nbytes == len(CONTENT)
    assert not server.asked


def test_the_same_content_at_the_target_is_accepted(fetch: Fetch, tmp_path: Path, left: Left) -> None:
    (tmp_path / "a.npz").write_bytes(CONTENT)
    inode = (tmp_path / "a.npz").stat().st_ino
    assert fetch().sha256 == SHA256
    assert (tmp_path / "a.npz").stat().st_ino == inode
    assert left() == ["a.npz"]


@pytest.mark.parametrize("sha256", [None, SHA256])
def test_other_content_at_the_target_is_never_replaced(fetch: Fetch, tmp_path: Path, sha256: str | None) -> None:
    (tmp_path / "a.npz").write_bytes(b"mine")
    with pytest.raises(Refused, match="is there already"):
        fetch(sha256=sha256)
    assert (tmp_path / "a.npz").read_bytes() == b"mine"


def test_redirects_are_followed(server: Any, fetch: Fetch) -> None:
    def answer(handler: Any) -> None:
        to = {"/a.npz": "/b c", "/b%20c": f"{server.origin}/d"}.get(handler.path)
        handler.head(302, Location=to, Content_Length=0) if to else handler.give()

    server.answer = answer
    assert fetch().sha256 == SHA256
    assert [asked["path"] for asked in server.asked] == ["/a.npz", "/b%20c", "/d"]


def test_redirects_are_limited(server: Any, fetch: Fetch) -> None:
    server.answer = lambda handler: handler.head(302, Location="/a.npz", Content_Length=0)
    with pytest.raises(Refused, match="more than 5 times"):
        fetch()
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    "to",
    [
        *("https://10.0.0.1/a", "https://169.254.169.254/latest/meta-data", "https://[::1]/", "https://2130706433/"),
        *("https://[::ffff:127.0.0.1]/", "https://0x7f.1/", "http://127.0.0.1:1/", "http://example.org/"),
        *("ftp://example.org/", "file:///etc/passwd", "https://me:hunter2@example.org/", "//me:hunter2@example.org/"),
    ],
)
def test_a_redirect_to_where_no_download_may_go_is_refused(server: Any, fetch: Fetch, left: Left, to: str) -> None:
    server.answer = lambda handler: handler.head(302, Location=to, Content_Length=0)
    with pytest.raises(Refused) as caught:
        fetch()
    assert "hunter2" not in str(caught.value)
    assert left() == []


def test_this_machine_is_refused_unless_allowed_by_name(server: Any, fetch: Fetch, patience: Patience) -> None:
    with pytest.raises(Refused, match="neither https nor file"):
        fetch(allow=[])
    with pytest.raises(Refused, match=r"127\.0\.0\.1, which is not on the public internet"):
        download(server.origin.replace("http", "https"), Path("a"), allow=[server.origin], patience=patience)
    assert not server.asked


def test_a_local_file_is_copied(tmp_path: Path, left: Left) -> None:
    (tmp_path / "läufe 1").write_bytes(CONTENT)
    got = download((tmp_path / "läufe 1").as_uri(), tmp_path / "b", sha256=SHA256)
    assert got.path.read_bytes() == CONTENT
    with pytest.raises(NotFound, match="there is no file"):
        download((tmp_path / "c").as_uri(), tmp_path / "d")
    with pytest.raises(Refused, match="a folder, wanted a regular file"):
        download(tmp_path.as_uri(), tmp_path / "d")
    with pytest.raises(Refused, match="wanted at most 5"):
        download((tmp_path / "b").as_uri(), tmp_path / "d", most_nbytes=5)
    assert left() == ["b", "läufe 1"]


def test_two_processes_do_not_write_one_part(server: Any, fetch: Fetch, tmp_path: Path) -> None:
    said: list[str] = []

    def second(done: int, _: int | None) -> None:
        if not said:
            said.append("")
            with pytest.raises(Unavailable, match=r"another process is downloading a\.npz\.part"):
                fetch()

    assert fetch(progress=second).sha256 == SHA256
    assert said


def test_a_link_in_the_place_of_the_part_is_not_followed(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "a.npz.part").symlink_to(tmp_path / "mine")
    with pytest.raises(Unavailable, match=r"could not finish downloading a\.npz"):
        fetch()
    assert (tmp_path / "mine").read_bytes() == b"mine"
