"""Laws of the cache: it never lets a change go unseen, and it may be lost, damaged or unwritable at any time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from smalti import Store, open_store
from smalti.tracking import StatCache, put_path, status, track
from smalti.tracking.stat_cache import is_settled
from smalti.tracking.work_file import Look, look_of

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("mtime_ns", "ctime_ns", "settled"),
    [(0, 0, True), (8 * SECOND_NS, 0, False), (0, 8 * SECOND_NS, False), (7 * SECOND_NS, 7 * SECOND_NS, True)],
)
def test_only_a_file_left_alone_for_two_seconds_before_it_was_read_is_trusted(
    mtime_ns: int, ctime_ns: int, settled: bool
) -> None:
    assert is_settled(Look(1, mtime_ns, ctime_ns, 7), read_at_ns=10 * SECOND_NS - 1) is settled


def test_a_change_of_equal_size_and_time_is_seen(tmp_path: Path, store: Store, cache: StatCache, images: Path) -> None:
    track(store, cache, images)
    before = (images / "a.png").stat()
    (images / "a.png").write_bytes(b"A")
    os.utime(images / "a.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    found = status(store, cache, images)
    assert found.changes
    assert found.changes.changed == ("a.png",)


def test_what_has_settled_is_not_read_again(store: Store, cache: StatCache, images: Path) -> None:
    read_at_ns = time.time_ns() + 10 * SECOND_NS
    put_path(store, cache, images)
    digests = {name: store.put((images / name).read_bytes()).digest for name in ("a.png", "b.png", "sub/run.sh")}
    looks = {name: look_of((images / name).stat()) for name in digests}
    cache.remember(images, {name: (looks[name], digests[name]) for name in digests}, read_at_ns)
    assert put_path(store, cache, images).files_read == 0
    (images / "a.png").write_bytes(b"other")
    assert put_path(store, cache, images).files_read == 1


def test_a_renamed_root_keeps_what_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    look = Look(1, 2, 3, 4)
    StatCache(tmp_path / "here").remember(tmp_path / "here" / "x", {"": (look, "sha256:1")}, time.time_ns())
    (tmp_path / "here").rename(tmp_path / "there")
    assert StatCache(tmp_path / "there").known(tmp_path / "there" / "x") == {"": (look, "sha256:1")}


@pytest.mark.parametrize("harm", ["deleted", "damaged", "a folder"])
def test_without_the_cache_everything_works_as_before(
    tmp_path: Path, store: Store, cache: StatCache, images: Path, harm: str
) -> None:
    first = track(store, cache, images).put
    database = tmp_path / ".smalti" / "files.sqlite"
    database.unlink()
    if harm == "damaged":
        database.write_bytes(b"no database" * 1000)
    elif harm == "a folder":
        database.mkdir()
    again = track(store, cache, images).put
    assert again.ref.digest == first.ref.digest
    assert status(store, cache, images).agrees


def test_what_the_cache_knows_and_the_store_lacks_is_read_again(
    tmp_path: Path, store: Store, cache: StatCache, images: Path
) -> None:
    look = look_of((images / "a.png").stat())
    cache.remember(images, {"a.png": (look, "sha256:" + "0" * 64)}, time.time_ns() + 10 * SECOND_NS)
    put = put_path(open_store(tmp_path / "other"), cache, images)
    assert put.files_read == 3


def test_git_does_not_see_the_cache(tmp_path: Path, store: Store, cache: StatCache, images: Path) -> None:
    cache.set_base(images, "sha256:1")
    assert (tmp_path / ".smalti" / ".gitignore").read_text() == "*\n"
