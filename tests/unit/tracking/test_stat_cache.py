"""Laws of the cache: it never lets a change go unseen, and it may be lost, damaged or unwritable at any time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    cache.remember(images, {"a.png": (Look(1, 2, 3, 4), "sha256:1")}, time.time_ns())
    kept = list((tmp_path / ".smalti" / "seen").iterdir())
    assert len(kept) == 2
    for file in kept:
        file.unlink()
        if harm == "damaged":
            file.write_bytes(b"no cache" * 1000)
        elif harm == "a folder":
            file.mkdir()
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


names = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
looks = st.builds(Look, *[st.integers(-(2**62), 2**62 - 1)] * 3, st.integers(0, 2**64 - 1))
files = st.dictionaries(names, st.tuples(looks, st.just("sha256:" + "5" * 64)), max_size=20)


@given(parts=st.lists(files, max_size=4), harmed=st.integers(0, 3), data=st.data())
def test_what_is_remembered_later_counts_and_harm_costs_no_more_than_its_part(
    tmp_path_factory: pytest.TempPathFactory, parts: list[dict[str, tuple[Look, str]]], harmed: int, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("root")
    kept, sizes = b"", []
    for part in parts:
        StatCache(root).remember(root / "top", part, read_at_ns=2**63)
        file = next(iter((root / ".smalti").glob("seen/*.files")), None)
        content = file.read_bytes() if file else b""
        sizes.append((len(kept), len(content)))
        kept = content
    whole = dict(entry for part in parts for entry in part.items())
    assert StatCache(root).known(root / "top") == whole
    if harmed < len(parts) and parts[harmed] and file:
        at = data.draw(st.integers(sizes[harmed][0], sizes[harmed][1] - 1))
        file.write_bytes(kept[:at] + bytes([kept[at] ^ 255]) + kept[at + 1 :])
        left = dict(entry for number, part in enumerate(parts) if number != harmed for entry in part.items())
        assert StatCache(root).known(root / "top") == left


def test_what_is_superseded_does_not_pile_up(tmp_path: Path) -> None:
    for number in range(400):
        StatCache(tmp_path).remember(tmp_path / "x", {"name": (Look(number, 2, 3, 4), "sha256:1")}, time.time_ns())
        assert StatCache(tmp_path).known(tmp_path / "x")["name"][0].nbytes == number
    assert next((tmp_path / ".smalti" / "seen").glob("*.files")).stat().st_size < 100 * 200


def test_what_is_gone_is_forgotten_when_it_is_most(
    tmp_path: Path, store: Store, cache: StatCache, images: Path
) -> None:
    gone = {f"gone-{number}": (Look(1, 2, 3, 4), "sha256:1") for number in range(100)}
    cache.remember(images, gone, time.time_ns())
    put_path(store, cache, images)
    assert not gone.keys() & cache.known(images).keys()


def test_git_does_not_see_the_cache(tmp_path: Path, store: Store, cache: StatCache, images: Path) -> None:
    cache.set_base(images, "sha256:1")
    assert (tmp_path / ".smalti" / ".gitignore").read_text() == "*\n"
