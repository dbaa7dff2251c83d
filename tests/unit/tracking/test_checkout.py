"""Laws of checkout and status: the work tree agrees afterwards, what is the user's stays, damage never gets out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from smalti import Store
from smalti.codecs import Folder
from smalti.errors import Damaged, NotFound, Refused
from smalti.tracking import StatCache, checkout, pointer_path, status, track
from smalti.tracking.contents import Changes
from smalti.tracking.pointer import Pointer, write


def test_what_is_gone_comes_back_and_nothing_else_is_written(store: Store, cache: StatCache, images: Path) -> None:
    track(store, cache, images)
    kept = (images / "b.png").stat().st_ino
    (images / "a.png").unlink()
    (images / "empty").rmdir()
    assert status(store, cache, images).changes == Changes(removed=("a.png", "empty"))
    done = checkout(store, cache, images)
    assert (done.written, done.kept) == (1, 2)
    assert (images / "b.png").stat().st_ino == kept
    assert status(store, cache, images).agrees


def test_another_version_replaces_what_was_put(store: Store, cache: StatCache, images: Path) -> None:
    first = track(store, cache, images).pointer.read_bytes()
    (images / "a.png").write_bytes(b"second")
    (images / "empty").rmdir()
    (images / "empty").write_bytes(b"a file now")
    (images / "new").mkdir()
    (images / "new" / "c.png").write_bytes(b"c")
    track(store, cache, images)
    pointer_path(images).write_bytes(first)  # as git checkout does
    checkout(store, cache, images)
    assert (images / "a.png").read_bytes() == b"a"
    assert list((images / "empty").iterdir()) == []
    assert not (images / "new").exists()
    assert status(store, cache, images).agrees


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda at: (at / "a.png").write_bytes(b"mine"), "images/a.png"),
        (lambda at: (at / "new.png").write_bytes(b"mine"), "images/new.png"),
        (lambda at: (at / "copy.png").write_bytes(b"a"), "images/copy.png"),
        (lambda at: (at / "mine").mkdir(), "images/mine"),
    ],
)
def test_changes_of_the_users_are_named_and_stay_unless_forced(
    store: Store, cache: StatCache, images: Path, change: Callable[[Path], object], named: str
) -> None:
    track(store, cache, images)
    change(images)
    (images / "b.png").unlink()
    with pytest.raises(Refused, match=f"{named} would be lost.* put it first, or checkout --force"):
        checkout(store, cache, images)
    assert not (images / "b.png").exists()  # nothing was changed
    checkout(store, cache, images, force=True)
    assert status(store, cache, images).agrees


def test_without_the_cache_what_differs_is_taken_for_the_users(store: Store, tmp_path: Path, images: Path) -> None:
    track(store, StatCache(tmp_path), images)
    (images / "a.png").write_bytes(b"mine")
    with pytest.raises(Refused, match=r"images/a.png would be lost"):
        checkout(store, StatCache(tmp_path / "elsewhere"), images)


def test_a_damaged_object_is_never_checked_out(store: Store, cache: StatCache, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content" * 1000)
    track(store, cache, path)
    damaged = next((tmp_path / "store").rglob("data.bin"))
    damaged.chmod(0o644)
    damaged.write_bytes(b"Content" + damaged.read_bytes()[7:])
    path.unlink()
    with pytest.raises(Damaged):
        checkout(store, cache, path)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("file")] == ["file.smalti"]


def test_what_an_interrupted_checkout_left_is_removed_by_the_next(store: Store, cache: StatCache, images: Path) -> None:
    track(store, cache, images)
    name = f".smalti-{'0' * 32}.part"
    parts = [images.parent / name, images / name, images / "sub" / name]
    for part in parts:
        part.write_bytes(b"half")
    assert status(store, cache, images).agrees
    checkout(store, cache, images)
    assert all(part.exists() for part in parts)  # another checkout may be at work
    for part in parts:
        os.utime(part, (1, 1))
    checkout(store, cache, images)
    assert not any(part.exists() for part in parts)


def test_a_link_in_the_place_of_a_file_is_not_followed(store: Store, cache: StatCache, tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"tracked")
    other.write_bytes(b"not to be touched")
    track(store, cache, path)
    path.unlink()
    path.symlink_to(other)
    with pytest.raises(Refused, match="is a symbolic link"):
        checkout(store, cache, path, force=True)
    assert other.read_bytes() == b"not to be touched"


@pytest.mark.parametrize("name", ["..", "a/b", ".git", ".GIT", "", "/etc/x"])
def test_a_folder_that_somebody_else_made_cannot_lead_out_of_its_place(
    store: Store, cache: StatCache, tmp_path: Path, name: str
) -> None:
    ref = store.put(Folder({"fine": b"1", name: b"2"}))
    write(tmp_path / "data", Pointer("folder", ref.digest, 2, 2))
    with pytest.raises(Refused):
        checkout(store, cache, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_pointer_that_says_something_else_than_its_value_is_refused(
    store: Store, cache: StatCache, tmp_path: Path
) -> None:
    folder = store.put(Folder({"a": b"1"})).digest
    for pointer in (Pointer("file", folder, 1, 1), Pointer("folder", folder, 2, 1), Pointer("folder", folder, 0, 1)):
        write(tmp_path / "data", pointer)
        with pytest.raises(Refused):
            checkout(store, cache, tmp_path / "data")
    write(tmp_path / "data", Pointer("folder", store.put({"x": [1.5], "y": b"1"}).digest, 1, 1))
    with pytest.raises(Refused, match="no folder of files"):
        checkout(store, cache, tmp_path / "data")


def test_folders_that_hold_one_another_a_billion_times_are_refused(
    store: Store, cache: StatCache, tmp_path: Path
) -> None:
    inner = store.put(Folder({"file": b"1"}))
    for _ in range(40):
        inner = store.put(Folder({"one": inner, "two": inner}))
    write(tmp_path / "bomb", Pointer("folder", inner.digest, 3, 3))
    with pytest.raises(Refused, match="holds more than"):
        checkout(store, cache, tmp_path / "bomb")


def test_the_executable_bit_of_a_file_comes_back(store: Store, cache: StatCache, tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    path.write_bytes(b"#!/bin/sh\n")
    path.chmod(0o755)
    track(store, cache, path)
    path.unlink()
    checkout(store, cache, path)
    assert os.access(path, os.X_OK)
    path.chmod(0o644)
    assert status(store, cache, path).changes == Changes(changed=("",))


def test_status_says_what_is_missing_where(store: Store, cache: StatCache, tmp_path: Path, images: Path) -> None:
    from smalti import open_store

    remote = open_store("memory:")
    track(store, cache, images)
    assert status(store, cache, images, remote).in_remote is False
    store.push(remote, store.pins())
    assert status(store, cache, images, remote).agrees
    elsewhere = status(open_store("memory:"), cache, images, remote)
    assert (elsewhere.in_store, elsewhere.in_remote, elsewhere.changes) == (False, True, None)
    with pytest.raises(NotFound):
        status(store, cache, tmp_path / "untracked")
