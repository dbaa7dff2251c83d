"""Laws of the work with git: the data is ignored, the pointer is not, and earlier pointers are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smalti import Store
from smalti.errors import NotFound, Refused
from smalti.tracking import StatCache, read, track
from smalti.tracking.git import commit_of, ignore, pointer_at, work_tree_of

Git = Callable[..., str]
NAMES = ["plain", "with space ", "*", "[a]", "!not", "#hash", "?", "back\\slash", "é"]


@pytest.mark.parametrize("name", NAMES)
def test_git_sees_the_pointer_and_not_the_data(
    tmp_path: Path, store: Store, cache: StatCache, git: Git, name: str
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").write_bytes(b"x")
    (tmp_path / "a").write_bytes(b"another that no pattern may hide")
    done = track(store, cache, tmp_path / name)
    untracked = git("ls-files", "-z", "--others", "--exclude-standard").split("\0")
    assert sorted(filter(None, untracked)) == sorted([".gitignore", "a", f"{name}.smalti"])
    assert set(done.to_commit) == {tmp_path / ".gitignore", done.pointer}
    assert not done.ignored


def test_a_path_is_ignored_once_and_other_lines_stay(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(b"mine\r\n*.tmp")
    assert ignore(tmp_path / "data")
    assert not ignore(tmp_path / "data")
    assert (tmp_path / ".gitignore").read_bytes() == b"mine\r\n*.tmp\n/data\n"


def test_without_git_nothing_is_ignored(tmp_path: Path, store: Store, cache: StatCache, images: Path) -> None:
    done = track(store, cache, images)
    assert done.to_commit == (done.pointer,)
    assert not (tmp_path / ".gitignore").exists()
    assert work_tree_of(images) is None


def test_what_git_keeps_already_is_refused(
    tmp_path: Path, store: Store, cache: StatCache, git: Git, images: Path
) -> None:
    git("add", "images")
    with pytest.raises(Refused, match=r"images is in git already.*git rm -r --cached"):
        track(store, cache, images)
    git("rm", "-rq", "--cached", "images")
    assert track(store, cache, images).pointer.is_file()


def test_a_pointer_that_git_would_not_commit_is_said(
    tmp_path: Path, store: Store, cache: StatCache, git: Git, images: Path
) -> None:
    (tmp_path / ".gitignore").write_text("*.smalti\n")
    assert track(store, cache, images).ignored


def test_the_pointer_of_an_earlier_revision_is_found(
    tmp_path: Path, store: Store, cache: StatCache, git: Git, images: Path
) -> None:
    track(store, cache, images)
    first = read(images)
    git("add", ".")
    git("commit", "-qm", "first")
    (images / "a.png").write_bytes(b"second")
    track(store, cache, images)
    assert pointer_at(images, "HEAD") == first != read(images)
    with pytest.raises(NotFound, match="'nothing' is no revision"):
        pointer_at(images, "nothing")
    with pytest.raises(NotFound, match=r"other.smalti is not in the revision 'HEAD'"):
        pointer_at(tmp_path / "other", "HEAD")


def test_a_revision_is_never_taken_for_an_option(tmp_path: Path, git: Git) -> None:
    assert commit_of(tmp_path, "--output=x") is None
    assert not (tmp_path / "x").exists()
